import { FanfareError } from '../../shared/errors.ts'

/**
 * The bound on what the subscriptions, consumers and offers to respond of all connections hold together, in bytes as
 * they are estimated. Each is taken when it begins and given back when it ends.
 */
export class SubscriptionBudget {
  bytes = 0
  /** 0 for none. */
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
