import type { HeaderFilter, MessageHeaders, SlowPolicy } from '../../shared/frames.ts'
import type { Message } from './message.ts'

/**
 * Receives the messages of a connection's subscriptions. Called once per message and matching subscription, in publish order; a
 * recipient with several matching subscriptions gets the message several times and sends it once. It must not subscribe or
 * unsubscribe within `deliver`, because the index is being read.
 */
export interface Recipient {
  deliver(message: Message, subscription: Subscription): void
  /** Messages for a live subscription may be missing at this place; their number is unknown. */
  missed(subscription: Subscription): void
}

/** Feeds a subscription from a stream. */
export interface SubscriptionFeed {
  /** Whether a live message is for the subscription now: not while it is fed from the log. */
  takes(message: Message): boolean
  /** The connection has no room: from this message on the subscription is fed from the log. */
  fallBehind(message: Message): void
}

/** Minimum memory of a subscription, in bytes: itself, its places in the hub's tables, a pause. */
const OWN_BYTES = 400
/** Memory of a word of a pattern: a string, and a node of the index. */
const WORD_BYTES = 125
/** Memory of a header of a filter: a name and a value in an object, whose shape may be unique. */
const HEADER_BYTES = 110

/** One connection's interest in a pattern. */
export class Subscription {
  readonly recipient: Recipient
  /** The client's number for the subscription. */
  readonly sub: number
  /** Words of the canonical pattern. */
  readonly words: readonly string[]
  readonly filter: HeaderFilter | undefined
  readonly policy: SlowPolicy
  /** Set if a stream feeds the subscription. */
  feed: SubscriptionFeed | undefined = undefined
  /** Number of messages dropped for it. */
  droppedTotal = 0
  /** Its place in the index, managed by the index. */
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

  /** Approximate memory, never too low: words shared with other patterns count too. */
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

/** JavaScript stores two bytes per character of a string if one of them is outside of Latin-1. */
function textBytes(text: string): number {
  return /[\u0100-\uffff]/.test(text) ? 2 * text.length : text.length
}
