import type { Broker, Delivery } from '../broker/broker.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import type { Consumer } from './consumer.ts'
import { LEASED_AHEAD_BYTES } from './consumer-limits.ts'

/**
 * Hands out the ready messages of one queue. It asks the broker on behalf of all its consumers, one request at a time, and shares
 * the result: a slow broker is asked once, not once per consumer.
 */
export class Dealer {
  private readonly queue: string
  private readonly consumers: readonly Consumer[]
  private readonly broker: Broker
  private readonly unexpected: UnexpectedErrors
  /** The consumer that is asked first next time. */
  private turn = 0
  private dealing = false
  /** Something became ready, or got credit, since the last request. */
  private again = false

  constructor(queue: string, consumers: readonly Consumer[], broker: Broker, unexpected: UnexpectedErrors) {
    this.queue = queue
    this.consumers = consumers
    this.broker = broker
    this.unexpected = unexpected
  }

  /** Hands out what is ready, once for all calls in this turn. */
  deal(): void {
    if (this.consumers.length === 0) return
    this.again = true
    if (this.dealing) return
    this.dealing = true
    queueMicrotask(() => void this.dealAll())
  }

  private async dealAll(): Promise<void> {
    try {
      while (this.again) {
        this.again = false
        while (await this.dealOnce()) {
          // Until nothing is ready, or no consumer has credit.
        }
      }
    } catch (error) {
      this.unexpected.report('broker', error, { queue: this.queue })
    } finally {
      this.dealing = false
    }
  }

  private async dealOnce(): Promise<boolean> {
    let credit = 0
    let hungry = 0
    for (const consumer of this.consumers) {
      const its = consumer.credit
      if (its <= 0) continue
      credit += its
      hungry++
    }
    if (hungry === 0) return false
    const deliveries = await this.broker.lease(this.queue, credit, hungry * LEASED_AHEAD_BYTES)
    if (deliveries.length === 0) return false
    this.handOut(deliveries)
    return true
  }

  /**
   * Idle consumers come first, and the messages are shared evenly between them; the rest is shared between all that have credit. So
   * each gets some if there is little work, and each fills its credit if there is much.
   */
  private handOut(deliveries: readonly Delivery[]): void {
    let at = this.share(deliveries, 0, ({ idle }) => idle)
    for (let before = -1; at < deliveries.length && at > before; ) {
      before = at
      at = this.share(deliveries, at, ({ credit }) => credit > 0)
    }
    // Consumers have ended in the meantime, or their messages are larger than those of the others.
    if (at < deliveries.length) {
      const left = deliveries.slice(at).map(({ id }) => id)
      this.broker.giveBack(this.queue, left)
    }
  }

  /** Hands out deliveries from a place on, evenly; returns where the rest begins. */
  private share(deliveries: readonly Delivery[], from: number, takesPart: (consumer: Consumer) => boolean): number {
    const active = this.consumers.filter(takesPart)
    if (active.length === 0) return from
    const share = Math.ceil((deliveries.length - from) / active.length)
    let at = from
    let asked = 0
    for (; asked < active.length && at < deliveries.length; asked++) {
      const consumer = active[(this.turn + asked) % active.length] as Consumer
      at += consumer.offer(deliveries, at, Math.min(share, consumer.credit))
    }
    this.turn = (this.turn + asked) % active.length
    return at
  }
}
