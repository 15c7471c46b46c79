import type { HeaderFilter, MessageHeaders, SlowPolicy } from '../../shared/frames.ts'
import type { Message } from './message.ts'

/**
 * Where the messages of a connection's subscriptions go. Called once per message and matching subscription, in publish
 * order; a recipient that has several that match gets the message several times and sends it once. It must not
 * subscribe or unsubscribe from within `deliver`: the index is being read.
 */
export interface Recipient {
  deliver(message: Message, subscription: Subscription): void
  /** Messages for a live subscription may be missing at this place, and nobody knows how many. */
  missed(subscription: Subscription): void
}

/** What feeds a subscription from a stream. */
export interface SubscriptionFeed {
  /** Whether a message that is delivered live is for the subscription now: not while it is fed from the log. */
  takes(message: Message): boolean
  /** The connection has no room: from this message on the log has to do. */
  fallBehind(message: Message): void
}

/** What a subscription takes up at least, in bytes: itself, its places in the tables of the hub, a pause. */
const OWN_BYTES = 400
/** A word of a pattern: a string, and a node of the index. */
const WORD_BYTES = 125
/** A header of a filter: a name and a value in an object, whose shape no other filter may have. */
const HEADER_BYTES = 110

/** One connection's interest in a pattern. */
export class Subscription {
  readonly recipient: Recipient
  /** The client's number for it. */
  readonly sub: number
  /** Words of the canonical pattern. */
  readonly words: readonly string[]
  readonly filter: HeaderFilter | undefined
  readonly policy: SlowPolicy
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
    policy: SlowPolicy,
  ) {
    this.recipient = recipient
    this.sub = sub
    this.words = words
    this.filter = filter
    this.policy = policy
  }

  /** About how much memory it takes up, and not less: words that it shares with other patterns count too. */
  get bytes(): number {
    const { words, filter } = this
    let bytes = OWN_BYTES
    for (const word of words) bytes += WORD_BYTES + word.length
    return filter ? bytes + headerBytes('all' in filter ? filter.all : filter.any) : bytes
  }
}

function headerBytes(headers: MessageHeaders): number {
  let bytes = 0
  for (const [name, value] of Object.entries(headers)) bytes += HEADER_BYTES + textBytes(name) + textBytes(value)
  return bytes
}

/** JavaScript stores two bytes for each character of a text if one of them is outside of Latin-1. */
function textBytes(text: string): number {
  return /[\u0100-\uffff]/.test(text) ? 2 * text.length : text.length
}
