import type { Clock } from '../shared/clock.ts'
import { FanfareError } from '../shared/errors.ts'
import type { ConsumeFrame, ConsumingFrame, DeliveryFrame } from '../shared/frames.ts'
import { Deferred } from './deferred.ts'
import { Delivery, type DeliveryHost, type End, isLost } from './delivery.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Message } from './message.ts'
import { ANY, COUNT, FUNCTION, type Rules, SIGNAL } from './options.ts'
import { throwLater } from './throw-later.ts'
import type { Tracing } from './tracing.ts'

/** How a queue is consumed. */
export interface ConsumeOptions {
  /** Asynchronous handlers that run at once: 1 by default. A larger one gives up the order of what has no key. */
  readonly concurrency?: number
  /** Deliveries that may be unsettled, running ones included: by default twice the concurrency, and 16 at least. */
  readonly prefetch?: number
  /** Time for a delivery before it goes to another, in milliseconds; the queue's own by default. */
  readonly ackDeadlineMs?: number
  /**
   * Told when a delivery could not be settled after its handler. Without it, a lost lease or connection is passed over
   * (the message comes again by itself) and everything else is thrown.
   */
  readonly onError?: (error: unknown, delivery: Delivery) => void
  /** Ends the consumer. */
  readonly signal?: AbortSignal
}

/** @internal */
export const CONSUME_RULES: Rules<ConsumeOptions> = {
  concurrency: COUNT,
  prefetch: ANY,
  ackDeadlineMs: ANY,
  onError: FUNCTION,
  signal: SIGNAL,
}

/** Handles a delivery: its return acks, a throw nacks with the error, unless it has settled the delivery itself. */
export type DeliveryHandler<Data> = (delivery: Delivery<Data>) => unknown

/** What a consumer asks of the client. */
export interface ConsumerHost {
  readonly trace: Tracing | undefined
  readonly clock: Clock
  /** Throws `frame_too_large`. */
  write(frame: string | Uint8Array): void
  /** It has ended: forget it, and tell the hub. */
  ended(consumer: Consumer): void
}

interface Settling {
  readonly resolve: () => void
  readonly reject: (error: FanfareError) => void
}

/**
 * A consumer of a queue. Give `consume` a handler, or read it with `for await`, where each delivery is to be settled by
 * whoever reads.
 */
export class Consumer<Data = unknown> implements AsyncIterable<Delivery<Data>> {
  readonly queue: string
  /** Resolves once the hub delivers, or the consumer is closed; rejects when it refuses. */
  readonly ready: Promise<void>
  /** @internal */
  readonly number: number
  private readonly options: ConsumeOptions
  private readonly handler: DeliveryHandler<unknown> | undefined
  private readonly host: ConsumerHost
  private readonly concurrency: number
  private readonly settleReady = new Deferred()
  private waiting: Delivery[] = []
  private readonly settling = new Map<number, Settling>()
  private running = 0
  private state: 'open' | 'stopping' | 'ended' = 'open'
  private closing: Promise<void> | undefined
  private connected = false
  /** Where the deliveries of this connection are settled. */
  private leases: DeliveryHost
  private ackDeadlineMs = 0
  private failure: FanfareError | undefined
  private wake: (() => void) | undefined
  private whenIdle: (() => void) | undefined
  private readonly abort = () => void this.close()

  /** @internal */
  constructor(
    queue: string,
    number: number,
    options: ConsumeOptions,
    handler: DeliveryHandler<Data> | undefined,
    host: ConsumerHost,
  ) {
    this.queue = queue
    this.leases = this.newLeases()
    this.number = number
    this.options = options
    this.handler = handler as DeliveryHandler<unknown> | undefined
    this.host = host
    this.concurrency = options.concurrency ?? 1
    this.ready = this.settleReady.promise
    // An iterator throws the refusal itself; with a handler an unheard refusal has to be loud.
    if (!handler) this.ready.catch(() => {})
    options.signal?.addEventListener('abort', this.abort, { once: true })
  }

  /** Takes no more, waits for handlers that run, and gives back what none has begun. All calls return the same promise. */
  close(): Promise<void> {
    this.closing ??= this.stop()
    return this.closing
  }

