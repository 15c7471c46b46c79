import { FanfareError } from '../shared/fanfare-error.ts'
import type { ClientFrame, ConsumeFrame, ConsumingFrame, DeliveryFrame } from '../shared/frames.ts'
import { onAbort } from './abort.ts'
import type { Asked } from './asking.ts'
import { BegunDeliveries } from './begun-deliveries.ts'
import { type ConsumeOptions, completed, type DeliveryHandler } from './consume-options.ts'
import { Delivery, type DeliveryHost, type End, isLost } from './delivery.ts'
import { encodeChecked } from './encode-checked.ts'
import { Handlers } from './handlers.ts'
import type { Message } from './message.ts'
import { Reader } from './reader.ts'
import type { Session } from './session.ts'
import { Standing } from './standing.ts'
import { callBack } from './throw-later.ts'
import type { Tracing } from './tracing.ts'

/** What a consumer asks of the client. */
export interface ConsumerHost {
  readonly session: Session
  readonly trace: Tracing | undefined
  /** It has ended: forget it, and tell the hub. */
  ended(consumer: Consumer): void
}

interface Settling {
  /** If it had begun, as the hub knows. */
  readonly delivery: Delivery | undefined
  readonly resolve: () => void
  readonly reject: (error: FanfareError) => void
}

/**
 * A consumer of a queue. Give `consume` a handler, or read it with `for await`, where each delivery is to be settled by
 * whoever reads.
 */
export class Consumer<Data = unknown> implements AsyncIterable<Delivery<Data>>, Asked {
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
  readonly #host: ConsumerHost
  /** Undefined where it is read. */
  readonly #handlers: Handlers | undefined
  readonly #readers: Reader<Delivery>[] = []
  /** Not begun. */
  #waiting: Delivery[] = []
  readonly #settling = new Map<number, Settling>()
  #state: 'open' | 'stopping' | 'ended' = 'open'
  #closing: Promise<void> | undefined
  /** Where the deliveries of this connection are settled. */
  #leases: DeliveryHost
  /** The hub knows the frames `begin`, `return` and `stop`. */
  #saysBegun = false
  #whenIdle: (() => void) | undefined
  readonly #offAbort: () => void

  /** @internal */
  constructor(
    queue: string,
    number: number,
    options: ConsumeOptions,
    handler: DeliveryHandler<Data> | undefined,
    host: ConsumerHost,
  ) {
    this.queue = queue
    this.#leases = this.#newLeases()
    this.number = number
    this.#options = completed(options)
    this.#host = host
    this.begun = new BegunDeliveries(number, host.session)
    this.#handlers = handler && new Handlers(handler as DeliveryHandler<unknown>, this.#options, this, host.session)
    this.standing = new Standing(options, !handler)
    this.#offAbort = onAbort(options.signal, () => void this.close())
  }

  /** Resolves once the hub delivers, or the consumer is closed; rejects when it refuses. What may pass is waited for. */
  get ready(): Promise<void> {
    return this.standing.ready
  }

  /** Resolves when the consumer has ended by your doing; rejects with the reason when it ended otherwise. */
  get ended(): Promise<void> {
    return this.standing.ended
  }

  /**
   * Gives back at once what has not begun, waits for the handlers that run, and ends. All calls return the same promise. A handler may
   * call it, and must not await it: it waits for that handler.
   */
  close(): Promise<void> {
    this.#closing ??= this.#stop()
    return this.#closing
  }

