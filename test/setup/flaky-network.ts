import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Stands between clients and a hub, to do to their connections what networks do. */
export class FlakyNetwork {
  readonly url: string
  private readonly server: Server
  private readonly pairs = new Set<{ readonly client: Socket; readonly hub: Socket }>()
  private refusing = false
  private holding = false

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
    client.pipe(hub)
    hub.on('data', (data) => {
      if (!this.holding) client.write(data)
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
}
