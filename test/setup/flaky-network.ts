import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

interface Held {
  readonly data: Buffer
  /** When it may arrive. */
  readonly due: number
}

/** A proxy between clients and a hub that does to their connections what networks do. */
export class FlakyNetwork {
  readonly url: string
  private readonly server: Server
  private readonly pairs = new Set<{ readonly client: Socket; readonly hub: Socket }>()
  private refusing = false
  private holding = false
  private frozen = false
  private delayMs = 0
  /** What is under way to each socket, in order. */
  private readonly held = new WeakMap<Socket, Held[]>()

  private constructor(server: Server, hubPort: number) {
    this.server = server
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
    server.on('connection', (client) => this.join(client, hubPort))
  }

  static async to(hubPort: number): Promise<FlakyNetwork> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new FlakyNetwork(server, hubPort)
  }

  /** Cuts every connection, without a word to either end. */
  cut(): void {
    for (const { client, hub } of this.pairs) {
      client.destroy()
      hub.destroy()
    }
    this.pairs.clear()
    this.holding = false
  }

  /** Cuts, and refuses everything until `allow`. */
  refuse(): void {
    this.refusing = true
    this.cut()
  }

  allow(): void {
    this.refusing = false
  }

  /** From now on nothing that the hub sends arrives. */
  holdReplies(): void {
    this.holding = true
  }

  /** Nothing passes any more, in either direction, and neither end is notified: a half-open connection. */
  freeze(): void {
    this.frozen = true
  }

  /** What was frozen is lost with its connections; new ones pass. */
  thaw(): void {
    this.cut()
    this.frozen = false
  }

  /** From now on everything takes this much longer, in both directions. */
  delay(ms: number): void {
    this.delayMs = ms
  }

  async close(): Promise<void> {
    this.cut()
    this.server.close()
    await once(this.server, 'close')
  }

  private join(client: Socket, hubPort: number): void {
    if (this.refusing) {
      client.destroy()
      return
    }
    const hub = connect(hubPort, '127.0.0.1')
    const pair = { client, hub }
    this.pairs.add(pair)
    client.on('data', (data) => this.pass(data, hub))
    hub.on('data', (data) => {
      if (!this.holding) this.pass(data, client)
    })
    for (const socket of [client, hub]) {
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        hub.destroy()
        this.pairs.delete(pair)
      })
    }
  }

  private pass(data: Buffer, to: Socket): void {
    if (this.frozen) return
    const held = this.held.get(to) ?? []
    if (this.delayMs === 0 && held.length === 0) {
      to.write(data)
      return
    }
    this.held.set(to, held)
    held.push({ data, due: performance.now() + this.delayMs })
    if (held.length === 1) this.release(to, held)
  }

  /** One after the other: each has a timer only when it is the first, or a later one could overtake it by a rounding of theirs. */
  private release(to: Socket, held: Held[]): void {
    const [first] = held
    if (!first) return
    const write = () => {
      held.shift()
      if (to.writable) to.write(first.data)
      this.release(to, held)
    }
    setTimeout(write, first.due - performance.now())
  }
}
