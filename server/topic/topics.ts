import { nanoid } from 'nanoid'
import { FanfareError } from '../../shared/errors.ts'
import type { PublishFrame } from '../../shared/frames.ts'
import { passesFilter } from '../../shared/header-filter.ts'
import { parseTopic } from '../../shared/topic.ts'
import { Message } from './message.ts'
import type { Subscription } from './subscription.ts'
import { SubscriptionIndex } from './subscription-index.ts'

/** Topics that are remembered as parsed; beyond that the memory starts anew. */
const PARSED_TOPICS = 10_000

/** Fans messages out to the subscriptions that match. */
export class Topics {
  private readonly index = new SubscriptionIndex()
  private readonly parsed = new Map<string, readonly string[]>()
  // An id is the hub's random prefix and a count: unique like a nanoid, at a fraction of its cost.
  private readonly idPrefix = `${nanoid(10)}.`
  private stamp = 0

  get subscriptionCount(): number {
    return this.index.size
  }

  subscribe(subscription: Subscription): void {
    this.index.add(subscription)
  }

  unsubscribe(subscription: Subscription): void {
    this.index.remove(subscription)
  }

  /** Delivers a publish to every matching subscription, and returns the message. Throws `bad_topic`, `reserved_topic`. */
  publish(frame: PublishFrame): Message {
    const words = this.wordsOf(frame.topic)
    const stamp = ++this.stamp
    const message = new Message(frame, frame.id ?? this.idPrefix + stamp.toString(36), words, stamp)
    for (const subscriptions of this.index.match(words)) {
      for (const subscription of subscriptions) {
        const { filter } = subscription
        if (filter === undefined || passesFilter(filter, message.headers)) {
          subscription.recipient.deliver(message, subscription)
        }
      }
    }
    return message
  }

  private wordsOf(topic: string): readonly string[] {
    const known = this.parsed.get(topic)
    if (known) return known
    const words = parseTopic(topic)
    if (topic.startsWith('$')) throw new FanfareError('reserved_topic')
    if (this.parsed.size >= PARSED_TOPICS) this.parsed.clear()
    this.parsed.set(topic, words)
    return words
  }
}
