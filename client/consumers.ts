import type { Clock } from '../shared/clock.ts'
import { FanfareError } from '../shared/errors.ts'
import type { ConsumingFrame, DeliveryFrame, ErrorFrame, SettledFrame } from '../shared/frames.ts'
import { type ConsumeOptions, Consumer, type ConsumerHost, type DeliveryHandler } from './consumer.ts'
import { encodeChecked } from './encode-checked.ts'
import { messageOf } from './message.ts'
import { errorFrom, type Session } from './session.ts'
import type { Tracing } from './tracing.ts'
import { exceeds } from './writer.ts'

/** The consumers of a client. */
export class Consumers implements ConsumerHost {
  readonly trace: Tracing | undefined
  private readonly session: Session
  private readonly nextNumber: () => number
  private readonly byNumber = new Map<number, Consumer>()

  constructor(session: Session, nextNumber: () => number, trace: Tracing | undefined) {
    this.trace = trace
    this.session = session
    this.nextNumber = nextNumber
  }

  get clock(): Clock {
    return this.session.clock
  }

  add<Data>(queue: string, options: ConsumeOptions, handler: DeliveryHandler<Data> | undefined): Consumer<Data> {
    const consumer = new Consumer<Data>(queue, this.nextNumber(), options, handler, this)
    // Before anything is sent: what can be refused here costs nothing else.
    encodeChecked(consumer.frame)
    this.byNumber.set(consumer.number, consumer as Consumer)
    if (this.session.isOpen) this.write(JSON.stringify(consumer.frame))
    if (options.signal?.aborted) void consumer.close()
    return consumer
  }

  write(frame: string | Uint8Array): void {
    if (exceeds(frame, this.session.writer.limit)) throw new FanfareError('frame_too_large')
    this.session.write(frame)
  }

  ended({ number }: Consumer): void {
    if (!this.byNumber.delete(number)) return
    if (this.session.isOpen) this.write(JSON.stringify({ type: 'cancel', consumer: number }))
  }

  consumeAll(): void {
    for (const { frame } of this.byNumber.values()) this.write(JSON.stringify(frame))
  }

  consuming(frame: ConsumingFrame): void {
    this.byNumber.get(frame.consumer)?.consuming(frame)
  }

  delivered(frame: DeliveryFrame): void {
    const { message, data } = frame
    this.byNumber.get(frame.consumer)?.delivered(frame, messageOf(data === undefined ? message : { ...message, data }))
  }

  settled({ consumer, deliveries }: SettledFrame): void {
    this.byNumber.get(consumer)?.settled(deliveries)
  }

  refused({ consumer, delivery, code, message }: ErrorFrame): void {
    const refused = this.byNumber.get(consumer as number)
    if (delivery === undefined) this.byNumber.delete(consumer as number)
    refused?.refused(errorFrom(code, message), delivery)
  }

  lost(): void {
    for (const consumer of this.byNumber.values()) consumer.lost()
  }

  /** Stops all in good order. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.byNumber.values()].map((consumer) => consumer.close()))
  }

  endAll(error: FanfareError | undefined): void {
    for (const consumer of this.byNumber.values()) consumer.end(error)
    this.byNumber.clear()
  }
}
