import type { Clock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type {
  AckFrame,
  BeginFrame,
  ConsumeFrame,
  ExtendFrame,
  NackFrame,
  PublishFrame,
  RejectFrame,
  ReturnFrame,
} from '../../shared/frames.ts'
import { DEFAULT_PREFETCH } from '../../shared/queues.ts'
import type { ConsumerInfo } from '../../shared/sys.ts'
import type { Broker, Ending } from '../broker/broker.ts'
import type { SubscriptionBudget } from '../limit/subscription-budget.ts'
import { Consumer } from '../queue/consumer.ts'
import type { Queues } from '../queue/queues.ts'
import type { Asker, Publication } from '../topic/publication.ts'
import type { Topics } from '../topic/topics.ts'
import type { Outbox } from './outbox.ts'

type SettlingFrame = AckFrame | NackFrame | RejectFrame

/** Approximate memory of a consumer, without its leased messages. */
const CONSUMER_BYTES = 1600

/** Messages published by an ack have no receipts of their own. */
const UNASKED: Asker = { published() {}, notPublished() {} }

/** What the consumers of all connections share. */
export interface ConsumerParts {
  readonly queues: Queues
  readonly topics: Topics
  readonly broker: Broker
  readonly budget: SubscriptionBudget
  readonly clock: Clock
  /** Maximum consumers per connection. */
  readonly most: number
}

/** The consumers of one connection. */
export class Consumers {
  private readonly parts: ConsumerParts
  private readonly connection: string
  /** Identifies the connection to the broker. */
  private readonly owner: object
  private readonly outbox: Outbox
  private readonly refuse: (error: unknown, frame: unknown) => void
  private readonly byNumber = new Map<number, Consumer>()

  constructor(
    parts: ConsumerParts,
    connection: string,
    owner: object,
    outbox: Outbox,
    refuse: (error: unknown, frame: unknown) => void,
  ) {
    this.parts = parts
    this.connection = connection
    this.owner = owner
    this.outbox = outbox
    this.refuse = refuse
  }

  consume(frame: ConsumeFrame): void {
    const { consumer: number, queue, prefetch = DEFAULT_PREFETCH } = frame
    if (this.byNumber.has(number))
      throw new FanfareError(
        'consumer_exists',
        `The connection already has a consumer ${number}. Choose another number, or cancel it first.`,
      )
    if (this.byNumber.size >= this.parts.most) {
      throw new FanfareError(
        'too_many_subscriptions',
        `The connection has ${this.parts.most} consumers, the maximum (subscriptions).`,
      )
    }
    const { queues, broker, clock } = this.parts
    const { ackDeadlineMs: ofQueue } = queues.options(queue)
    const { ackDeadlineMs = ofQueue, begins = false } = frame
    const told = { consumer: number, queue, prefetch, ackDeadlineMs, begins }
    const consumer = new Consumer({ ...told, connection: this.connection }, broker, clock, this.outbox, {
      nextDelivery: () => queues.nextDelivery(),
      creditChanged: (name) => queues.deal(name),
      lookBy: (each, time) => queues.lookBy(each, time),
      ranOut: (each, lease, silent) => queues.ranOut(each, lease, silent),
      reclaim: (name, seq) => queues.reclaim(name, seq),
      failed: (failed, error) => {
        this.forget(failed)
        this.refuse(error, { consumer: number })
      },
    })
    this.parts.budget.take(CONSUMER_BYTES)
    this.byNumber.set(number, consumer)
    this.outbox.sources.add(consumer)
    this.outbox.send({ type: 'consuming', ...told })
    queues.attach(consumer)
  }

  // These only report a state, and are never refused: the consumer may have ended by the time they arrive.

  begin({ consumer, delivery }: BeginFrame): void {
    this.byNumber.get(consumer)?.begin(delivery)
  }

  return({ consumer, deliveries }: ReturnFrame): void {
    this.byNumber.get(consumer)?.return(deliveries)
  }

  stop(consumer: number): void {
    this.byNumber.get(consumer)?.stop()
  }

  cancel(number: number): void {
    const consumer = this.get(number)
    this.forget(consumer)
    consumer.end(false)
    this.outbox.send({ type: 'cancelled', consumer: number })
  }

  /** `publisher`: the subject of the client that settles the delivery, for messages that its ack publishes. */
  settle(frame: SettlingFrame, publisher: string | undefined): void {
    const consumer = this.get(frame.consumer)
    const { delivery } = frame
    const drafts = frame.type === 'ack' ? this.draftsOf(frame, publisher) : []
    const lease = consumer.leaseOf(delivery, frame.type === 'ack')
    if (!lease)
      throw new FanfareError(
        'lease_lost',
        `Delivery ${delivery} is not leased: it was settled, or its ack deadline passed.`,
      )
    for (const draft of drafts) draft.begin()
    consumer.settle(lease, endingOf(frame), drafts, (error) => {
      for (const draft of drafts) draft.refused(error)
      this.refuse(error, frame)
    })
  }

  extend({ consumer: number, delivery, ms }: ExtendFrame): void {
    const consumer = this.get(number)
    if (!consumer.extend(delivery, ms))
      throw new FanfareError(
        'lease_lost',
        `Delivery ${delivery} is not leased: it was settled, or its ack deadline passed.`,
      )
  }

  /** Ends the consumers that `check` refuses, and returns their messages. */
  recheck(check: (frame: ConsumeFrame) => void): void {
    for (const consumer of this.byNumber.values()) {
      const { consumer: number, queue } = consumer.options
      try {
        check({ type: 'consume', consumer: number, queue })
      } catch (error) {
        this.forget(consumer)
        consumer.end(false)
        this.refuse(error, { consumer: number })
      }
    }
  }

  get count(): number {
    return this.byNumber.size
  }

  /** Whether a text in lower case occurs in the name of one of their queues. */
  mention(text: string): boolean {
    for (const { options } of this.byNumber.values()) if (options.queue.toLowerCase().includes(text)) return true
    return false
  }

  /** The first `most` consumers as operators see them. */
  info(most: number): ConsumerInfo[] {
    const infos: ConsumerInfo[] = []
    for (const { options, inFlightCount } of this.byNumber.values()) {
      if (infos.length >= most) break
      const { queue, prefetch } = options
      infos.push({ queue, inFlight: inFlightCount, prefetch })
    }
    return infos
  }

  /** The consumers get nothing more, and are asked to return what they have not begun. */
  windDown(): void {
    for (const consumer of this.byNumber.values()) {
      consumer.stop()
      consumer.recall(consumer.recallable(Number.POSITIVE_INFINITY))
    }
  }

  get areBusy(): boolean {
    for (const { isBusy } of this.byNumber.values()) if (isBusy) return true
    return false
  }

  /** Releases all consumers. With `lost`, deliveries that the client has begun count as failed attempts. */
  release(lost: boolean): void {
    for (const consumer of this.byNumber.values()) {
      this.forget(consumer)
      consumer.end(lost)
    }
  }

  private get(number: number): Consumer {
    const consumer = this.byNumber.get(number)
    if (!consumer)
      throw new FanfareError('unknown_consumer', `The connection has no consumer ${number}. Consume first.`)
    return consumer
  }

  private forget(consumer: Consumer): void {
    if (!this.byNumber.delete(consumer.options.consumer)) return
    this.parts.budget.giveBack(CONSUMER_BYTES)
    this.outbox.sources.delete(consumer)
    this.parts.queues.detach(consumer)
  }

  /**
   * The messages that an ack publishes. All of them go through the broker, even those that nothing stores, because later messages
   * must not overtake them.
   */
  private draftsOf({ publish = [] }: AckFrame, publisher: string | undefined): Publication[] {
    return publish.map((each) => {
      const frame: PublishFrame = { ...each, type: 'publish', seq: 0 }
      return this.parts.topics.draft(frame, publisher, this.owner, UNASKED)
    })
  }
}

function endingOf(frame: SettlingFrame): Ending {
  if (frame.type === 'ack') return { kind: 'ack' }
  if (frame.type === 'reject') return { kind: 'reject', error: frame.error }
  return { kind: 'nack', error: frame.error, delayMs: frame.delayMs }
}
