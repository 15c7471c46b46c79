import { networkOf, plainAddress } from '../network/address.ts'
import type { Descriptors } from './descriptors.ts'
import type { LimitConfig, LimitHit } from './limits.ts'

/** What limits need to know about an HTTP connection. */
interface KnownConnection {
  readonly remoteAddress: string
  readonly answering: boolean
  destroy(): void
}

type Config = Pick<LimitConfig, 'maxConnections' | 'connectionsPerAddress'>

/**
 * The open HTTP connections. `maxConnections` and `connectionsPerAddress` limit them separately from WebSockets: neither can take
 * the place of the other, such as of a health check.
 *
 * If there is one too many, the connection that has been silent for longest is closed, but never one that is owed an answer. So a
 * peer that opens connections and sends nothing, or sends slowly, cannot keep others out.
 */
export class HttpConnections {
  private readonly config: Config
  private readonly descriptors: Descriptors
  private readonly exempt: (address: string) => boolean
  private readonly hit: (limit: LimitHit, address: string) => void
  /** Ordered by last activity, the most recent last. */
  private readonly all = new Set<KnownConnection>()
  private readonly ofNetwork = new Map<string, Set<KnownConnection>>()

  /** `exempt`: addresses without a limit per address. */
  constructor(
    config: Config,
    descriptors: Descriptors,
    exempt: (address: string) => boolean,
    hit: (limit: LimitHit, address: string) => void,
  ) {
    this.config = config
    this.descriptors = descriptors
    this.exempt = exempt
    this.hit = hit
  }

  get count(): number {
    return this.all.size
  }

  arrived(connection: KnownConnection): void {
    const known = this.all.delete(connection)
    this.all.add(connection)
    const address = plainAddress(connection.remoteAddress) ?? connection.remoteAddress
    const network = networkOf(address)
    const own = this.ofNetwork.get(network) ?? new Set()
    this.ofNetwork.set(network, own)
    own.delete(connection)
    own.add(connection)
    if (known) return
    const { maxConnections, connectionsPerAddress } = this.config
    const most = this.exempt(address) ? 0 : connectionsPerAddress
    if (most > 0 && own.size > most) this.endOne(own, 'connectionsPerAddress', address)
    else if (maxConnections > 0 && this.all.size > maxConnections) this.endOne(this.all, 'maxConnections', address)
    else if (this.descriptors.short) this.endOne(this.all, 'descriptors', address)
  }

  left(connection: KnownConnection): void {
    if (!this.all.delete(connection)) return
    const network = networkOf(plainAddress(connection.remoteAddress) ?? connection.remoteAddress)
    const own = this.ofNetwork.get(network)
    own?.delete(connection)
    if (own?.size === 0) this.ofNetwork.delete(network)
  }

  /** Closes all connections that do not wait for an answer, because the hub is shutting down. */
  drain(): void {
    for (const connection of [...this.all]) {
      if (connection.answering) continue
      this.left(connection)
      connection.destroy()
    }
  }

  /** Whether descriptors are still short after closing what can be closed. */
  crowded(): boolean {
    if (!this.descriptors.short) return false
    do {
      if (!this.endOne(this.all, 'descriptors', '')) return true
    } while (this.descriptors.short)
    return true
  }

  /** Returns false if all of them wait for an answer. */
  private endOne(among: ReadonlySet<KnownConnection>, limit: LimitHit, address: string): boolean {
    this.hit(limit, address)
    for (const connection of among) {
      if (connection.answering) continue
      this.left(connection)
      connection.destroy()
      return true
    }
    return false
  }
}
