import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A reverse proxy of HTTP that answers with 502 while nothing listens behind it, as those of cloud providers do. */
export class Gateway {
  /** Where the hub is now. */
  port: number
  private readonly server: Server

  private constructor(port: number) {
    this.port = port
    this.server = createServer((from, to) => {
      const { method, url, headers } = from
      const forwarded = request({ host: '127.0.0.1', port: this.port, method, path: url, headers, agent: false })
      forwarded.on('response', (answer) => answer.pipe(to.writeHead(answer.statusCode as number, answer.headers)))
      forwarded.on('error', () => {
        if (to.headersSent) to.destroy()
        else to.writeHead(502, { 'access-control-allow-origin': '*' }).end('Bad gateway')
      })
      to.on('close', () => forwarded.destroy())
      from.pipe(forwarded)
    })
  }

  static async start(port: number): Promise<Gateway> {
    const gateway = new Gateway(port)
    await once(gateway.server.listen(0, '127.0.0.1'), 'listening')
    return gateway
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}
