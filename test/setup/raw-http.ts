import { once } from 'node:events'
import { connect, type Socket, type TcpSocketConnectOpts } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** A connection whose every byte the test writes. */
export class RawHttp {
  readonly socket: Socket
  /** All that came, one character per byte. */
  text = ''
  readonly closed: Promise<void>
  private readonly openedAt = performance.now()
  /** How long it was open, in milliseconds. */
  closedAfterMs = Number.POSITIVE_INFINITY
  private wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (data) => {
      this.text += data.toString('latin1')
      this.wake()
    })
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.closedAfterMs = performance.now() - this.openedAt
        this.wake()
        resolve()
      })
    })
  }

  static async open(port: number, options: Partial<TcpSocketConnectOpts> = {}): Promise<RawHttp> {
    const raw = new RawHttp(connect({ host: '127.0.0.1', port, ...options }))
    await Promise.race([once(raw.socket, 'connect').catch(() => {}), raw.closed])
    return raw
  }

  static async openTls(port: number): Promise<RawHttp> {
    const raw = new RawHttp(connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }))
    await once(raw.socket, 'secureConnect')
    return raw
  }

  /** Writes, and gives the status line of the first answer; an empty one if the connection ends without. */
  async ask(bytes: string): Promise<string> {
    this.socket.write(bytes, 'latin1')
    await this.until(() => this.text.includes('\r\n\r\n'))
    return this.text.split('\r\n', 1)[0] ?? ''
  }

  /** Resolves when this holds, or the connection has ended. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds() && !this.socket.destroyed) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }
}

/** One request on its own connection. */
export async function ask(port: number, bytes: string): Promise<{ status: string; text: string }> {
  const raw = await RawHttp.open(port)
  const status = await raw.ask(bytes)
  raw.socket.destroy()
  return { status, text: raw.text }
}
