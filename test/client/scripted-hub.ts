import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Client, type ClientOptions, connect } from '../../client/node.ts'
import { decodeBinary, decodeText, encodeFrame } from '../../shared/codec.ts'
import type { Frame } from '../../shared/frames.ts'

export const WELCOME = {
  type: 'welcome',
  protocol: 'fanfare.v1',
  connection: 'c',
  window: 4,
  pingIntervalMs: 60_000,
  limits: { frameBytes: 65_536, subscriptions: 100 },
} as const

type Of<Type extends Frame['type']> = Extract<Frame, { type: Type }>

/** The hub's end of one connection. It sends nothing by itself except for `unsubscribed`. */
export class Peer {
  /** Everything that came, by WebSocket message. */
  readonly batches: Frame[][] = []
  readonly closed: Promise<number>
  readonly socket: WebSocket
  private unread: Frame[] = []
  private wake = () => {}

  constructor(socket: WebSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.on('close', resolve))
    socket.on('message', (data: Buffer, binary: boolean) => {
      const frames = (binary ? decodeBinary(data) : decodeText(data.toString())) as Frame[]
      for (const frame of frames) if (frame.type === 'unsubscribe') this.send({ type: 'unsubscribed', sub: frame.sub })
      this.batches.push(frames)
      this.unread.push(...frames)
      this.wake()
    })
  }

  /** The next frame, which has to be of this type. */
  async next<Type extends Frame['type']>(type: Type): Promise<Of<Type>> {
    while (this.unread.length === 0) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    const frame = this.unread.shift() as Frame
    if (frame.type !== type) throw new Error(`Expected ${type}, got ${JSON.stringify(frame)}`)
    return frame as Of<Type>
  }

  /** Frames that arrived and were not read yet. */
  get unreadFrames(): readonly Frame[] {
    return this.unread
  }

  /** One WebSocket message. */
  send(...frames: object[]): void {
    this.socket.send(JSON.stringify(frames.length === 1 ? frames[0] : frames))
  }

  sendBinary(...frames: object[]): void {
    const records = frames.map((frame) => encodeFrame({ data: new Uint8Array(), ...frame } as Frame) as Uint8Array)
    this.socket.send(Buffer.concat(records))
  }

  async welcome(welcome: object = {}): Promise<void> {
    await this.next('hello')
    this.send({ ...WELCOME, ...welcome })
  }

  /** Answers the next subscribe. */
  async subscribed(): Promise<number> {
    const { sub } = await this.next('subscribe')
    this.send({ type: 'subscribed', sub })
    return sub
  }
}

export function message(data: unknown, topic = 'a', more: object = {}): object {
  return { type: 'message', id: `m${String(data)}`, topic, data, ...more }
}

/** A hub that does what the test wants, with the clients that connect to it. */
export class ScriptedHub {
  readonly url: string
  private readonly server: WebSocketServer
  private readonly clients: Client[] = []
  private peers: Peer[] = []
  private wake = () => {}

  private constructor(server: WebSocketServer) {
    this.server = server
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
    server.on('connection', (socket) => {
      this.peers.push(new Peer(socket))
      this.wake()
    })
  }

  static async start(): Promise<ScriptedHub> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await new Promise((resolve) => server.once('listening', resolve))
    return new ScriptedHub(server)
  }

  /** Calls `told` with the path of the next connection. */
  onUpgrade(told: (path: string) => void): void {
    this.server.once('connection', (_, { url = '' }) => told(url))
  }

  connect(options: ClientOptions = {}): Client {
    const client = connect(this.url, { backoff: { base: 1, cap: 5 }, ...options })
    this.clients.push(client)
    return client
  }

  async peer(): Promise<Peer> {
    while (this.peers.length === 0) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
    return this.peers.shift() as Peer
  }

  /** A client that is connected, and the hub's end of it. */
  async connected(options: ClientOptions = {}, welcome: object = {}): Promise<{ client: Client; peer: Peer }> {
    const client = this.connect(options)
    const peer = await this.peer()
    await peer.welcome(welcome)
    await client.ready()
    return { client, peer }
  }

  async stop(): Promise<void> {
    for (const socket of this.server.clients) socket.terminate()
    await Promise.all(this.clients.map((client) => client.close()))
    await new Promise((resolve) => this.server.close(resolve))
  }
}

/** Lets everything happen that needs no timer, of a client and its peer on one machine. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise<void>((resolve) => setImmediate(resolve))
}
