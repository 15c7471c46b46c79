import { errorFrom, type FanfareError } from '../shared/fanfare-error.ts'
import type {
  ConsumeFrame,
  ConsumingFrame,
  DeliveryFrame,
  ErrorFrame,
  LostFrame,
  RecallFrame,
  SettledFrame,
} from '../shared/frames.ts'
import type { Asking } from './asking.ts'
import type { ConsumeOptions, DeliveryHandler } from './consume-options.ts'
import { Consumer, type ConsumerHost } from './consumer.ts'
import { encodeChecked } from './encode-checked.ts'
import { ReceivedMessage } from './message.ts'
import type { Raw } from './received.ts'
import type { Session } from './session.ts'
import { throwLater } from './throw-later.ts'
import type { Tracing } from './tracing.ts'

/** The consumers of a client. */
export class Consumers implements ConsumerHost {
  readonly trace: Tracing | undefined
  readonly session: Session
  readonly #asking: Asking
  readonly #nextNumber: () => number
  readonly #byNumber = new Map<number, Consumer>()

  constructor(session: Session, asking: Asking, nextNumber: () => number, trace: Tracing | undefined) {
    this.trace = trace
    this.session = session
    this.#asking = asking
    this.#nextNumber = nextNumber
  }

  add<Data>(queue: string, options: ConsumeOptions, handler: DeliveryHandler<Data> | undefined): Consumer<Data> {
    const consumer = new Consumer<Data>(queue, this.#nextNumber(), options, handler, this)
    // Before anything is sent: what can be refused here costs nothing else.
    encodeChecked(consumer.frame as ConsumeFrame)
    this.#byNumber.set(consumer.number, consumer as Consumer)
    this.#asking.ask(consumer as Consumer)
    if (options.signal?.aborted) void consumer.close()
    return consumer
  }

  ended(consumer: Consumer): void {
    const { number } = consumer
    if (this.#byNumber.delete(number)) void this.#asking.withdraw(consumer, { type: 'cancel', consumer: number })
  }

  askAll(): void {
    for (const consumer of this.#byNumber.values()) this.#asking.ask(consumer)
  }

  consuming(frame: ConsumingFrame): void {
    const consumer = this.#byNumber.get(frame.consumer)
    if (!consumer) return
    consumer.consuming(frame)
    this.#asking.confirmed(consumer)
  }

  delivered(frame: DeliveryFrame, raw: Raw): void {
    const { message, data } = frame
    const received = new ReceivedMessage(data === undefined ? message : { ...message, data }, () =>
      raw('message', 'data'),
    )
    this.#byNumber.get(frame.consumer)?.delivered(frame, received)
  }

  settled({ consumer, deliveries }: SettledFrame): void {
    this.#byNumber.get(consumer)?.settled(deliveries)
  }

  takenBack({ type, consumer: number, deliveries }: RecallFrame | LostFrame): void {
    const consumer = this.#byNumber.get(number)
    if (type === 'recall') consumer?.recalled(deliveries)
    else consumer?.ranOut(deliveries)
  }

  refused(frame: ErrorFrame): void {
    const { consumer: number = 0, delivery } = frame
    const consumer = this.#byNumber.get(number)
    const error = errorFrom(frame)
    if (delivery !== undefined) consumer?.notSettled(delivery, error)
    else if (!consumer) this.#asking.withdrawn(number)
    else if (consumer.frame && this.#asking.retries(consumer, frame)) consumer.lost()
    else {
      this.#byNumber.delete(number)
      if (!consumer.end(consumer.frame && error)) throwLater(error)
    }
  }

  lost(): void {
    for (const consumer of this.#byNumber.values()) consumer.lost()
  }

  /** Stops all in good order. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.#byNumber.values()].map((consumer) => consumer.close()))
  }

  /** Ends those that are not closed yet, and gives back what they have. */
  cancelAll(): void {
    for (const consumer of this.#byNumber.values()) consumer.cancel()
  }

  /** Gives how many ended without anybody being told why. */
  endAll(error: FanfareError | undefined): number {
    const untold = [...this.#byNumber.values()].filter((consumer) => !consumer.end(error))
    this.#byNumber.clear()
    return untold.length
  }
}
