import { nanoid } from 'nanoid'
import { type Clock, ownTime, wallTime } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { HeaderFilter, PublishFrame } from '../../shared/frames.ts'
import { passesFilter } from '../../shared/header-filter.ts'
import { PatternIndex } from '../../shared/pattern-index.ts'
import { QUEUE_TOPIC } from '../../shared/queues.ts'
import { RecentMap } from '../../shared/recent-map.ts'
import { parseTopic } from '../../shared/topic.ts'
import type { Broker } from '../broker/broker.ts'
import { isExpired } from '../broker/rules/expiry.ts'
import type { Check, Contracts } from './contracts.ts'
import { encodeRest, Message } from './message.ts'
import { type CountedTopic, type Destination, Publication, type Settle } from './publication.ts'
import type { Subscription } from './subscription.ts'

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

/** What keeps the messages of a topic. */
interface Route {
  readonly streams: readonly string[]
  readonly bindings: readonly QueueBinding[]
}

/** What is known of a topic. */
interface KnownTopic extends CountedTopic {
  /** Undefined: it is too large to be remembered for each topic, and a publish with it costs more than looking it up again. */
  route: Route | undefined
  /** What its data has to be, where a contract says so. */
  readonly check: Check | undefined
  /** Of the streams and bindings that the route is made of. */
  generation: number
  /** As of the last sample. */
  sampledTotal: number
  publishedPerSecond: number
}

const NEW_TOPIC = { publishedTotal: 0, underWay: 0, sampledTotal: 0, publishedPerSecond: 0 }
const NOWHERE = { streams: [], queues: [] }

/** Topics that are remembered at least, with their counts: those that were published to last; at most twice as many. */
const REMEMBERED_TOPICS = 20_000
/** Streams and bindings of a route that is remembered. */
const REMEMBERED_KEEPERS = 100

/** Publishes: to the broker what has to be kept, and to the subscriptions that match. */
export class Topics {
  /** Messages that were published since the hub started: a refused one, a duplicate, and the hub's own do not count. */
  publishedTotal = 0
  private readonly index = new PatternIndex<Subscription>()
  private readonly broker: Broker
  private readonly keepers: Keepers
  private readonly contracts: Contracts
  private readonly clock: Clock
  private readonly known = new RecentMap<string, KnownTopic>(REMEMBERED_TOPICS)
  private generation = 0
  // An id is the hub's random prefix and a count: unique like a nanoid, at a fraction of its cost.
  private readonly idPrefix = `${nanoid(10)}.`
  private lastStamp = 0
  private lastId = 0

  constructor(broker: Broker, keepers: Keepers, contracts: Contracts, clock: Clock) {
    this.broker = broker
    this.keepers = keepers
    this.contracts = contracts
    this.clock = clock
  }

  get subscriptionCount(): number {
    return this.index.size
  }

  /** Topics that are remembered. */
  get topicCount(): number {
    return this.known.size
  }

  subscribe(subscription: Subscription): void {
    this.index.add(subscription)
  }

  unsubscribe(subscription: Subscription): void {
    this.index.remove(subscription)
  }

  /** To be called when streams or bindings are others. */
  forgetRoutes(): void {
    this.generation++
  }

  now(): number {
    return this.clock.now()
  }

  ownTime(given: number): number {
    return ownTime(this.clock, given)
  }

  nextStamp(): number {
    return ++this.lastStamp
  }

  /**
   * Publishes. A message that nothing keeps reaches its subscriptions now, or after those of its topic that are still being
   * kept; one that a stream captures or a queue is bound to when it is safe. Throws `bad_topic`, `reserved_topic`, `no_queue`,
   * `bad_data`, `bad_frame`, and `connection_lost` for a retry of what nothing keeps: whether the first try came through is
   * not known. `publisher` is the subject of the publisher: an id is known as this publisher's only. `owner` is the same object
   * for all that one connection publishes.
   */
  publish(frame: PublishFrame, publisher: string | undefined, owner: object, settle: Settle): void {
    const topic = this.topicOf(frame.topic)
    const draft = this.draftFor(topic, frame, publisher, owner, settle)
    if (!draft && frame.retry === true) throw new FanfareError('connection_lost')
    if (draft || topic.underWay > 0) {
      const publication = draft ?? this.publicationOf(topic, frame, { publisher, ...NOWHERE }, owner, settle)
      publication.begin()
      this.broker.publish(publication)
      return
    }
    const id = this.idOf(frame)
    this.published(new Message(frame, id, topic.words, this.nextStamp(), encodeRest(frame)), topic)
    settle(undefined, { id, duplicate: false, positions: undefined, queues: undefined })
  }

