import { Buffer } from 'node:buffer'
import type { Clock } from '../../shared/clock.ts'
import { encodeRecord } from '../../shared/codec.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { HubFrame } from '../../shared/frames.ts'
import type { Broker, Delivery, Draft, Ending, Settlement } from '../broker/broker.ts'
import type { Stretch } from '../stream/chunk.ts'
import { Leases } from './leases.ts'

/** Where a consumer's frames go. */
export interface ConsumerOutlet {
  /** Nothing waits to be written. */
  readonly keepsUp: boolean
  send(frame: HubFrame): void
  /** The consumer has something: `pull` it when there is room. */
  feedReady(): void
}

export interface ConsumerOwner {
  creditChanged(queue: string): void
  /** `look` has something to do then. */
  lookBy(consumer: Consumer, time: number): void
  /** Its queue is gone. */
  failed(consumer: Consumer, error: FanfareError): void
}

export interface ConsumerOptions {
  /** The client's number for it. */
  readonly consumer: number
  readonly queue: string
  readonly prefetch: number
  readonly ackDeadlineMs: number
}

/** Bytes that one WebSocket message takes; see `PART_BYTES` of the engines. */
const STRETCH_BYTES = 14_000
/** Bytes that are leased ahead of what the connection has taken. */
export const LEASED_AHEAD_BYTES = 64 * 1024

interface Waiting {
  readonly id: number
  readonly frame: string | Uint8Array
}

/** One connection's claim on a queue: what it has on lease, and what is on its way to it. */
export class Consumer {
  readonly sub = undefined
  readonly options: ConsumerOptions
  private readonly broker: Broker
  private readonly clock: Clock
  private readonly outlet: ConsumerOutlet
  private readonly owner: ConsumerOwner
  /** Leased and not handed out. */
  private waiting: Waiting[] = []
  private waitingBytes = 0
  private readonly leases = new Leases()
  /** Plain acks that are being committed: nothing of them comes back, as a nack or a refused publish does. */
  private settling = 0
  /** Leases whose settlement the broker has not answered yet. */
  private readonly underWay = new Set<number>()
  /** Of these, the ones that were under way when the consumer ended: they come back if the settlement is refused. */
  private readonly leftToEnd = new Set<number>()
  private settledNow: number[] = []
  private ended = false

  constructor(options: ConsumerOptions, broker: Broker, clock: Clock, outlet: ConsumerOutlet, owner: ConsumerOwner) {
    this.options = options
    this.broker = broker
    this.clock = clock
    this.outlet = outlet
    this.owner = owner
  }

  get inFlightCount(): number {
    return this.leases.count
  }

  /** How many more deliveries it can take now. */
  get credit(): number {
    if (this.ended || !this.outlet.keepsUp || this.waitingBytes >= LEASED_AHEAD_BYTES) return 0
    const { prefetch } = this.options
    // What its client has acked makes room at once, or the disk would set its pace; as much again at the most.
    return prefetch - this.leases.count + Math.min(this.settling, prefetch)
  }

  /** Takes deliveries for its client. */
  offer(deliveries: readonly Delivery[]): void {
    const deadline = this.clock.now() + this.options.ackDeadlineMs
    for (const delivery of deliveries) {
      const frame = deliveryFrame(this.options.consumer, delivery)
      this.leases.hold(delivery.id, deadline)
      this.waiting.push({ id: delivery.id, frame })
      this.waitingBytes += frame.length
    }
    this.outlet.feedReady()
    this.owner.lookBy(this, deadline)
  }

  pull(): readonly Stretch[] {
    const { waiting } = this
    if (waiting.length === 0) {
      // The connection has room again.
      if (this.credit > 0) this.owner.creditChanged(this.options.queue)
      return []
    }
    this.waiting = []
    this.waitingBytes = 0
    this.owner.creditChanged(this.options.queue)
    return joined(waiting)
  }

  holds(delivery: number): boolean {
    return this.leases.holds(delivery)
  }

  /** Ends a lease, with what is published in the same step; `refused` is called if that was not possible. */
  settle(delivery: number, ending: Ending, drafts: readonly Draft[], refused: Settlement['refused']): void {
    const { queue } = this.options
    const freed = ending.kind === 'ack' && drafts.length === 0 ? 1 : 0
    this.settling += freed
    this.underWay.add(delivery)
    this.broker.settle({
      queue,
      delivery,
      ending,
      drafts,
      settled: () => {
        this.settling -= freed
        this.underWay.delete(delivery)
        this.leases.delete(delivery)
        this.tellSettled(delivery)
        this.owner.creditChanged(queue)
      },
      refused: (error) => {
        this.settling -= freed
        this.underWay.delete(delivery)
        // A lease that is lost is no longer its; in every other case it still is.
        if (error.code === 'lease_lost') this.leases.delete(delivery)
        refused(error)
        if (this.leftToEnd.delete(delivery)) this.broker.giveBack(queue, delivery)
        this.owner.creditChanged(queue)
      },
    })
    if (freed > 0) this.owner.creditChanged(queue)
  }

