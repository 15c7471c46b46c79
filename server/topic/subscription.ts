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

/** One connection's interest in a pattern. */
export class Subscription {
  readonly recipient: Recipient
  /** The client's number for it. */
  readonly sub: number
  /** Words of the canonical pattern. */
  readonly words: readonly string[]
  readonly filter: HeaderFilter | undefined
  readonly policy: Policy
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