  async #stop(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'stopping'
    // Also the one whose handler has just called this.
    this.begun.catchUp()
    if (this.#saysBegun) this.#say({ type: 'stop', consumer: this.number })
    this.#giveBack(() => true)
    this.#feed()
    while (this.#isStopping && (this.#handlers?.running || this.#settling.size > 0)) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve
      })
    }
    this.cancel()
  }

  /** A method, because what may change meanwhile is no constant to the compiler. */
  get #isStopping(): boolean {
    return this.#state === 'stopping'
  }

  /** @internal Ends now, also if handlers run: their messages go back. */
  cancel(): void {
    this.begun.abortAll(new FanfareError('client_closed'))
    this.end(undefined)
    this.#host.ended(this as Consumer)
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Delivery<Data>, undefined> {
    if (this.#handlers) throw new TypeError('A consumer with a handler cannot be read')
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
    const { prefetch, ackDeadlineMs } = this.#options
    const deadline = ackDeadlineMs !== undefined && { ackDeadlineMs }
    return { type: 'consume', consumer, queue, prefetch, begins: true, ...deadline }
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
    this.#whenIdle?.()
  }

  // What the hub says

  /** @internal */
  consuming({ ackDeadlineMs, begins = false }: ConsumingFrame): void {
    const { standing } = this
    this.ackDeadlineMs = ackDeadlineMs
    this.#saysBegun = begins
    this.begun.start(begins)
    if (standing.failures > 0) callBack(() => this.#options.onResumed?.())
    // It was closed before.
    if (this.#saysBegun && this.#state !== 'open') this.#say({ type: 'stop', consumer: this.number })
  }

  /** @internal */
  delivered(frame: DeliveryFrame, message: Message): void {
    this.#waiting.push(new Delivery(frame, message, this.#leases))
    if (this.#state !== 'open') this.#giveBack(() => true)
    else if (this.#handlers) this.#handlers.pump()
    else this.#feed()
  }

  /** @internal */
  settled(deliveries: readonly number[]): void {
    for (const delivery of deliveries) this.#confirmed(delivery)?.resolve()
  }

  /** @internal Others have nothing to do: what has not begun is theirs. */
  recalled(deliveries: readonly number[]): void {
    const recalled = new Set(deliveries)
    this.#giveBack((number) => recalled.has(number))
  }

  /** @internal Their time has run out. */
  ranOut(deliveries: readonly number[]): void {
    const lost = new Set(deliveries)
    this.#waiting = this.#waiting.filter(({ number }) => !lost.has(number))
    this.begun.abort(lost, new FanfareError('lease_lost'))
    // The hub has heard nothing, and would send nothing.
    const free = this.#handlers?.free ?? this.#readers.some(({ waits }) => waits)
    if (free && this.#state === 'open') this.#say({ type: 'return', consumer: this.number, deliveries: [] })
  }

  /** @internal The hub refused an end of a delivery. */
  notSettled(delivery: number, error: FanfareError): void {
    const settling = this.#confirmed(delivery)
    // The lease goes on.
    if (settling?.delivery && !isLost(error)) this.begun.goesOn(settling.delivery)
    settling?.reject(error)
  }

  /** @internal The connection is gone, and every lease with it. */
  lost(): void {
    const reason = new FanfareError('connection_lost')
    this.#saysBegun = false
    this.#leases = this.#newLeases()
    this.#waiting = []
    this.begun.clear(reason)
    for (const { reject } of this.#settling.values()) reject(reason)
    this.#settling.clear()
    this.#handlers?.goOn()
    this.idle()
  }

  /** @internal Ends it. Returns whether its failure, if there is one, is reported to anybody. */
  end(failure: FanfareError | undefined): boolean {
    if (this.#state === 'ended') return true
    this.#state = 'ended'
    this.#offAbort()
    const isTold = this.standing.over(failure)
    this.lost()
    this.#feed()
    return isTold
  }

  // What is said to the hub

  /**
   * A lease ends with its connection. On the next one its number may be that of another message: a hub that was started
   * anew counts from the beginning.
   */
  #newLeases(): DeliveryHost {
    const leases: DeliveryHost = {
      queue: this.queue,
      headers: (headers) => this.#host.trace?.headers(headers),
      settle: (delivery, end) => {
        if (leases === this.#leases) return this.#settle(delivery, end)
        return Promise.reject(new FanfareError('lease_lost', 'The connection that it came on was lost'))
      },
      extend: (delivery, ms) => {
        if (leases !== this.#leases) return
        this.#write(encodeChecked({ type: 'extend', consumer: this.number, delivery, ms }))
      },
    }
    return leases
  }

  #settle(delivery: number, end: End): Promise<void> {
    const { number } = this
    // What cannot be sent rejects.
    return new Promise((resolve, reject) => {
      const isPlain = end.type === 'ack' && end.publish === undefined
      // By hand, because it is the hot path, and there is nothing in it to be checked.
      const plain = `{"type":"ack","consumer":${number},"delivery":${delivery}}`
      this.#write(isPlain ? plain : encodeChecked({ ...end, consumer: number, delivery }))
      this.#settling.set(delivery, { delivery: this.begun.get(delivery), resolve, reject })
      this.begun.settled(delivery)
    })
  }

  #confirmed(delivery: number): Settling | undefined {
    const settling = this.#settling.get(delivery)
    this.#settling.delete(delivery)
    if (this.#settling.size === 0) this.idle()
    return settling
  }

  /** Of what waits here. */
  #giveBack(which: (number: number) => boolean): void {
    const deliveries = this.#waiting.map(({ number }) => number).filter(which)
    this.#waiting = this.#waiting.filter(({ number }) => !which(number))
    if (deliveries.length > 0 && this.#saysBegun) this.#say({ type: 'return', consumer: this.number, deliveries })
  }

  /** Throws `frame_too_large`. */
  #write(frame: string | Uint8Array): void {
    const { session } = this.#host
    session.checkSize(frame)
    session.write(frame)
  }

  #say(frame: ClientFrame): void {
    this.#write(JSON.stringify(frame))
  }
}
