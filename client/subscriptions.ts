import type { MessageFrame } from '../shared/frames.ts'
import type { Asking } from './asking.ts'
import { ReceivedMessage } from './message.ts'
import type { MessageHandler, SubscribeOptions } from './subscribe-options.ts'
import { Subscription, type SubscriptionHost } from './subscription.ts'

/** Topics whose subscriptions are remembered at most. */
const REMEMBERED_TOPICS = 2000

/** The subscriptions of a client. A message names none: each topic is matched here, once. */
export class Subscriptions implements SubscriptionHost {
  readonly asking: Asking
  readonly #byNumber = new Map<number, Subscription>()
  readonly #byTopic = new Map<string, readonly Subscription[]>()

  constructor(asking: Asking) {
    this.asking = asking
  }

  add<Data>(pattern: string, options: SubscribeOptions, handler: MessageHandler<Data> | undefined): Subscription<Data> {
    const subscription = new Subscription<Data>(pattern, options, handler, this)
    this.asking.add(subscription)
    this.#byNumber.set(subscription.number, subscription as Subscription)
    this.#byTopic.clear()
    subscription.standing.watch(() => subscription.unsubscribe())
    return subscription
  }

  forget({ number }: Subscription): void {
    this.#byNumber.delete(number)
    this.#byTopic.clear()
  }

  /** `only`: it is for this subscription alone. */
  message(frame: MessageFrame, only: number | undefined): void {
    const { raw } = this.asking.session
    const message = new ReceivedMessage(frame, () => raw('data'))
    if (only !== undefined) {
      this.#byNumber.get(only)?.deliver(message)
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

  #matching(topic: string): readonly Subscription[] {
    const known = this.#byTopic.get(topic)
    if (known) return known
    const words = topic.split('.')
    const matching = [...this.#byNumber.values()].filter((subscription) => subscription.matches(words))
    if (this.#byTopic.size >= REMEMBERED_TOPICS) this.#byTopic.clear()
    this.#byTopic.set(topic, matching)
    return matching
  }
}
