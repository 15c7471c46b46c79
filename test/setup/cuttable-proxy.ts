import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between a client and a port, and cuts every connection when told: what a tunnel does to a train's passengers. */
export class CuttableProxy {
  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  private constructor(port: number) {
    this.server = createServer((near) => {
      const far = connect(port, '127.0.0.1')
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.sockets.add(socket)
        // The end of one is the end of the other, whatever the reason.
        socket.on('error', () => {})
        socket.on('close', () => {
          this.sockets.delete(socket)
          other.destroy()
        })
        socket.pipe(other)
      }
    })
  }

  static async start(port: number): Promise<CuttableProxy> {
    const proxy = new CuttableProxy(port)
    await once(proxy.server.listen(0, '127.0.0.1'), 'listening')
    return proxy
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy()
  }

  /** Passes nothing on until `release`, as a line that hangs. */
  hold(): void {
    for (const socket of this.sockets) socket.pause()
  }

  release(): void {
    for (const socket of this.sockets) socket.resume()
  }

  async close(): Promise<void> {
    this.cut()
    this.server.close()
    await once(this.server, 'close')
  }
}
