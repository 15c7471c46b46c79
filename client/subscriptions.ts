import type { MessageFrame } from '../shared/frames.ts'
import type { Asking } from './asking.ts'
import { ReceivedMessage } from './message.ts'
import type { MessageHandler, SubscribeOptions } from './subscribe-options.ts'
import { Subscription, type SubscriptionHost } from './subscription.ts'

/** Maximum topics whose subscriptions are remembered. */
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

  /** `only`: the message is only for this subscription. */
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
      // One subscription's changes to a message must not reach the next one.
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
