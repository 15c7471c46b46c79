import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Joins each connection to the first hub that accepts it, as a load balancer with backups does. */
export class Balancer {
  private readonly ports: readonly number[]
  private readonly server = createServer((near) => this.join(near, 0))

  private constructor(ports: readonly number[]) {
    this.ports = ports
  }

  static async start(ports: readonly number[]): Promise<Balancer> {
    const balancer = new Balancer(ports)
    await once(balancer.server.listen(0, '127.0.0.1', 4096), 'listening')
    return balancer
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}/`
  }

  private join(near: Socket, n: number): void {
    const port = this.ports[n]
    if (port === undefined) return void near.destroy()
    const far = connect({ port, host: '127.0.0.1', noDelay: true })
    const next = () => this.join(near, n + 1)
    near.on('error', () => far.destroy())
    far.once('error', next)
    far.once('connect', () => {
      far.off('error', next).on('error', () => near.destroy())
      near.on('close', () => far.destroy())
      far.on('close', () => near.destroy())
      near.pipe(far).pipe(near)
    })
  }
}
