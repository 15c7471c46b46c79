import { WebSocket } from 'ws'
import { type Client, connect, type Subscription, type WebSocketClass } from '../../client/index.ts'

const AT_ONCE = 100

/** Clients that lose their connections together. */
export class Crowd {
  private readonly url: string
  private readonly stream: string
  private readonly members: Member[] = []
  private readonly sockets = new Set<WebSocket>()
  private published = 0

  constructor(url: string, stream: string) {
    this.url = url
    this.stream = stream
  }

  /** One client for each token, or for nothing where none is wanted; resolves when all of them have what they wanted. */
  async join(tokens: readonly (string | undefined)[]): Promise<void> {
    const Tracked = trackedIn(this.sockets)
    for (let n = 0; n < tokens.length; n += AT_ONCE) {
      const joining = tokens
        .slice(n, n + AT_ONCE)
        .map(
          (token, i) =>
            new Member(
              connect(this.url, { WebSocket: Tracked, ...(token !== undefined && { token }) }),
              n + i,
              this.stream,
            ),
        )
      this.members.push(...joining)
      await Promise.all(joining.map(({ subscription }) => subscription.ready))
    }
  }

  /** By all of them together. */
  get received(): number {
    return this.members.reduce((sum, { received }) => sum + received, 0)
  }

  async leave(): Promise<void> {
    await Promise.all(this.members.map(({ client }) => client.close()))
  }

  /** Ends all connections on this side, without a word. */
  cut(): void {
    for (const socket of this.sockets) socket.terminate()
  }

  /** Resolves when every client has lost its current connection. */
  async lost(): Promise<void> {
    // Each closes, be it with an error or without.
    const closed = (socket: WebSocket) => new Promise<void>((resolve) => void socket.once('close', () => resolve()))
    await Promise.all(Array.from(this.sockets, closed))
  }

  async publish(messages: number): Promise<void> {
    const [publisher] = this.members as [Member]
    for (let n = 0; n < messages; n++) await publisher.client.publish(this.stream, this.published++)
  }

  /** Resolves when all clients are connected. */
  async back(): Promise<void> {
    await Promise.all(this.members.map(({ client }) => client.ready()))
  }

  /** Resolves when all clients have everything that was published. */
  async haveAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.has(this.published)))
  }
}

class Member {
  readonly client: Client
  readonly subscription: Subscription
  received = 0
  private wanted = 0
  private enough = () => {}

  constructor(client: Client, n: number, stream: string) {
    this.client = client
    client.subscribe(`users.${n}.#`, () => {})
    this.subscription = client.subscribe(stream, ({ data }) => this.take(n, data), { from: 'earliest' })
  }

  has(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.wanted = count
      this.enough = resolve
      if (this.received >= count) resolve()
    })
  }

  private take(n: number, data: unknown): void {
    if (data !== this.received) throw new Error(`Client ${n} got ${data} instead of ${this.received}`)
    if (++this.received >= this.wanted) this.enough()
  }
}

/** The WebSocket of `ws`, of which all that are there can be found. */
function trackedIn(sockets: Set<WebSocket>): WebSocketClass {
  class Tracked extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      sockets.add(this)
      this.once('close', () => sockets.delete(this))
    }
  }
  return Tracked as unknown as WebSocketClass
}
