import { TokenBucket } from 'limiter'
import type { LimitName } from './limits.ts'

/**
 * So many in a second, and as many or `burst` at once: a token bucket, full at first. Its time is a monotonic one, and not
 * the hub's clock: that may be set.
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

  /** All of them or none. */
  take(count: number): boolean {
    const taken = this.bucket.tryRemoveTokens(count)
    if (taken) this.spent += count
    return taken
  }

  /** As many of them as there are. */
  takeSome(count: number): number {
    if (this.take(count)) return count
    this.bucket.drip()
    const there = Math.max(0, Math.min(count, Math.floor(this.bucket.content)))
    this.bucket.content -= there
    this.spent += there
    return there
  }

  /** How many were taken since the last call. */
  takeSpent(): number {
    const { spent } = this
    this.spent = 0
    return spent
  }

  /** So many were taken at another node. They may be more than there are: then none is taken here until that is made up for. */
  spentElsewhere(count: number): void {
    this.bucket.drip()
    this.bucket.content -= count
  }
}
