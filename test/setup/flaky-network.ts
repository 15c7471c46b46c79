import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between clients and a hub, to do to their connections what networks do. */
export class FlakyNetwork {
  readonly url: string
  private readonly server: Server
  private readonly pairs = new Set<{ readonly client: Socket; readonly hub: Socket }>()
  private refusing = false
  private holding = false
  private frozen = false
  private delayMs = 0
  private readonly due = new WeakMap<Socket, number>()

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

  /** Cuts, and lets nobody through until `allow`. */
  refuse(): void {
    this.refusing = true
    this.cut()
  }

  allow(): void {
    this.refusing = false
  }

  /** What the hub says from now on does not arrive. */
  holdReplies(): void {
    this.holding = true
  }

  /** Nothing passes any more, either way, and neither end is told: a connection that is half open. */
  freeze(): void {
    this.frozen = true
  }

  /** What was frozen is lost with its connections; new ones pass. */
  thaw(): void {
    this.cut()
    this.frozen = false
  }

  /** From now on everything takes so much longer, either way. */
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
    const now = performance.now()
    // Nothing overtakes what was held up before, when the delay has become shorter meanwhile.
    const due = Math.max(now + this.delayMs, this.due.get(to) ?? 0)
    if (due <= now) {
      to.write(data)
      return
    }
    this.due.set(to, due)
    setTimeout(() => to.writable && to.write(data), due - now)
  }
}
