import { type Clock, ownTime, wallTime } from '../../shared/clock.ts'
import { quoted } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { HeaderFilter, MessageHeaders, PublishFrame } from '../../shared/frames.ts'
import { passesFilter } from '../../shared/header-filter.ts'
import { PatternIndex } from '../../shared/pattern-index.ts'
import { QUEUE_TOPIC } from '../../shared/queues.ts'
import { RawJson } from '../../shared/raw-json.ts'
import { RecentMap } from '../../shared/recent-map.ts'
import { parseTopic } from '../../shared/topic.ts'
import type { Broker, CommittedMessage, Route } from '../broker/broker.ts'
import { compose } from '../broker/compose.ts'
import { isExpired } from '../broker/rules/expiry.ts'
import type { Bus, LiveMessage } from '../bus/bus.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import { randomId } from '../id/random-id.ts'
import type { Check, Contracts } from './contracts.ts'
import { Encoded } from './encoded.ts'
import { encodeRest, Message } from './message.ts'
import { type Asker, type CountedTopic, isKept, Publication, type Publishing } from './publication.ts'
import type { Subscription } from './subscription.ts'

/** A queue that is bound to a topic, for messages whose headers match. */
export interface QueueBinding {
  readonly queue: string
  readonly match: HeaderFilter | undefined
}

/** Tells what stores the messages of a topic. */
export interface Keepers {
  streamsOf(words: readonly string[]): readonly string[]
  bindingsOf(words: readonly string[]): readonly QueueBinding[]
  hasQueue(name: string): boolean
}

/** What may store the messages of a topic. */
interface Keeping {
  readonly streams: readonly string[]
  readonly bindings: readonly QueueBinding[]
}

/** What the hub remembers of a topic. */
interface KnownTopic extends CountedTopic {
  /** Undefined if it is too large to be remembered per topic; a publish with it costs more than looking it up again. */
  keeping: Keeping | undefined
  /** The route of all messages of the topic, if headers make no difference to it. */
  route: Route | undefined
  /** Generation of the declarations that these are computed from. */
  generation: number
  /** The check of its data, if a contract covers it. */
  readonly check: Check | undefined
  /** As of the last sample. */
  sampledTotal: number
  publishedPerSecond: number
}

const NEW_TOPIC = { publishedTotal: 0, underWay: 0, sampledTotal: 0, publishedPerSecond: 0 }

/** Number of most recently published topics that are remembered, with their counts; at most twice as many. */
const REMEMBERED_TOPICS = 20_000
/** Maximum streams and bindings of a route that is remembered. */
const REMEMBERED_KEEPERS = 100

/**
 * Publishing. On a topic that nothing may store, a message goes directly to the matching subscriptions, and over the bus to those
 * of other nodes. On all other topics it goes to the broker, even if nothing stores it, and to the subscriptions of each node when
 * the broker reports it there: this preserves each publisher's order.
 */
export class Topics implements Publishing {
  /** Messages published since the hub started, without refused ones, duplicates, and the hub's own. */
  publishedTotal = 0
  private readonly index = new PatternIndex<Subscription>()
  /** Subscriptions that are not confirmed yet: nothing is delivered to them. */
  private readonly pending = new Set<Subscription>()
  private readonly broker: Broker
  private readonly bus: Pick<Bus, 'publish' | 'subscribe' | 'unsubscribe'>
  private readonly keepers: Keepers
  private readonly contracts: Contracts
  private readonly clock: Clock
  private readonly unexpected: UnexpectedErrors
  private readonly known = new RecentMap<string, KnownTopic>(REMEMBERED_TOPICS)
  /** Topics with publishes in progress, however many other topics are published to in the meantime: the next publish must not overtake them. */
  private readonly busy = new Map<string, KnownTopic>()
  // An id is the hub's random prefix and a counter: unique like a random one, at a fraction of the cost.
  private readonly idPrefix = `${randomId(10)}.`
  private lastStamp = 0
  private lastId = 0

  constructor(
    broker: Broker,
    bus: Pick<Bus, 'publish' | 'subscribe' | 'unsubscribe'>,
    keepers: Keepers,
    contracts: Contracts,
    clock: Clock,
    unexpected: UnexpectedErrors,
  ) {
    this.unexpected = unexpected
    this.broker = broker
    this.bus = bus
    this.keepers = keepers
    this.contracts = contracts
    this.clock = clock
  }

  get subscriptionCount(): number {
    return this.index.size
  }

  /** Number of remembered topics. */
  get topicCount(): number {
    return this.known.size
  }

  /**
   * Delivers to a subscription what any node publishes from the moment in which `stands` is called: immediately, unless the bus has
   * to tell other nodes first. Subscriptions fed from a stream do not need the bus.
   */
  subscribe(subscription: Subscription, stands: () => void): void {
    const begin = () => {
      this.index.add(subscription)
      stands()
    }
    const waits = subscription.feed ? undefined : this.bus.subscribe(subscription.words)
    if (!waits) return begin()
    this.pending.add(subscription)
    void waits.then(() => {
      if (this.pending.delete(subscription)) begin()
    })
  }

