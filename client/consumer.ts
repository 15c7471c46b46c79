import { FanfareError } from '../shared/fanfare-error.ts'
import type {
  ClientFrame,
  ConsumeFrame,
  ConsumingFrame,
  DeliveryFrame,
  ErrorFrame,
  MessageHeaders,
} from '../shared/frames.ts'
import type { Asked, Asking, NumberedFrame } from './asking.ts'
import { BegunDeliveries } from './begun-deliveries.ts'
import { type ConsumeOptions, completed, type DeliveryHandler } from './consume-options.ts'
import { Delivery, type DeliveryHost, type End, isLost } from './delivery.ts'
import { encodeChecked } from './encode-checked.ts'
import { Handlers } from './handlers.ts'
import { Lull } from './lull.ts'
import { ReceivedMessage } from './message.ts'
import { wholeMs } from './options.ts'
import { Reader } from './reader.ts'
import { Standing } from './standing.ts'
import { callBack } from './throw-later.ts'
import type { Tracing } from './tracing.ts'

/** Arrays and objects around the data of a publish that goes with an ack: the frame, the list and the publish. */
const PUBLISH_LEVELS = 3

interface Settling {
  /** If it had begun, as the hub knows. */
  readonly delivery: Delivery | undefined
  readonly resolve: () => void
  readonly reject: (error: FanfareError) => void
}

/**
 * A consumer of a queue. Give `consume` a handler, or read it with `for await`, and settle each delivery in
 * the loop.
 */
export class Consumer<Data = unknown> implements AsyncIterable<Delivery<Data>>, Asked, DeliveryHost {
  readonly queue: string
  /** @internal */
  readonly number: number
  /** @internal */
  readonly standing: Standing
  /** @internal */
  readonly begun: BegunDeliveries
  /** @internal */
  ackDeadlineMs = 0
  readonly #options: ReturnType<typeof completed>
  readonly #asking: Asking
  readonly #trace: Tracing | undefined
  /** Undefined if a loop reads it. */
  readonly #handlers: Handlers | undefined
  readonly #readers: Reader<Delivery>[] = []
  /** Not begun. */
  #waiting: Delivery[] = []
  readonly #settling = new Map<number, Settling>()
  #state: 'open' | 'stopping' | 'ended' = 'open'
  #closing: Promise<void> | undefined
  /**
   * Counts the times that all leases were lost. One ends with its connection, and on the next its number may be that of another message:
   * a hub that was started again counts from the beginning.
   */
  #cuts = 0
  /** The hub knows the frames `begin`, `return` and `stop`. */
  #saysBegun = false
  readonly #lull = new Lull()

  /** @internal */
  constructor(
    queue: string,
    options: ConsumeOptions,
    handler: DeliveryHandler<Data> | undefined,
    asking: Asking,
    trace: Tracing | undefined,
  ) {
    const { session } = asking
    this.queue = queue
    this.number = session.nextNumber()
    this.#options = completed(options)
    this.#asking = asking
    this.#trace = trace
    this.begun = new BegunDeliveries(this.number, session)
    this.#handlers = handler && new Handlers(handler as DeliveryHandler<unknown>, this.#options, this, session)
    this.standing = new Standing(options, !handler)
  }

  /** Resolves once the hub delivers, or the consumer is closed. Rejects when the hub refuses it for good. */
  get ready(): Promise<void> {
    return this.standing.ready
  }

  /** Resolves when your program has ended the consumer. Rejects with the reason when it ended otherwise. */
  get ended(): Promise<void> {
    return this.standing.ended
  }