  /** A publish for the broker, to be committed with something else, or to go out with it. Throws as `publish`. */
  draft(frame: PublishFrame, publisher: string | undefined, owner: object, settle: Settle): Publication {
    const topic = this.topicOf(frame.topic)
    const draft = this.draftFor(topic, frame, publisher, owner, settle)
    return draft ?? this.publicationOf(topic, frame, { publisher, ...NOWHERE }, owner, settle)
  }

  /** A message has been published: counts it, and delivers it. */
  published(message: Message, topic: CountedTopic): void {
    this.publishedTotal++
    topic.publishedTotal++
    // What is published straight to a queue is for its consumers only.
    if (!message.topic.startsWith(QUEUE_TOPIC)) this.fanOut(message)
  }

  /** Whether anybody subscribes to a topic. */
  isHeard(topic: string): boolean {
    return this.index.match(topic.split('.')).length > 0
  }

  /** Whether there is a subscriber to one of the hub's own topics that begin with this and a dot. */
  isHeardBelow(topic: string): boolean {
    return this.index.matchesBelow(topic.split('.'))
  }

  /** Works out the rates of the topics; to be called once in `seconds`. */
  sample(seconds: number): void {
    for (const [, topic] of this.known) {
      topic.publishedPerSecond = (topic.publishedTotal - topic.sampledTotal) / seconds
      topic.sampledTotal = topic.publishedTotal
    }
  }

  /** The topics that are remembered, with what is counted of them. */
  get counts(): Iterable<readonly [string, Readonly<KnownTopic>]> {
    return this.known
  }

  /** Publishes what the hub itself says, under one of its own topics. */
  announce(topic: string, data: unknown): void {
    const frame: PublishFrame = { type: 'publish', seq: 0, topic, data }
    this.fanOut(new Message(frame, this.idOf(frame), topic.split('.'), this.nextStamp(), encodeRest(frame)))
  }

  /** Delivers to every subscription that matches. */
  fanOut(message: Message): void {
    if (message.expiresAt !== undefined && isExpired(message.expiresAt, wallTime(this.clock))) return
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

  private draftFor(
    topic: KnownTopic,
    frame: PublishFrame,
    publisher: string | undefined,
    owner: object,
    settle: Settle,
  ): Publication | undefined {
    topic.check?.(frame.data)
    const { streams, bindings } = topic.route ?? this.matchingRoute(topic.words)
    if (streams.length === 0 && bindings.length === 0) return undefined
    const queues = queuesFor(bindings, frame)
    if (streams.length === 0 && queues.length === 0) return undefined
    return this.publicationOf(topic, frame, { publisher, streams, queues }, owner, settle)
  }

  private publicationOf(
    topic: KnownTopic,
    frame: PublishFrame,
    destination: Omit<Destination, 'topic'>,
    owner: object,
    settle: Settle,
  ): Publication {
    return new Publication(frame, this.idOf(frame), { topic, ...destination }, owner, this, settle)
  }

  private topicOf(name: string): KnownTopic {
    const known = this.known.get(name)
    if (known?.generation === this.generation) return known
    const words = known?.words ?? parseTopic(name)
    const route = remembered(name.startsWith('$') ? this.directRoute(name) : this.matchingRoute(words))
    const { generation } = this
    if (known) return Object.assign(known, { route, generation })
    const check = this.contracts.ofTopic(name, words)
    const topic = { words, route, check, generation, ...NEW_TOPIC }
    this.known.set(name, topic)
    return topic
  }

  private matchingRoute(words: readonly string[]): Route {
    return { streams: this.keepers.streamsOf(words), bindings: this.keepers.bindingsOf(words) }
  }

  /** Straight to a queue by its name. */
  private directRoute(topic: string): Route {
    if (!topic.startsWith(QUEUE_TOPIC)) throw new FanfareError('reserved_topic')
    const queue = topic.slice(QUEUE_TOPIC.length)
    if (!this.keepers.hasQueue(queue)) throw new FanfareError('no_queue', `There is no queue "${queue}"`)
    return { streams: [], bindings: [{ queue, match: undefined }] }
  }
}

function remembered(route: Route): Route | undefined {
  return route.streams.length + route.bindings.length > REMEMBERED_KEEPERS ? undefined : route
}

/** Each queue once, whichever of its bindings match. */
function queuesFor(bindings: readonly QueueBinding[], { headers }: PublishFrame): string[] {
  const queues = new Set<string>()
  for (const { queue, match } of bindings) {
    if (match === undefined || passesFilter(match, headers)) queues.add(queue)
  }
  return [...queues]
}
