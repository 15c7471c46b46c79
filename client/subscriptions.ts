import type { Clock } from '../shared/clock.ts'
import { errorFrom, type FanfareError } from '../shared/fanfare-error.ts'
import type {
  CommittedFrame,
  ErrorFrame,
  FeedFrame,
  GapFrame,
  MessageFrame,
  SubscribedFrame,
  SubscriptionFrame,
} from '../shared/frames.ts'
import { parseFrame } from '../shared/parse-frame.ts'
import { RecentMap } from '../shared/recent-map.ts'
import { messageOf } from './message.ts'
import type { Session } from './session.ts'
import type { Handler, SubscribeOptions } from './subscribe-options.ts'
import { Subscription, type SubscriptionHost } from './subscription.ts'

/** Topics whose subscriptions are remembered at least, the last ones; at most twice as many. */
const REMEMBERED_TOPICS = 1000

/** The subscriptions of a client. A message names none: each topic is matched here, once. */
export class Subscriptions implements SubscriptionHost {
  private readonly session: Session
  private readonly nextNumber: () => number
  private readonly bySub = new Map<number, Subscription>()
  private readonly byTopic = new RecentMap<string, readonly Subscription[]>(REMEMBERED_TOPICS)
  /** Ends that the hub has not confirmed. */
  private readonly ending = new Map<number, () => void>()

  constructor(session: Session, nextNumber: () => number) {
    this.session = session
    this.nextNumber = nextNumber
  }

  get clock(): Clock {
    return this.session.clock
  }

  add<Data>(pattern: string, options: SubscribeOptions, handler: Handler<Data> | undefined): Subscription<Data> {
    const subscription = new Subscription<Data>(pattern, this.nextNumber(), options, handler, this)
    // Before anything is sent: to the hub a frame of the wrong shape is a reason to close for good.
    parseFrame(subscription.frame)
    this.bySub.set(subscription.sub, subscription as Subscription)
    this.byTopic.clear()
    if (this.session.isOpen) this.write(JSON.stringify(subscription.frame))
    if (options.signal?.aborted) void subscription.unsubscribe()
    return subscription
  }

  write(frame: string): void {
    this.session.write(frame)
  }

  ended(which: Subscription | FanfareError | undefined): Promise<void> {
    if (which instanceof Subscription) return this.remove(which)
    for (const subscription of this.bySub.values()) subscription.end(which)
    this.bySub.clear()
    this.byTopic.clear()
    return Promise.resolve()
  }

  subscribeAll(): void {
    for (const subscription of this.bySub.values()) this.write(JSON.stringify(subscription.frame))
  }

  message(frame: MessageFrame, only: number | undefined): void {
    const message = messageOf(frame)
    if (only !== undefined) {
      this.bySub.get(only)?.deliver(message)
      return
    }
    for (const subscription of this.matching(message.topic))
      if (subscription.wants(message)) subscription.deliver(message)
  }

  gap(frame: GapFrame): void {
    this.bySub.get(frame.sub)?.gap(frame)
  }

  subscribed(frame: SubscribedFrame): void {
    this.bySub.get(frame.sub)?.subscribed(frame)
  }

  fed(frame: FeedFrame): void {
    this.bySub.get(frame.sub)?.fed(frame)
  }

  committed({ sub, offset }: CommittedFrame): void {
    this.bySub.get(sub)?.committed(offset)
  }

  /** Stores the positions of all cursors. */
  async commitAll(): Promise<void> {
    await Promise.allSettled([...this.bySub.values()].map((subscription) => subscription.commit()))
  }

  answered({ type, sub }: SubscriptionFrame): void {
    if (type === 'unsubscribed') this.confirmEnd(sub)
    else this.bySub.get(sub)?.answered(type)
  }

  refused(frame: ErrorFrame): void {
    const { sub, offset } = frame
    const subscription = this.bySub.get(sub as number)
    if (offset !== undefined) {
      subscription?.commitRefused(errorFrom(frame))
      return
    }
    this.confirmEnd(sub as number)
    if (!subscription) return
    this.forget(subscription)
    subscription.end(errorFrom(frame))
  }

  lost(): void {
    for (const confirm of this.ending.values()) confirm()
    this.ending.clear()
    for (const subscription of this.bySub.values()) subscription.lost()
  }

  private matching(topic: string): readonly Subscription[] {
    const known = this.byTopic.get(topic)
    if (known) return known
    const words = topic.split('.')
    const matching = [...this.bySub.values()].filter((subscription) => subscription.matches(words))
    this.byTopic.set(topic, matching)
    return matching
  }

  private remove(subscription: Subscription): Promise<void> {
    if (!this.bySub.has(subscription.sub)) return Promise.resolve()
    this.forget(subscription)
    if (!this.session.isOpen) return Promise.resolve()
    this.write(JSON.stringify({ type: 'unsubscribe', sub: subscription.sub }))
    return new Promise((resolve) => {
      this.ending.set(subscription.sub, resolve)
    })
  }

  private forget(subscription: Subscription): void {
    this.bySub.delete(subscription.sub)
    this.byTopic.clear()
  }

  private confirmEnd(sub: number): void {
    this.ending.get(sub)?.()
    this.ending.delete(sub)
  }
}
