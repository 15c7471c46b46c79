import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A load balancer: each connection goes to the next of some ports, or to the one after it if nothing listens there. */
export class Balancer {
  readonly url: string
  readonly #server
  readonly #sockets = new Set<Socket>()

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`
  }

  static async start(ports: readonly number[]): Promise<Balancer> {
    let last = 0
    const server = createServer((socket) => balancer.#join(socket, ports, ++last))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const balancer = new Balancer(server)
    return balancer
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #join(client: Socket, ports: readonly number[], at: number, tries = 1): void {
    const hub = connect(ports[at % ports.length] as number, '127.0.0.1')
    const next = () => (tries < ports.length ? this.#join(client, ports, at + 1, tries + 1) : client.destroy())
    hub.once('error', next)
    hub.once('connect', () => {
      hub.off('error', next)
      this.#pass(client, hub)
      this.#pass(hub, client)
    })
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    from.on('error', () => {})
    from.once('close', () => {
      this.#sockets.delete(from)
      to.destroy()
    })
    from.pipe(to)
  }
}