  unsubscribe(subscription: Subscription): void {
    if (!this.pending.delete(subscription)) this.index.remove(subscription)
    if (!subscription.feed) this.bus.unsubscribe(subscription.words)
  }

  now(): number {
    return this.clock.now()
  }

  ownTime(given: number): number {
    return ownTime(this.clock, given)
  }

  /**
   * Publishes. Throws `bad_topic`, `reserved_topic`, `no_queue`, `bad_data`, `bad_frame`, and `connection_lost` for a retry of a
   * message that nothing stores, since it is unknown whether the first attempt succeeded. `publisher` is the subject of the
   * publisher: ids are deduplicated per publisher. `owner` is the same object for all publishes of one connection.
   */
  publish(frame: PublishFrame, publisher: string | undefined, owner: object, asker: Asker): void {
    const topic = this.topicOf(frame.topic)
    if (topic.underWay > 0 || topic.route === undefined || isKept(topic.route)) {
      const publication = this.publicationOf(topic, frame, publisher, owner, asker)
      publication.begin()
      this.broker.publish(publication)
      return
    }
    topic.check?.(frame.data)
    requireFirstTry(frame)
    const id = this.idOf(frame)
    this.count(topic)
    const message = this.messageOf(frame, id, topic.words)
    this.fanOut(message)
    this.bus.publish(message)
    asker.published(frame, id, undefined)
  }

  /** A publish for the broker, to be committed together with something else. Throws as `publish`. */
  draft(frame: PublishFrame, publisher: string | undefined, owner: object, asker: Asker): Publication {
    return this.publicationOf(this.topicOf(frame.topic), frame, publisher, owner, asker)
  }

  /** Delivers what the broker has committed. */
  committed(batch: readonly CommittedMessage[]): void {
    for (const message of batch) {
      try {
        this.deliver(message)
      } catch (error) {
        // It must not keep the other messages from their subscribers.
        this.unexpected.report('broker', error)
      }
    }
  }

  /** Delivers messages published at other nodes. */
  received(batch: readonly LiveMessage[]): void {
    for (const message of batch) this.unexpected.run('bus', () => this.deliverLive(message))
  }

  /** Messages of other nodes may be missing, on topics of the patterns that `concerns` selects: reports this to the live subscriptions. */
  missed(concerns: (pattern: readonly string[]) => boolean): void {
    // All of them are collected first: a recipient that ends because of it leaves the index.
    const concerned = [...this.index.entries()].filter(({ feed, words }) => !feed && concerns(words))
    for (const subscription of concerned) subscription.recipient.missed(subscription)
  }

  // For publications

  routeOf(frame: PublishFrame): Route {
    return this.routeIn(this.topicOf(frame.topic), frame)
  }

  begun(name: string, topic: CountedTopic): void {
    if (topic.underWay++ === 0) this.busy.set(name, topic as KnownTopic)
  }

  answered(name: string, topic: CountedTopic): void {
    if (--topic.underWay === 0) this.busy.delete(name)
  }

  count(topic: CountedTopic): void {
    this.publishedTotal++
    topic.publishedTotal++
  }

  /** Whether a topic has subscribers. */
  isHeard(topic: string): boolean {
    return this.index.match(topic.split('.')).length > 0
  }

  /** Whether any of the hub's own topics that begin with this and a dot has a subscriber. */
  isHeardBelow(topic: string): boolean {
    return this.index.matchesBelow(topic.split('.'))
  }

  /** Computes the rates of the topics. Call once every `seconds`. */
  sample(seconds: number): void {
    for (const [, topic] of this.known) {
      topic.publishedPerSecond = (topic.publishedTotal - topic.sampledTotal) / seconds
      topic.sampledTotal = topic.publishedTotal
    }
  }

  /** The remembered topics with their counts. */
  get counts(): Iterable<readonly [string, Readonly<KnownTopic>]> {
    return this.known
  }

  /** Publishes a message of the hub itself, under one of its own topics, to the subscriptions of this node. */
  announce(topic: string, data: unknown): void {
    const frame: PublishFrame = { type: 'publish', seq: 0, topic, data }
    this.fanOut(this.messageOf(frame, this.idOf(frame), topic.split('.')))
  }

  private deliver(committed: CommittedMessage): void {
    const { parts } = committed
    // Messages published directly to a queue are for its consumers only.
    if (parts.topic.startsWith(QUEUE_TOPIC)) return
    const words = this.wordsOf(parts.topic)
    // The wire form is composed only if it is asked for: a node hears all commits, and most of them interest no client of it.
    const found = this.index.match(words)
    if (found.length === 0) return
    const { wire, placement } = committed
    const encoded = new Encoded(wire, undefined, parts.id)
    this.fanOut(new Message(parts, parts.id, words, ++this.lastStamp, encoded, placement?.offsets), found)
  }

