import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type ClientOptions, type RawData, WebSocket } from 'ws'
import { decodeBinary, decodeText } from '../../shared/codec.ts'
import type { Frame } from '../../shared/frames.ts'

/** A peer that speaks the protocol by hand, well or badly, and sees every frame and how the connection ended. */
export class Peer {
  readonly frames: Frame[] = []
  /** The frames of each WebSocket message. */
  readonly batches: Frame[][] = []
  readonly socket: WebSocket
  readonly closed: Promise<{ code: number; reason: string }>
  private read = 0
  private wake: () => void = () => {}

  private tcp: Socket | undefined = undefined

  private constructor(url: string, protocols: string[], options: ClientOptions) {
    this.socket = new WebSocket(url, protocols, options)
    this.socket.on('upgrade', ({ socket }) => {
      this.tcp = socket
    })
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() })
        this.wake()
      })
    })
    this.socket.on('error', () => {})
    this.socket.on('message', (data, binary) => this.receive(data, binary))
  }

  /** `ca`: a certificate to be trusted, for `wss:`. */
  static async open(
    url: string,
    protocols = ['fanfare.v1'],
    headers: Record<string, string> = {},
    compression = true,
    ca?: string,
  ): Promise<Peer> {
    const peer = new Peer(url, protocols, { headers, perMessageDeflate: compression, ...(ca !== undefined && { ca }) })
    await once(peer.socket, 'open')
    return peer
  }

  /** Connects, sends hello and reads the welcome. */
  static async hello(url: string, { compression = true } = {}): Promise<Peer> {
    const peer = await Peer.open(url, undefined, undefined, compression)
    peer.send({ type: 'hello' })
    await peer.next('welcome')
    return peer
  }

  send(...frames: object[]): void {
    this.socket.send(JSON.stringify(frames.length === 1 ? frames[0] : frames))
  }

  /** Goes without a word. */
  terminate(): void {
    this.socket.terminate()
  }

  async subscribe(sub: number, pattern: string, more: object = {}): Promise<void> {
    this.send({ type: 'subscribe', sub, pattern, ...more })
    await this.next('subscribed')
  }

  /** The next unread frame of this type; those before it are passed over. Rejects when the connection ends first. */
  async next<T extends Frame['type']>(type: T): Promise<Extract<Frame, { type: T }>> {
    for (;;) {
      while (this.read < this.frames.length) {
        const frame = this.frames[this.read++] as Frame
        if (frame.type === type) return frame as Extract<Frame, { type: T }>
      }
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error(`closed before a frame "${type}" came`)
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  /** The unread frames before the answer to a ping, that is all that the hub had for this connection. */
  async settled(): Promise<Frame[]> {
    const from = this.read
    this.send({ type: 'ping' })
    await this.next('pong')
    return this.frames.slice(from, this.read - 1)
  }

  /** Bytes from the network: less than after decompression. */
  get bytesRead(): number {
    return this.tcp?.bytesRead ?? 0
  }

  /** How many WebSocket messages came. */
  get messages(): number {
    return this.batches.length
  }

  /** The frames of one subscription that every message matches, by the rules that PROTOCOL.md gives a client. */
  framesFor(sub: number): Frame[] {
    let joined = false
    return this.batches.flatMap((frames) => {
      const only = frames[0]?.type === 'only' ? frames[0].sub : undefined
      return frames.filter((frame) => {
        if (frame.type === 'message') return only === undefined ? joined : only === sub
        if (!('sub' in frame) || frame.sub !== sub) return false
        if (frame.type === 'subscribed') joined = frame.stream === undefined
        else if (frame.type === 'live' || frame.type === 'behind') joined = frame.type === 'live'
        return true
      })
    })
  }

  /** Stops reading the socket: the TCP buffers fill up. */
  stall(): void {
    this.socket.pause()
  }

  goOn(): void {
    this.socket.resume()
  }

  private receive(data: RawData, binary: boolean): void {
    const bytes = data as Buffer
    const frames = (binary ? decodeBinary(bytes) : decodeText(bytes.toString())) as Frame[]
    this.batches.push(frames)
    this.frames.push(...frames)
    this.wake()
  }
}