  private async stop(): Promise<void> {
    if (this.state !== 'open') return
    this.state = 'stopping'
    this.waiting = []
    this.wake?.()
    while (this.connected && (this.running > 0 || this.settling.size > 0)) {
      await new Promise<void>((resolve) => {
        this.whenIdle = resolve
      })
    }
    this.end(undefined)
    this.host.ended(this as Consumer)
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Delivery<Data>> {
    if (this.handler) throw new TypeError('A consumer with a handler cannot be read')
    try {
      for (;;) {
        const delivery = this.waiting.shift()
        if (delivery) yield delivery as Delivery<Data>
        else if (this.state !== 'open') {
          if (this.failure) throw this.failure
          return
        } else {
          await new Promise<void>((resolve) => {
            this.wake = resolve
          })
        }
      }
    } finally {
      await this.close()
    }
  }

  /** @internal */
  get frame(): ConsumeFrame {
    const { queue, number: consumer } = this
    const { prefetch = Math.max(16, 2 * this.concurrency), ackDeadlineMs } = this.options
    return { type: 'consume', consumer, queue, prefetch, ...(ackDeadlineMs !== undefined && { ackDeadlineMs }) }
  }

  /** @internal */
  consuming({ ackDeadlineMs }: ConsumingFrame): void {
    this.connected = true
    this.ackDeadlineMs = ackDeadlineMs
    this.settleReady.resolve()
  }

  /** @internal */
  delivered(frame: DeliveryFrame, message: Message): void {
    if (this.state !== 'open') return
    this.waiting.push(new Delivery(frame, message, this.leases))
    if (this.handler) this.pump(this.handler)
    else this.wake?.()
  }

  /** @internal */
  settled(deliveries: readonly number[]): void {
    for (const delivery of deliveries) this.take(delivery)?.resolve()
  }

  /** @internal The hub refused the consumer, or an end of one of its deliveries. */
  refused(error: FanfareError, delivery: number | undefined): void {
    if (delivery !== undefined) this.take(delivery)?.reject(error)
    else this.end(error)
  }

  /** @internal The connection is gone, and every lease with it. */
  lost(): void {
    this.connected = false
    this.leases = this.newLeases()
    this.waiting = []
    for (const { reject } of this.settling.values()) reject(new FanfareError('connection_lost'))
    this.settling.clear()
    this.whenIdle?.()
  }

  /** @internal */
  end(failure: FanfareError | undefined): void {
    if (this.state === 'ended') return
    this.state = 'ended'
    this.failure = failure
    this.waiting = []
    this.options.signal?.removeEventListener('abort', this.abort)
    if (failure) this.settleReady.reject(failure)
    else this.settleReady.resolve()
    this.lost()
    this.wake?.()
  }

  /**
   * A lease ends with its connection. On the next one its number may be that of another message: a hub that was started
   * anew counts from the beginning.
   */
  private newLeases(): DeliveryHost {
    const leases: DeliveryHost = {
      queue: this.queue,
      headers: (headers) => this.host.trace?.headers(headers),
      settle: (delivery, end) => {
        if (leases === this.leases) return this.settle(delivery, end)
        return Promise.reject(new FanfareError('lease_lost', 'The connection that it came on was lost'))
      },
      extend: (delivery, ms) => {
        if (leases !== this.leases) return
        this.host.write(encodeChecked({ type: 'extend', consumer: this.number, delivery, ms }))
      },
    }
    return leases
  }

  private settle(delivery: number, end: End): Promise<void> {
    const { number } = this
    // What cannot be sent rejects.
    return new Promise((resolve, reject) => {
      const isPlain = end.type === 'ack' && end.publish === undefined
      // By hand, because it is the hot path, and there is nothing in it to be checked.
      const plain = `{"type":"ack","consumer":${number},"delivery":${delivery}}`
      this.host.write(isPlain ? plain : encodeChecked({ ...end, consumer: number, delivery }))
      this.settling.set(delivery, { resolve, reject })
    })
  }

  private take(delivery: number): Settling | undefined {
    const settling = this.settling.get(delivery)
    this.settling.delete(delivery)
    if (this.settling.size === 0) this.whenIdle?.()
    return settling
  }

  private pump(handler: DeliveryHandler<unknown>): void {
    while (this.running < this.concurrency) {
      const delivery = this.waiting.shift()
      if (!delivery) return
      this.handle(handler, delivery)
    }
  }

  private handle(handler: DeliveryHandler<unknown>, delivery: Delivery): void {
    let result: unknown
    try {
      result = handler(delivery)
    } catch (error) {
      this.finish(delivery, () => delivery.nack({ error }))
      return
    }
    if (!isThenable(result)) {
      this.finish(delivery, () => delivery.ack())
      return
    }
    this.running++
    // Half of the time is left for the request to arrive.
    const extend = () => delivery.extend(this.ackDeadlineMs)
    const extending = this.host.clock.setInterval(extend, this.ackDeadlineMs / 2)
    const done = (settle: () => Promise<void>) => {
      this.host.clock.clearInterval(extending)
      this.running--
      this.finish(delivery, settle)
      if (this.running === 0) this.whenIdle?.()
      this.pump(handler)
    }
    result.then(
      () => done(() => delivery.ack()),
      (error: unknown) => done(() => delivery.nack({ error })),
    )
  }

  private finish(delivery: Delivery, settle: () => Promise<void>): void {
    if (delivery.settled) return
    settle().catch((error: unknown) => {
      const { onError } = this.options
      if (onError) onError(error, delivery)
      else if (!isLost(error)) throwLater(error)
    })
  }
}

/** Also what is a promise to its library alone: a query that runs when it is awaited. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}
