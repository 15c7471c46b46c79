import { FanfareError } from '../../shared/errors.ts'
import type { AckFrame, ConsumeFrame, ExtendFrame, NackFrame, PublishFrame, RejectFrame } from '../../shared/frames.ts'
import { DEFAULT_PREFETCH } from '../../shared/queues.ts'
import type { ConsumerInfo } from '../../shared/sys.ts'
import type { Ending } from '../broker/broker.ts'
import { Consumer } from '../queue/consumer.ts'
import type { Publication } from '../topic/publication.ts'
import type { ConnectionContext } from './context.ts'
import type { Outbox } from './outbox.ts'

type SettlingFrame = AckFrame | NackFrame | RejectFrame

/** The consumers of one connection. */
export class Consumers {
  private readonly context: ConnectionContext
  /** What the connection is to the broker. */
  private readonly owner: object
  private readonly outbox: Outbox
  private readonly refuse: (error: unknown, frame: unknown) => void
  private readonly byNumber = new Map<number, Consumer>()

  constructor(
    context: ConnectionContext,
    owner: object,
    outbox: Outbox,
    refuse: (error: unknown, frame: unknown) => void,
  ) {
    this.context = context
    this.owner = owner
    this.outbox = outbox
    this.refuse = refuse
  }

  consume(frame: ConsumeFrame): void {
    const { consumer: number, queue, prefetch = DEFAULT_PREFETCH } = frame
    if (this.byNumber.has(number)) throw new FanfareError('consumer_exists', `"consumer" is ${number}`)
    if (this.byNumber.size >= this.context.config.subscriptions) throw new FanfareError('too_many_subscriptions')
    const { queues, broker, clock } = this.context
    const ackDeadlineMs = frame.ackDeadlineMs ?? queues.options(queue).ackDeadlineMs
    const options = { consumer: number, queue, prefetch, ackDeadlineMs }
    const consumer = new Consumer(options, broker, clock, this.outbox, {
      creditChanged: (name) => queues.deal(name),
      lookBy: (each, time) => queues.lookBy(each, time),
      failed: (failed, error) => {
        this.forget(failed)
        this.refuse(error, { consumer: number })
      },
    })
    this.byNumber.set(number, consumer)
    this.outbox.attach(consumer)
    this.outbox.send({ type: 'consuming', ...options })
    queues.attach(consumer)
  }

  cancel(number: number): void {
    const consumer = this.get(number)
    this.forget(consumer)
    consumer.end(false)
    this.outbox.send({ type: 'cancelled', consumer: number })
  }

  /** `publisher`: the subject of the client that settles it, for what an ack publishes. */
  settle(frame: SettlingFrame, publisher: string | undefined): void {
    const consumer = this.get(frame.consumer)
    const { delivery } = frame
    if (!consumer.holds(delivery)) throw new FanfareError('lease_lost', `"delivery" is ${delivery}`)
    const drafts = frame.type === 'ack' ? this.draftsOf(frame, publisher) : []
    for (const draft of drafts) draft.begin()
    consumer.settle(delivery, endingOf(frame), drafts, (error) => {
      for (const draft of drafts) draft.refused(error)
      this.refuse(error, frame)
    })
  }

  extend({ consumer: number, delivery, ms }: ExtendFrame): void {
    const consumer = this.get(number)
    if (!consumer.holds(delivery) || !consumer.extend(delivery, ms)) {
      throw new FanfareError('lease_lost', `"delivery" is ${delivery}`)
    }
  }

  /** Ends those that `check` refuses, and gives back what they have. */
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

  /** What an operator sees of the first so many. */
  info(most: number): ConsumerInfo[] {
    const infos: ConsumerInfo[] = []
    for (const { options, inFlightCount } of this.byNumber.values()) {
      if (infos.length >= most) break
      const { queue, prefetch } = options
      infos.push({ queue, inFlight: inFlightCount, prefetch })
    }
    return infos
  }

  /** Lets go of all. With `lost`, what the client has counts as a failed attempt. */
  release(lost: boolean): void {
    for (const consumer of this.byNumber.values()) {
      this.context.queues.detach(consumer)
      consumer.end(lost)
    }
    this.byNumber.clear()
  }

  private get(number: number): Consumer {
    const consumer = this.byNumber.get(number)
    if (!consumer) throw new FanfareError('unknown_consumer', `"consumer" is ${number}`)
    return consumer
  }

  private forget(consumer: Consumer): void {
    this.byNumber.delete(consumer.options.consumer)
    this.outbox.detach(consumer)
    this.context.queues.detach(consumer)
  }

  /** What an ack publishes. It is all the broker's, also what nothing keeps: what comes later must not overtake it. */
  private draftsOf({ publish = [] }: AckFrame, publisher: string | undefined): Publication[] {
    return publish.map((each) => {
      const frame: PublishFrame = { ...each, type: 'publish', seq: 0 }
      return this.context.topics.draft(frame, publisher, this.owner, () => {})
    })
  }
}

function endingOf(frame: SettlingFrame): Ending {
  if (frame.type === 'ack') return { kind: 'ack' }
  if (frame.type === 'reject') return { kind: 'reject', error: frame.error }
  return { kind: 'nack', error: frame.error, delayMs: frame.delayMs }
}
