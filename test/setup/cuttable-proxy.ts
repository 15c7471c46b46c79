import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

const BAD_GATEWAY = [
  'HTTP/1.1 502 Bad Gateway',
  'Access-Control-Allow-Origin: *',
  'Content-Length: 0',
  'Connection: close',
  '\r\n',
].join('\r\n')

/**
 * A proxy between a client and a hub. It can cut every connection, as a tunnel does to a train's passengers, and answers 502 while nothing listens
 * at its target, as the gateways of cloud providers do.
 */
export class CuttableProxy {
  /** Where the hub is now. */
  port: number
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private isShut = false

  private constructor(port: number) {
    this.port = port
    this.server = createServer((near) => {
      if (this.isShut) near.resetAndDestroy()
      else this.join(near, connect(this.port, '127.0.0.1'))
    })
  }

  static async start(port: number): Promise<CuttableProxy> {
    const proxy = new CuttableProxy(port)
    await once(proxy.server.listen(0, '127.0.0.1'), 'listening')
    return proxy
  }

  /** For a WebSocket. */
  get url(): string {
    return `ws://${this.address}`
  }

  get http(): string {
    return `http://${this.address}`
  }

  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy()
  }

  /** Cuts every connection, and new ones at once, until `open`. */
  shut(): void {
    this.isShut = true
    this.cut()
  }

  open(): void {
    this.isShut = false
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

  private get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  private join(near: Socket, far: Socket): void {
    let isRefused = false
    for (const socket of [near, far]) {
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.sockets.delete(socket))
    }
    far.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code !== 'ECONNREFUSED') return
      isRefused = true
      near.unpipe().resume().end(BAD_GATEWAY)
    })
    // The end of one is the end of the other, whatever the reason; but for the answer that is still on its way.
    near.on('close', () => far.destroy())
    far.on('close', () => void (isRefused || near.destroy()))
    near.pipe(far)
    far.pipe(near)
  }
}
