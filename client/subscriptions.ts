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
import { RecentMap } from '../shared/recent-map.ts'
import type { Asking } from './asking.ts'
import { encodeChecked } from './encode-checked.ts'
import { ReceivedMessage } from './message.ts'
import type { Raw } from './received.ts'
import type { Session } from './session.ts'
import type { Handler, SubscribeOptions } from './subscribe-options.ts'
import { Subscription, type SubscriptionHost } from './subscription.ts'
import { throwLater } from './throw-later.ts'

/** Topics whose subscriptions are remembered at least, the last ones; at most twice as many. */
const REMEMBERED_TOPICS = 1000

/** The subscriptions of a client. A message names none: each topic is matched here, once. */
export class Subscriptions implements SubscriptionHost {
  readonly session: Session
  readonly #asking: Asking
  readonly #nextNumber: () => number
  readonly #bySub = new Map<number, Subscription>()
  readonly #byTopic = new RecentMap<string, readonly Subscription[]>(REMEMBERED_TOPICS)

  constructor(session: Session, asking: Asking, nextNumber: () => number) {
    this.session = session
    this.#asking = asking
    this.#nextNumber = nextNumber
  }

  add<Data>(pattern: string, options: SubscribeOptions, handler: Handler<Data> | undefined): Subscription<Data> {
    const subscription = new Subscription<Data>(pattern, this.#nextNumber(), options, handler, this)
    // Before anything is sent: to the hub a frame of the wrong shape is a reason to close for good.
    this.session.checkSize(encodeChecked(subscription.frame))
    this.#bySub.set(subscription.number, subscription as Subscription)
    this.#byTopic.clear()
    this.#asking.ask(subscription)
    if (options.signal?.aborted) void subscription.unsubscribe()
    return subscription
  }

  ended(subscription: Subscription): Promise<void> {
    if (!this.#forget(subscription)) return Promise.resolve()
    return this.#asking.withdraw(subscription)
  }

  /** The client is closed for good; without an error it closed itself. Returns those that nobody was told of. */
  endAll(error: FanfareError | undefined): number {
    const untold = [...this.#bySub.values()].filter((subscription) => !subscription.end(error))
    this.#bySub.clear()
    this.#byTopic.clear()
    return untold.length
  }

  askAll(): void {
    for (const subscription of this.#bySub.values()) this.#asking.ask(subscription)
  }

  message(frame: MessageFrame, only: number | undefined, raw: Raw): void {
    const message = new ReceivedMessage(frame, () => raw('data'))
    if (only !== undefined) {
      this.#bySub.get(only)?.deliver(message)
      return
    }
    let last: Subscription | undefined
    for (const subscription of this.#matching(message.topic)) {
      if (!subscription.wants(message)) continue
      // What one of them does to a message is not the next one's.
      last?.deliver(message.copy())
      last = subscription
    }
    last?.deliver(message)
  }

  gap(frame: GapFrame): void {
    this.#bySub.get(frame.sub)?.gap(frame)
  }

  subscribed(frame: SubscribedFrame): void {
    const subscription = this.#bySub.get(frame.sub)
    if (!subscription) return
    subscription.subscribed(frame)
    this.#asking.confirmed(subscription)
  }

  fed(frame: FeedFrame): void {
    this.#bySub.get(frame.sub)?.fed(frame)
  }

  committed({ sub, offset }: CommittedFrame): void {
    this.#bySub.get(sub)?.committed(offset)
  }

  /** Stores the positions of all cursors. */
  async commitAll(): Promise<void> {
    await Promise.allSettled([...this.#bySub.values()].map((subscription) => subscription.commit()))
  }

  answered({ type, sub }: SubscriptionFrame<'paused' | 'resumed'>): void {
    this.#bySub.get(sub)?.answered(type)
  }

  refused(frame: ErrorFrame): void {
    const { sub, offset } = frame
    const subscription = this.#bySub.get(sub as number)
    const error = errorFrom(frame)
    if (offset !== undefined) subscription?.commitRefused(error)
    else if (!subscription) return
    else if (this.#asking.retries(subscription, frame)) subscription.lost()
    else {
      this.#forget(subscription)
      if (!subscription.end(error)) throwLater(error)
    }
  }

  lost(): void {
    for (const subscription of this.#bySub.values()) subscription.lost()
  }

  #matching(topic: string): readonly Subscription[] {
    const known = this.#byTopic.get(topic)
    if (known) return known
    const words = topic.split('.')
    const matching = [...this.#bySub.values()].filter((subscription) => subscription.matches(words))
    this.#byTopic.set(topic, matching)
    return matching
  }

  #forget({ number }: Subscription): boolean {
    this.#byTopic.clear()
    return this.#bySub.delete(number)
  }
}
