import { FanfareError } from '../../shared/errors.ts'

/**
 * The limit on the memory of all subscriptions, consumers and responders, in estimated bytes. Each takes its share when it begins
 * and returns it when it ends.
 */
export class SubscriptionBudget {
  bytes = 0
  /** 0 for no limit. */
  readonly limit: number
  private readonly hit: () => void

  constructor(limit: number, hit: () => void) {
    this.limit = limit
    this.hit = hit
  }

  /** Throws `hub_full`. */
  take(bytes: number): void {
    if (this.limit > 0 && this.bytes + bytes > this.limit) {
      this.hit()
      throw new FanfareError(
        'hub_full',
        `Subscriptions exceed subscriptionBytes, which is ${this.limit}. Try again later, or raise the limit.`,
      )
    }
    this.bytes += bytes
  }

  giveBack(bytes: number): void {
    this.bytes -= bytes
  }
}
