import type { HeaderFilter, Policy } from '../../shared/frames.ts'
import type { Message } from './message.ts'

/**
 * Where the messages of a connection's subscriptions go. Called once per message and matching subscription, in publish
 * order; a recipient that has several that match gets the message several times and sends it once. It must not
 * subscribe or unsubscribe from within `deliver`: the index is being read.
 */
export interface Recipient {
  deliver(message: Message, subscription: Subscription): void
}

/** What feeds a subscription from a stream. */
export interface SubscriptionFeed {
  /** Whether a message that is delivered live is for the subscription now: not while it is fed from the log. */
  takes(message: Message): boolean
  /** The connection has no room: from this message on the log has to do. */
  fallBehind(message: Message): void
}

/** One connection's interest in a pattern. */
export class Subscription {
  readonly recipient: Recipient
  /** The client's number for it. */
  readonly sub: number
  /** Words of the canonical pattern. */
  readonly words: readonly string[]
  readonly filter: HeaderFilter | undefined
  readonly policy: Policy
  /** Set where a stream is behind it. */
  feed: SubscriptionFeed | undefined = undefined
  /** Messages left out for it. */
  droppedTotal = 0
  /** Its place in the index, owned by the index. */
  slot = -1

  constructor(
    recipient: Recipient,
    sub: number,
    words: readonly string[],
    filter: HeaderFilter | undefined,
    policy: Policy,
  ) {
    this.recipient = recipient
    this.sub = sub
    this.words = words
    this.filter = filter
    this.policy = policy
  }
}