  /** Ends the leases that have run out; gives when the next one does. */
  look(now: number): number {
    for (const delivery of this.leases.overdue(now)) if (!this.underWay.has(delivery)) this.runOut(delivery)
    return this.leases.nextDeadline()
  }

  /** A lease has run out: it takes no credit any more, and is not handed out where its client has not seen it. */
  private runOut(delivery: number): void {
    this.leases.delete(delivery)
    this.charge(delivery, { error: 'The consumer did not answer in time', delayMs: 0 })
    this.waiting = this.waiting.filter(({ id }) => id !== delivery)
    this.waitingBytes = this.waiting.reduce((sum, { frame }) => sum + frame.length, 0)
    this.owner.creditChanged(this.options.queue)
  }

  fail(error: FanfareError): void {
    this.ended = true
    this.owner.failed(this, error)
  }

  /** Gives a lease more time. False: it is lost. */
  extend(delivery: number, ms: number): boolean {
    if (!this.leases.holds(delivery) || this.underWay.has(delivery)) return false
    const deadline = this.clock.now() + ms
    this.leases.hold(delivery, deadline)
    this.owner.lookBy(this, deadline)
    return true
  }

  /**
   * Lets go of everything. What its client has not seen goes back as it was; what it has is a failed attempt when the
   * connection was lost, and none where the hub or the client stops the consumer in good order. What the client has
   * settled ends as it said.
   */
  end(lost: boolean): void {
    this.ended = true
    const unseen = new Set(this.waiting.map(({ id }) => id))
    this.waiting = []
    const { queue } = this.options
    for (const delivery of this.leases) {
      if (this.underWay.has(delivery) && !lost) this.leftToEnd.add(delivery)
      else if (unseen.has(delivery) || !lost) this.broker.giveBack(queue, delivery)
      else this.charge(delivery, { error: 'The connection of the consumer was lost', delayMs: 0 })
    }
    this.leases.clear()
  }

  /** Ends a lease as a failed attempt. */
  private charge(delivery: number, failure: { readonly error: string; readonly delayMs: number }): void {
    const { queue } = this.options
    const ending = { kind: 'nack', ...failure } as const
    // A failure that cannot be kept does not count, and must not hold up the message for good.
    const refused = () => this.broker.giveBack(queue, delivery)
    this.broker.settle({ queue, delivery, ending, drafts: [], settled: () => {}, refused })
  }

  /** One frame for all that one commit has settled. */
  private tellSettled(delivery: number): void {
    if (this.settledNow.length === 0) {
      queueMicrotask(() => {
        const deliveries = this.settledNow
        this.settledNow = []
        this.outlet.send({ type: 'settled', consumer: this.options.consumer, deliveries })
      })
    }
    this.settledNow.push(delivery)
  }
}

function deliveryFrame(consumer: number, { id, wire, attempt, lastError }: Delivery): string | Uint8Array {
  let head = `{"type":"delivery","consumer":${consumer},"delivery":${id},"attempt":${attempt}`
  if (lastError !== undefined) head += `,"error":${JSON.stringify(lastError)}`
  if (typeof wire === 'string') return `${head},"message":${wire}}`
  const record = Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength)
  const payloadAt = 8 + record.readUInt32BE(0)
  return encodeRecord(`${head},"message":${record.toString('utf8', 8, payloadAt)}}`, record.subarray(payloadAt))
}

function joined(waiting: readonly Waiting[]): Stretch[] {
  const stretches: Stretch[] = []
  let frames: (string | Uint8Array)[] = []
  let bytes = 0
  const flush = () => {
    if (frames.length > 0) stretches.push(stretchOf(frames))
    frames = []
    bytes = 0
  }
  for (const { frame } of waiting) {
    const otherKind = typeof frames[0] !== typeof frame
    if (frames.length > 0 && (otherKind || bytes + frame.length > STRETCH_BYTES)) flush()
    frames.push(frame)
    bytes += frame.length
  }
  flush()
  return stretches
}

function stretchOf(frames: readonly (string | Uint8Array)[]): Stretch {
  return typeof frames[0] === 'string'
    ? { wires: Buffer.from(frames.join(',')), binary: false, count: frames.length }
    : { wires: Buffer.concat(frames as Uint8Array[]), binary: true, count: frames.length }
}
