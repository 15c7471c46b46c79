import { nanoid } from 'nanoid'
import type { Clock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { HeaderFilter, PublishFrame } from '../../shared/frames.ts'
import { passesFilter } from '../../shared/header-filter.ts'
import { QUEUE_TOPIC } from '../../shared/queues.ts'
import { parseTopic } from '../../shared/topic.ts'
import type { Broker } from '../broker/broker.ts'
import { encodeRest, Message } from './message.ts'
import { type Destination, Publication, type Settle } from './publication.ts'
import type { Subscription } from './subscription.ts'
import { SubscriptionIndex } from './subscription-index.ts'

/** A queue that wants the messages of a topic, if their headers pass. */
export interface QueueBinding {
  readonly queue: string
  readonly match: HeaderFilter | undefined
}

/** Says what keeps the messages of a topic. */
export interface Keepers {
  streamsOf(words: readonly string[]): readonly string[]
  bindingsOf(words: readonly string[]): readonly QueueBinding[]
  hasQueue(name: string): boolean
}

/** What is known of a topic. */
interface Route {
  readonly words: readonly string[]
  readonly streams: readonly string[]
  readonly bindings: readonly QueueBinding[]
}

/** Topics of which the route is remembered; beyond that the memory starts anew. */
const REMEMBERED_TOPICS = 10_000

/** Publishes: to the broker what has to be kept, and to the subscriptions that match. */
export class Topics {
  private readonly index = new SubscriptionIndex()
  private readonly broker: Broker
  private readonly keepers: Keepers
  private readonly clock: Clock
  private readonly routes = new Map<string, Route>()
  // An id is the hub's random prefix and a count: unique like a nanoid, at a fraction of its cost.
  private readonly idPrefix = `${nanoid(10)}.`
  private lastStamp = 0
  private lastId = 0

  constructor(broker: Broker, keepers: Keepers, clock: Clock) {
    this.broker = broker
    this.keepers = keepers
    this.clock = clock
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

  /** To be called when streams or bindings are others. */
  forgetRoutes(): void {
    this.routes.clear()
  }

  now(): number {
    return this.clock.now()
  }

  nextStamp(): number {
    return ++this.lastStamp
  }

  /**
   * Publishes. A message that nothing keeps reaches its subscriptions now; one that a stream captures or a queue is bound
   * to when it is safe. Throws `bad_topic`, `reserved_topic`, `no_queue`, `bad_frame`, and `connection_lost` for a retry
   * of what nothing keeps: whether the first try came through is not known.
   */
  publish(frame: PublishFrame, settle: Settle): void {
    const publication = this.draft(frame, settle)
    if (publication) {
      this.broker.publish(publication)
      return
    }
    if (frame.retry === true) throw new FanfareError('connection_lost')
    const { words } = this.routeOf(frame.topic)
    const id = this.idOf(frame)
    this.fanOut(new Message(frame, id, words, this.nextStamp(), encodeRest(frame)))
    settle(undefined, { id, duplicate: false, positions: undefined, queues: undefined })
  }

  /** A publish for the broker, to be committed with something else; undefined where nothing keeps it. Throws as `publish`. */
  draft(frame: PublishFrame, settle: Settle): Publication | undefined {
    const route = this.routeOf(frame.topic)
    const { streams, bindings } = route
    if (streams.length === 0 && bindings.length === 0) return undefined
    const queues = queuesFor(bindings, frame)
    if (streams.length === 0 && queues.length === 0) return undefined
    const destination: Destination = { words: route.words, streams, queues }
    return new Publication(frame, this.idOf(frame), destination, this, settle)
  }

  /** Publishes what the hub itself says, under one of its own topics. */
  announce(topic: string, data: unknown): void {
    const frame: PublishFrame = { type: 'publish', seq: 0, topic, data }
    this.fanOut(new Message(frame, this.idOf(frame), topic.split('.'), this.nextStamp(), encodeRest(frame)))
  }

  /** Delivers to every subscription that matches. */
  fanOut(message: Message): void {
    if (message.expiresAt !== undefined && message.expiresAt <= this.clock.now()) return
    for (const subscriptions of this.index.match(message.words)) {
      for (const subscription of subscriptions) {
        const { filter, feed } = subscription
        if (filter !== undefined && !passesFilter(filter, message.headers)) continue
        if (feed === undefined || feed.takes(message)) subscription.recipient.deliver(message, subscription)
      }
    }
  }

  private idOf({ id }: PublishFrame): string {
    return id ?? this.idPrefix + (++this.lastId).toString(36)
  }

  private routeOf(topic: string): Route {
    const known = this.routes.get(topic)
    if (known) return known
    const words = parseTopic(topic)
    const route = topic.startsWith('$') ? this.directRoute(topic, words) : this.matchingRoute(words)
    if (this.routes.size >= REMEMBERED_TOPICS) this.routes.clear()
    this.routes.set(topic, route)
    return route
  }

  private matchingRoute(words: readonly string[]): Route {
    return { words, streams: this.keepers.streamsOf(words), bindings: this.keepers.bindingsOf(words) }
  }

  /** Straight to a queue by its name. */
  private directRoute(topic: string, words: readonly string[]): Route {
    if (!topic.startsWith(QUEUE_TOPIC)) throw new FanfareError('reserved_topic')
    const queue = topic.slice(QUEUE_TOPIC.length)
    if (!this.keepers.hasQueue(queue)) throw new FanfareError('no_queue', `There is no queue "${queue}"`)
    return { words, streams: [], bindings: [{ queue, match: undefined }] }
  }
}

/** Each queue once, whichever of its bindings match. */
function queuesFor(bindings: readonly QueueBinding[], { headers }: PublishFrame): string[] {
  const queues = new Set<string>()
  for (const { queue, match } of bindings) {
    if (match === undefined || passesFilter(match, headers)) queues.add(queue)
  }
  return [...queues]
}
