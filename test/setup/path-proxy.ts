import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A reverse proxy that serves a hub below the path `/hub/`, and nothing else. */
export class PathProxy {
  private readonly server: Server

  private constructor(port: number) {
    const forward = (from: IncomingMessage) => {
      const path = from.url?.startsWith('/hub/') ? from.url.slice('/hub'.length) : undefined
      return path === undefined
        ? undefined
        : request({ host: '127.0.0.1', port, path, method: from.method, headers: from.headers })
    }
    this.server = createServer((from, to) => {
      const forwarded = forward(from)
      if (!forwarded) return void to.writeHead(404).end()
      forwarded.on('response', (answer) => answer.pipe(to.writeHead(answer.statusCode as number, answer.headers)))
      forwarded.on('error', () => to.destroy())
      from.pipe(forwarded)
    })
    this.server.on('upgrade', (from, near) => {
      const forwarded = forward(from)
      if (!forwarded) return near.destroy()
      forwarded.on('error', () => near.destroy())
      forwarded.on('upgrade', ({ rawHeaders }, far) => {
        const pairs = rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`))
        near.write(`HTTP/1.1 101 Switching Protocols\r\n${pairs.join('')}\r\n`)
        for (const socket of [near, far]) socket.on('error', () => {})
        near.pipe(far).pipe(near)
      })
      forwarded.end()
    })
  }

  static async start(port: number): Promise<PathProxy> {
    const proxy = new PathProxy(port)
    await once(proxy.server.listen(0, '127.0.0.1'), 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hub/`
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}
