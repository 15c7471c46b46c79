import { FanfareError } from '../../shared/errors.ts'
import { isLoopbackAddress } from '../auth/loopback.ts'
import { IN_PROCESS, networkOf } from '../network/address.ts'
import type { LimitConfig, LimitHit } from './limits.ts'
import { Rate } from './rate.ts'

/** Number of most recent addresses whose rate is remembered. */
const REMEMBERED = 10_000

/**
 * Decides whether another connection may be opened. The limits per address do not apply to loopback addresses: those belong to
 * services of this machine, or to a proxy with all its clients. Clients in the hub's own process do not count: the program decides
 * how many there are, and other clients must not take their places.
 */
export class Admission {
  private readonly config: LimitConfig
  private readonly hit: (limit: LimitHit, address: string) => void
  private readonly open = new Map<string, number>()
  private readonly rates = new Map<string, Rate>()
  private count = 0

  constructor(config: LimitConfig, hit: (limit: LimitHit, address: string) => void) {
    this.config = config
    this.hit = hit
  }

  /** The reason for a refusal, `hub_full` or `address_limit`; undefined if there is none. */
  refusalOf(address: string): FanfareError | undefined {
    const { maxConnections, connectionsPerAddress, connectsPerSecondPerAddress } = this.config
    if (maxConnections > 0 && this.count >= maxConnections) {
      this.hit('maxConnections', address)
      return new FanfareError(
        'hub_full',
        `The hub has ${maxConnections} connections, the maximum (maxConnections). Try again later.`,
      )
    }
    if (isLoopbackAddress(address)) return undefined
    const network = networkOf(address)
    if (connectionsPerAddress > 0 && (this.open.get(network) ?? 0) >= connectionsPerAddress) {
      this.hit('connectionsPerAddress', address)
      return new FanfareError(
        'address_limit',
        `The address has ${connectionsPerAddress} connections, the maximum (connectionsPerAddress). Try again later.`,
      )
    }
    if (connectsPerSecondPerAddress > 0 && !this.rateOf(network).take(1)) {
      this.hit('connectsPerSecondPerAddress', address)
      return new FanfareError(
        'address_limit',
        `The address connects more than ${connectsPerSecondPerAddress} times per second (connectsPerSecondPerAddress). Try again later.`,
      )
    }
    return undefined
  }

  /** Throws `hub_full`, `address_limit`. */
  require(address: string): void {
    const refusal = this.refusalOf(address)
    if (refusal) throw refusal
  }

  opened(address: string): void {
    if (address === IN_PROCESS) return
    this.count++
    const network = networkOf(address)
    this.open.set(network, (this.open.get(network) ?? 0) + 1)
  }

  closed(address: string): void {
    if (address === IN_PROCESS) return
    this.count--
    const network = networkOf(address)
    const left = (this.open.get(network) ?? 0) - 1
    if (left > 0) this.open.set(network, left)
    else this.open.delete(network)
  }

  private rateOf(network: string): Rate {
    const { connectsPerSecondPerAddress, connectionsPerAddress } = this.config
    // All connections that may be open may reconnect at once.
    const rate =
      this.rates.get(network) ??
      new Rate('connectsPerSecondPerAddress', connectsPerSecondPerAddress, connectionsPerAddress)
    this.rates.delete(network)
    this.rates.set(network, rate)
    if (this.rates.size > REMEMBERED) this.rates.delete(this.rates.keys().next().value as string)
    return rate
  }
}
