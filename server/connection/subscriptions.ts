import type { Clock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { CommitFrame, HeaderFilter, SubscribeFrame } from '../../shared/frames.ts'
import type { SubscriptionInfo } from '../../shared/sys.ts'
import { parsePattern } from '../../shared/topic.ts'
import type { Access } from '../auth/access.ts'
import type { Broker } from '../broker/broker.ts'
import type { SubscriptionBudget } from '../limit/subscription-budget.ts'
import { Feed } from '../stream/feed.ts'
import type { Streams } from '../stream/streams.ts'
import { Subscription } from '../topic/subscription.ts'
import type { Topics } from '../topic/topics.ts'
import type { Outbox } from './outbox.ts'

/** Maximum cursors per subject and stream, if the subject may not read the whole stream. */
const OWN_CURSORS = 100

/** Approximate memory of a subscription's feed, including the names of its stream and cursor. */
const FEED_BYTES = 800

/** What the subscriptions of all connections share. */
export interface SubscriptionParts {
  readonly topics: Topics
  readonly streams: Streams
  readonly broker: Broker
  readonly budget: SubscriptionBudget
  readonly clock: Clock
  /** Maximum subscriptions per connection. */
  readonly most: number
}

/** The subscriptions of one connection: live ones and those fed from a stream. */
export class Subscriptions {
  private readonly parts: SubscriptionParts
  private readonly outbox: Outbox
  private readonly bySub = new Map<number, Subscription>()
  private feeds: Map<Subscription, Feed> | undefined = undefined

  constructor(parts: SubscriptionParts, outbox: Outbox) {
    this.parts = parts
    this.outbox = outbox
  }

  subscribe(frame: SubscribeFrame): void {
    const { sub, pattern, filter } = frame
    const words = parsePattern(pattern)
    if (this.bySub.has(sub))
      throw new FanfareError(
        'subscription_exists',
        `The connection already has a subscription ${sub}. Choose another number, or unsubscribe first.`,
      )
    if (this.bySub.size >= this.parts.most) throw tooMany(this.parts.most)
    const onStream =
      frame.stream !== undefined || frame.from !== undefined || frame.cursor !== undefined || frame.policy === 'pause'
    const stream = onStream ? this.parts.streams.streamFor(frame) : undefined
    const policy = frame.policy ?? (onStream ? 'pause' : 'drop-oldest')
    const subscription = new Subscription(this.outbox, sub, words, filter && knownPart(filter), policy)
    this.parts.budget.take(subscription.bytes + (stream === undefined ? 0 : FEED_BYTES))
    this.bySub.set(sub, subscription)
    this.outbox.subscriptionsAre(this.bySub)
    if (stream !== undefined) this.feed(subscription, stream, frame)
    this.parts.topics.subscribe(subscription, () => {
      // A feed confirms the subscription itself, with its position.
      if (stream === undefined) this.outbox.send({ type: 'subscribed', sub })
    })
  }

  has(sub: number): boolean {
    return this.bySub.has(sub)
  }

  unsubscribe(sub: number): void {
    this.drop(this.get(sub))
    this.outbox.send({ type: 'unsubscribed', sub })
  }

  pause(sub: number): void {
    const subscription = this.get(sub)
    const feed = this.feeds?.get(subscription)
    if (feed) feed.pause()
    else this.outbox.pause(subscription)
    this.outbox.send({ type: 'paused', sub })
  }

  resume(sub: number): void {
    const subscription = this.get(sub)
    const feed = this.feeds?.get(subscription)
    if (!feed) this.outbox.resume(subscription)
    this.outbox.send({ type: 'resumed', sub })
    feed?.resume()
  }

  /** Stores a position under the subscription's cursor, and confirms it once it is durable. */
  async commit({ sub, offset }: CommitFrame, access: Access): Promise<void> {
    const feed = this.feeds?.get(this.get(sub))
    if (feed?.cursor === undefined)
      throw new FanfareError('no_cursor', `Subscription ${sub} has no cursor. Name one when you subscribe.`)
    if (!access.mayReadAll(this.parts.streams.topicsOf(feed.stream))) {
      await this.requireFewOwn(feed.stream, feed.cursor, access)
    }
    await this.parts.broker.setCursor(feed.stream, feed.cursor, offset)
    this.outbox.send({ type: 'committed', sub, offset })
  }

  /** A client that may read only part of a stream must not use up its cursors. Throws `cursor_limit`. */
  private async requireFewOwn(stream: string, cursor: string, { ownCursors, subject }: Access): Promise<void> {
    const { broker } = this.parts
    if (await broker.cursor(stream, cursor)) return
    const own = await broker.cursors(stream, { ...(ownCursors && { prefix: ownCursors }), limit: OWN_CURSORS })
    if (own.length < OWN_CURSORS) return
    throw new FanfareError(
      'cursor_limit',
      `"${subject.slice(0, 100)}" has ${OWN_CURSORS} cursors in stream "${stream}", the maximum for a client that sees a part of it.`,
    )
  }

  /** Ends the subscriptions that `check` refuses. */
  recheck(check: (frame: SubscribeFrame) => void, refuse: (error: unknown, about: object) => void): void {
    for (const subscription of this.bySub.values()) {
      const { sub, words } = subscription
      const feed = this.feeds?.get(subscription)
      const stored = feed?.cursor === undefined ? {} : { stream: feed.stream, cursor: feed.cursor }
      try {
        check({ type: 'subscribe', sub, pattern: words.join('.'), ...stored })
      } catch (error) {
        this.drop(subscription)
        refuse(error, { sub })
      }
    }
  }

  get count(): number {
    return this.bySub.size
  }

  /** Whether a text in lower case occurs in one of their patterns. */
  mention(text: string): boolean {
    for (const { words } of this.bySub.values()) if (words.join('.').toLowerCase().includes(text)) return true
    return false
  }

  /** The first `most` subscriptions as operators see them. */
  info(most: number): SubscriptionInfo[] {
    const infos: SubscriptionInfo[] = []
    for (const subscription of this.bySub.values()) {
      if (infos.length >= most) break
      const { sub, words, policy, droppedTotal } = subscription
      const feed = this.feeds?.get(subscription)
      infos.push({
        sub,
        pattern: words.join('.'),
        policy,
        ...(feed && { stream: feed.stream }),
        paused: feed ? feed.isPaused : this.outbox.isPaused(subscription),
        behind: feed?.behind ?? false,
        droppedTotal,
      })
    }
    return infos
  }

  /** Ends a subscription whose client has already been notified. */
  drop(subscription: Subscription): void {
    if (!this.bySub.delete(subscription.sub)) return
    this.end(subscription)
    this.outbox.forget(subscription)
    this.outbox.subscriptionsAre(this.bySub)
  }

  /** Releases all subscriptions, because the connection has ended. */
  release(): void {
    for (const subscription of this.bySub.values()) this.end(subscription)
    this.bySub.clear()
  }

  private end(subscription: Subscription): void {
    const { topics, budget } = this.parts
    topics.unsubscribe(subscription)
    budget.giveBack(subscription.bytes)
    const feed = this.feeds?.get(subscription)
    if (feed) this.endFeed(subscription, feed)
  }

  private get(sub: number): Subscription {
    const subscription = this.bySub.get(sub)
    if (!subscription) throw unknownSubscription(sub)
    return subscription
  }

  private feed(subscription: Subscription, stream: string, { from, cursor, resumes = false }: SubscribeFrame): void {
    const { broker, clock, streams, budget } = this.parts
    const start = { stream, from, cursor, resumes }
    const shared = { reads: streams.reads, budget, clock }
    const feed = new Feed(broker, subscription, start, this.outbox, shared)
    subscription.feed = feed
    this.feeds ??= new Map()
    this.feeds.set(subscription, feed)
    this.outbox.sources.add(feed)
    streams.attach(feed)
  }

  private endFeed(subscription: Subscription, feed: Feed): void {
    feed.end()
    this.feeds?.delete(subscription)
    this.outbox.sources.delete(feed)
    this.parts.streams.detach(feed)
    this.parts.budget.giveBack(FEED_BYTES)
  }
}

/** Drops fields that this version does not know: they can be of any size, and the subscription would keep them. */
function knownPart(filter: HeaderFilter): HeaderFilter {
  return 'all' in filter ? { all: filter.all } : { any: filter.any }
}

export function tooMany(most: number): FanfareError {
  return new FanfareError(
    'too_many_subscriptions',
    `The connection has ${most} subscriptions, the maximum (subscriptions). Unsubscribe, or use a pattern.`,
  )
}

export function unknownSubscription(sub: number): FanfareError {
  return new FanfareError('unknown_subscription', `The connection has no subscription ${sub}. Subscribe first.`)
}