  private deliverLive(message: LiveMessage): void {
    const { id, topic, wire } = message
    const { text, record, bytes } = wire
    const encoded = new Encoded(text ?? (record as Uint8Array), undefined, id, text?.length === bytes)
    this.fanOut(new Message(message, id, this.wordsOf(topic), ++this.lastStamp, encoded))
  }

  private wordsOf(topic: string): readonly string[] {
    return this.known.get(topic)?.words ?? topic.split('.')
  }

  private messageOf(frame: PublishFrame, id: string, words: readonly string[]): Message {
    const { topic, data, key, headers } = frame
    const payload = data instanceof Uint8Array ? data : undefined
    const wire = compose({ id, topic, rest: encodeRest(frame), payload }, undefined)
    const isAscii = data instanceof RawJson && data.isAscii && key === undefined && headers === undefined
    return new Message(frame, id, words, ++this.lastStamp, new Encoded(wire, undefined, id, isAscii))
  }

  /** Delivers to every matching subscription. */
  private fanOut(message: Message, found = this.index.match(message.words)): void {
    if (message.expiresAt !== undefined && isExpired(message.expiresAt, wallTime(this.clock))) return
    for (const subscriptions of found) {
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

  private publicationOf(
    topic: KnownTopic,
    frame: PublishFrame,
    publisher: string | undefined,
    owner: object,
    asker: Asker,
  ): Publication {
    topic.check?.(frame.data)
    const route = this.routeIn(topic, frame)
    return new Publication(frame, this.idOf(frame), { publisher, owner, topic, route }, this, asker)
  }

  private routeIn(topic: KnownTopic, frame: PublishFrame): Route {
    const route = topic.route ?? routeWith(topic.keeping ?? this.keepingOf(topic.words), frame, topic.generation)
    if (!isKept(route)) requireFirstTry(frame)
    return route
  }

  private topicOf(name: string): KnownTopic {
    const { generation } = this.broker
    const known = this.known.get(name) ?? this.busy.get(name)
    if (known?.generation === generation) return known
    const words = known?.words ?? parseTopic(name)
    const all = name.startsWith('$') ? this.directly(name) : this.keepingOf(words)
    const keeping = remembered(all)
    const route = keeping && regardlessOfHeaders(keeping) ? routeWith(keeping, NO_HEADERS, generation) : undefined
    if (known) return Object.assign(known, { keeping, route, generation })
    const check = this.contracts.ofTopic(name, words)
    const topic = { words, keeping, route, check, generation, ...NEW_TOPIC }
    this.known.set(name, topic)
    return topic
  }

  private keepingOf(words: readonly string[]): Keeping {
    return { streams: this.keepers.streamsOf(words), bindings: this.keepers.bindingsOf(words) }
  }

  /** Directly to a queue by its name. */
  private directly(topic: string): Keeping {
    if (!topic.startsWith(QUEUE_TOPIC))
      throw new FanfareError(
        'reserved_topic',
        `Topics that begin with $ are reserved for the hub (got ${quoted(topic)}).`,
      )
    const queue = topic.slice(QUEUE_TOPIC.length)
    if (!this.keepers.hasQueue(queue))
      throw new FanfareError('no_queue', `There is no queue ${quoted(queue)}. Declare it, or correct its name.`)
    return { streams: [], bindings: [{ queue, match: undefined }] }
  }
}

function remembered(keeping: Keeping): Keeping | undefined {
  return keeping.streams.length + keeping.bindings.length > REMEMBERED_KEEPERS ? undefined : keeping
}

function regardlessOfHeaders({ bindings }: Keeping): boolean {
  return bindings.every(({ match }) => match === undefined)
}

const NO_HEADERS = {}
const NO_QUEUES: readonly string[] = []

function routeWith(
  { streams, bindings }: Keeping,
  { headers }: Pick<PublishFrame, 'headers'>,
  generation: number,
): Route {
  return { generation, streams, queues: bindings.length === 0 ? NO_QUEUES : queuesFor(bindings, headers) }
}

/** Each queue once, whichever of its bindings match. */
function queuesFor(bindings: readonly QueueBinding[], headers: MessageHeaders | undefined): string[] {
  const queues = new Set<string>()
  for (const { queue, match } of bindings) {
    if (match === undefined || passesFilter(match, headers)) queues.add(queue)
  }
  return [...queues]
}

/**
 * Refuses a retry on a topic that nothing stores: it is unknown whether the first attempt succeeded, and a second message would not
 * be detected.
 */
function requireFirstTry({ retry }: PublishFrame): void {
  if (retry === true) throw new FanfareError('connection_lost')
}
