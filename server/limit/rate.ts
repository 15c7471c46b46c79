import { TokenBucket } from 'limiter'
import type { LimitName } from './limits.ts'

/**
 * A token bucket: `perSecond` tokens per second, and as many or `burst` at once. It starts full. It uses a monotonic time, not the
 * hub's clock, which can be set.
 */
export class Rate {
  readonly limit: LimitName
  readonly perSecond: number
  private spent = 0
  private readonly bucket: TokenBucket

  constructor(limit: LimitName, perSecond: number, burst = perSecond) {
    this.limit = limit
    this.perSecond = perSecond
    const bucketSize = Math.max(perSecond, burst)
    this.bucket = new TokenBucket({ bucketSize, tokensPerInterval: perSecond, interval: 'second' })
    this.bucket.content = bucketSize
  }

  /** Takes all of them or none. */
  take(count: number): boolean {
    const taken = this.bucket.tryRemoveTokens(count)
    if (taken) this.spent += count
    return taken
  }

  /** Takes as many as there are, and returns their number. */
  takeSome(count: number): number {
    if (this.take(count)) return count
    this.bucket.drip()
    const there = Math.max(0, Math.min(count, Math.floor(this.bucket.content)))
    this.bucket.content -= there
    this.spent += there
    return there
  }

  /** The number of tokens taken since the last call. */
  takeSpent(): number {
    const { spent } = this
    this.spent = 0
    return spent
  }

  /** Accounts for tokens taken at another node. They may exceed what is left: then none can be taken here until the debt is made up for. */
  spentElsewhere(count: number): void {
    this.bucket.drip()
    this.bucket.content -= count
  }
}