  /**
   * Returns deliveries that have not begun at once, waits for running handlers, and ends. All calls return the same promise. A handler may
   * call it but must not await it, because it waits for that handler.
   */
  close(): Promise<void> {
    this.#closing ??= this.#stop()
    return this.#closing
  }

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #stop(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'stopping'
    // Also the one whose handler has just called this.
    this.begun.catchUp()
    if (this.#saysBegun) this.#say({ type: 'stop', consumer: this.number })
    this.#giveBack()
    this.#feed()
    const underWay = () => (this.#handlers?.running ?? 0) + this.#settling.size
    await this.#lull.after(() => this.#state === 'stopping' && underWay() > 0)
    this.cancel()
  }

  /** @internal Ends now, also if handlers run: their messages go back. */
  cancel(): void {
    this.begun.abort(new FanfareError('client_closed'))
    this.end(undefined)
    const { number: consumer } = this
    void this.#asking.withdraw(this, { type: 'cancel', consumer })
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Delivery<Data>, undefined> {
    if (this.#handlers) throw new TypeError('A consumer with a handler cannot be read.')
    const reader = new Reader(
      () => this.#next(),
      () => this.close(),
    )
    this.#readers.push(reader)
    return reader as Reader<Delivery<Data>>
  }

  #next(): IteratorResult<Delivery, undefined> | undefined {
    const value = this.take()
    if (value) return { value, done: false }
    return this.#state === 'open' ? undefined : this.standing.last()
  }

  #feed(): void {
    for (const reader of this.#readers) reader.wake()
  }

  /** @internal Undefined once it is closed. */
  get frame(): ConsumeFrame | undefined {
    if (this.#state !== 'open') return undefined
    const { queue, number: consumer } = this
    const { prefetch, ackDeadline } = this.#options
    const ackDeadlineMs = wholeMs(ackDeadline)
    // An undefined field vanishes in JSON.
    return { type: 'consume', consumer, queue, prefetch, begins: true, ackDeadlineMs } as ConsumeFrame
  }

  /** @internal The next delivery that waits, which begins now. */
  take(): Delivery | undefined {
    const delivery = this.#waiting.shift()
    if (!delivery) return undefined
    this.begun.begin(delivery)
    if (!this.#handlers) this.begun.goesOn(delivery)
    return delivery
  }

  /** @internal */
  idle(): void {
    this.#lull.look()
  }

  // Frames from the hub

  /** @internal */
  received(frame: NumberedFrame): void {
    switch (frame.type) {
      case 'consuming':
        return this.#consuming(frame)
      case 'delivery':
        return this.#delivered(frame)
      case 'settled':
        for (const delivery of frame.deliveries) this.#confirmed(delivery)?.resolve()
        return
      case 'recall':
        // Other consumers have nothing to do: they get what has not begun.
        return this.#giveBack(new Set(frame.deliveries))
      case 'lost':
        return this.#ranOut(new Set(frame.deliveries))
    }
  }

  #consuming({ ackDeadlineMs, begins = false }: ConsumingFrame): void {
    const { standing } = this
    this.ackDeadlineMs = ackDeadlineMs
    this.#saysBegun = begins
    this.begun.start(begins)
    if (standing.failures > 0) callBack(() => this.#options.onResumed?.())
    // It was closed before.
    if (this.#saysBegun && this.#state !== 'open') this.#say({ type: 'stop', consumer: this.number })
  }

  #delivered(frame: DeliveryFrame): void {
    const { message, data } = frame
    const { raw } = this.#asking.session
    const given = data === undefined ? message : { ...message, data }
    const whole = new ReceivedMessage(given, () => raw('message', 'data'))
    this.#waiting.push(new Delivery(frame, whole, this, this.#cuts))
    if (this.#state !== 'open') this.#giveBack()
    else if (this.#handlers) this.#handlers.pump()
    else this.#feed()
  }

  /** Their leases have expired. */
  #ranOut(lost: ReadonlySet<number>): void {
    this.#takeOut(lost)
    this.begun.abort(new FanfareError('lease_lost'), lost)
    // The hub does not know that this consumer is free, and would send nothing.
    const free = this.#handlers?.free ?? this.#readers.some(({ waits }) => waits)
    if (free && this.#state === 'open') this.#say({ type: 'return', consumer: this.number, deliveries: [] })
  }

  /** @internal The hub has refused the end of a delivery. */
  refused({ delivery }: ErrorFrame, error: FanfareError): void {
    const settling = this.#confirmed(delivery as number)
    // The lease goes on.
    if (settling?.delivery && !isLost(error)) this.begun.goesOn(settling.delivery)
    settling?.reject(error)
  }

  /** @internal The connection is gone, and every lease with it. */
  lost(): void {
    const reason = new FanfareError('connection_lost')
    this.#saysBegun = false
    this.#cuts++
    this.#waiting = []
    this.begun.clear(reason)
    for (const { reject } of this.#settling.values()) reject(reason)
    this.#settling.clear()
    this.#handlers?.goOn()
    this.idle()
  }

  /** @internal */
  finish(): Promise<void> {
    return this.close()
  }

  /** @internal */
  end(failure: FanfareError | undefined): boolean {
    if (this.#state === 'ended') return true
    this.#state = 'ended'
    const isTold = this.standing.over(failure)
    this.lost()
    this.#feed()
    return isTold
  }

  // Frames to the hub

  /** @internal */
  headers(headers: MessageHeaders | undefined): { readonly headers?: MessageHeaders } | undefined {
    return this.#trace?.headers(headers)
  }

  /** @internal */
  settle(delivery: number, cuts: number, end: End): Promise<void> {
    const { number } = this
    // If it cannot be sent, this rejects.
    return new Promise((resolve, reject) => {
      if (cuts !== this.#cuts) throw new FanfareError('lease_lost', 'The lease ended because the connection was lost.')
      const isPlain = end.type === 'ack' && end.publish === undefined
      // Written by hand, because it is the hot path, and nothing in it has to be checked.
      const plain = `{"type":"ack","consumer":${number},"delivery":${delivery}}`
      this.#write(isPlain ? plain : encodeChecked({ ...end, consumer: number, delivery }, PUBLISH_LEVELS))
      this.#settling.set(delivery, { delivery: this.begun.get(delivery), resolve, reject })
      this.begun.settled(delivery)
    })
  }

  /** @internal */
  extend(delivery: number, cuts: number, ms: number): void {
    if (cuts !== this.#cuts) return
    this.#write(encodeChecked({ type: 'extend', consumer: this.number, delivery, ms }))
  }

  #confirmed(delivery: number): Settling | undefined {
    const settling = this.#settling.get(delivery)
    this.#settling.delete(delivery)
    if (this.#settling.size === 0) this.idle()
    return settling
  }

  /** Gives back what waits here, or these of it. */
  #giveBack(these?: ReadonlySet<number>): void {
    const deliveries = this.#takeOut(these)
    if (deliveries.length > 0 && this.#saysBegun) this.#say({ type: 'return', consumer: this.number, deliveries })
  }

  /** Those that wait no longer: all, or these. */
  #takeOut(these?: ReadonlySet<number>): number[] {
    const numbers = this.#waiting.map(({ number }) => number)
    this.#waiting = this.#waiting.filter(({ number }) => these && !these.has(number))
    return numbers.filter((number) => !these || these.has(number))
  }

  /** Throws `frame_too_large`. */
  #write(frame: string | Uint8Array): void {
    const { session } = this.#asking
    session.checkSize(frame)
    session.write(frame)
  }

  #say(frame: ClientFrame): void {
    this.#write(JSON.stringify(frame))
  }
}
