import { TokenBucket } from 'limiter'
import type { LimitName } from './limits.ts'

/**
 * So many in a second, and as many or `burst` at once: a token bucket, full at first. Its time is a monotonic one, and not
 * the hub's clock: that may be set.
 */
export class Rate {
  readonly limit: LimitName
  readonly perSecond: number
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
    return this.bucket.tryRemoveTokens(count)
  }

  /** As many of them as there are. */
  takeSome(count: number): number {
    if (this.take(count)) return count
    this.bucket.drip()
    const there = Math.min(count, Math.floor(this.bucket.content))
    this.bucket.content -= there
    return there
  }
}
