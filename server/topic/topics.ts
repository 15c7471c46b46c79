import { nanoid } from 'nanoid'
import { FanfareError } from '../../shared/errors.ts'
import type { PublishFrame } from '../../shared/frames.ts'
import { passesFilter } from '../../shared/header-filter.ts'
import { parseTopic } from '../../shared/topic.ts'
import type { Broker } from '../broker/broker.ts'
import { encodeRest, Message } from './message.ts'
import { Publication, type Settle } from './publication.ts'
import type { Subscription } from './subscription.ts'
import { SubscriptionIndex } from './subscription-index.ts'

/** Says which streams capture a topic. */
export interface Captures {
  streamsOf(words: readonly string[]): readonly string[]
}

/** What is known of a topic. */
interface Route {
  readonly words: readonly string[]
  readonly streams: readonly string[]
}

/** Topics of which the route is remembered; beyond that the memory starts anew. */
const REMEMBERED_TOPICS = 10_000

/** Publishes: to the broker what has to be kept, and to the subscriptions that match. */
export class Topics {
  private readonly index = new SubscriptionIndex()
  private readonly broker: Broker
  private readonly captures: Captures
  private readonly routes = new Map<string, Route>()
  // An id is the hub's random prefix and a count: unique like a nanoid, at a fraction of its cost.
  private readonly idPrefix = `${nanoid(10)}.`
  private lastStamp = 0
  private lastId = 0

  constructor(broker: Broker, captures: Captures) {
    this.broker = broker
    this.captures = captures
  }

  get subscriptionCount(): number {
    return this.index.size
  }

  subscribe(subscription: Subscription): void {
    this.index.add(subscription)
  }

  unsubscribe(subscription: Subscription): void {
    this.index.remove(subscription)
  }

  /** To be called when the streams are others. */
  forgetRoutes(): void {
    this.routes.clear()
  }

  nextStamp(): number {
    return ++this.lastStamp
  }

  /**
   * Publishes. A message that nothing keeps reaches its subscriptions now; one that a stream captures when it is safe.
   * Throws `bad_topic`, `reserved_topic`, `bad_frame`, and `connection_lost` for a retry of what nothing keeps: whether
   * the first try came through is not known.
   */
  publish(frame: PublishFrame, settle: Settle): void {
    const route = this.routeOf(frame.topic)
    const id = frame.id ?? this.idPrefix + (++this.lastId).toString(36)
    if (route.streams.length > 0) {
      this.broker.publish(new Publication(frame, id, route, this, settle))
      return
    }
    if (frame.retry === true) throw new FanfareError('connection_lost')
    this.fanOut(new Message(frame, id, route.words, this.nextStamp(), encodeRest(frame)))
    settle(undefined, { id, duplicate: false, positions: undefined })
  }

  /** Delivers to every subscription that matches. */
  fanOut(message: Message): void {
    if (message.expiresAt !== undefined && message.expiresAt <= Date.now()) return
    for (const subscriptions of this.index.match(message.words)) {
      for (const subscription of subscriptions) {
        const { filter, feed } = subscription
        if (filter !== undefined && !passesFilter(filter, message.headers)) continue
        if (feed === undefined || feed.takes(message)) subscription.recipient.deliver(message, subscription)
      }
    }
  }

  private routeOf(topic: string): Route {
    const known = this.routes.get(topic)
    if (known) return known
    const words = parseTopic(topic)
    if (topic.startsWith('$')) throw new FanfareError('reserved_topic')
    if (this.routes.size >= REMEMBERED_TOPICS) this.routes.clear()
    const route = { words, streams: this.captures.streamsOf(words) }
    this.routes.set(topic, route)
    return route
  }
}
