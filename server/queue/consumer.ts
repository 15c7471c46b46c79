import { Buffer } from 'node:buffer'
import { encodeRecord } from '../../shared/codec.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { HubFrame } from '../../shared/frames.ts'
import type { Broker, Delivery, Draft, Ending, Settlement } from '../broker/broker.ts'
import type { Stretch } from '../stream/chunk.ts'

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
  private readonly outlet: ConsumerOutlet
  private readonly owner: ConsumerOwner
  /** Leased and not handed out. */
  private waiting: Waiting[] = []
  private waitingBytes = 0
  private readonly inFlight = new Set<number>()
  /** Plain acks that are being committed: nothing of them comes back, as a nack or a refused publish does. */
  private settling = 0
  /** Leases whose settlement the broker has not answered yet. */
  private readonly underWay = new Set<number>()
  /** Of these, the ones that were under way when the consumer ended: they come back if the settlement is refused. */
  private readonly leftToEnd = new Set<number>()
  private settledNow: number[] = []
  private ended = false

  constructor(options: ConsumerOptions, broker: Broker, outlet: ConsumerOutlet, owner: ConsumerOwner) {
    this.options = options
    this.broker = broker
    this.outlet = outlet
    this.owner = owner
  }

  get inFlightCount(): number {
    return this.inFlight.size
  }

  /** How many more deliveries it can take now. */
  get credit(): number {
    if (this.ended || !this.outlet.keepsUp || this.waitingBytes >= LEASED_AHEAD_BYTES) return 0
    const { prefetch } = this.options
    // What its client has acked makes room at once, or the disk would set its pace; as much again at the most.
    return prefetch - this.inFlight.size + Math.min(this.settling, prefetch)
  }

  /** Takes deliveries for its client. */
  offer(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      const frame = deliveryFrame(this.options.consumer, delivery)
      this.inFlight.add(delivery.id)
      this.waiting.push({ id: delivery.id, frame })
      this.waitingBytes += frame.length
    }
    this.outlet.feedReady()
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
    return this.inFlight.has(delivery)
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
        this.inFlight.delete(delivery)
        this.tellSettled(delivery)
        this.owner.creditChanged(queue)
      },
      refused: (error) => {
        this.settling -= freed
        this.underWay.delete(delivery)
        // A lease that is lost is no longer its; in every other case it still is.
        if (error.code === 'lease_lost') this.inFlight.delete(delivery)
        refused(error)
        if (this.leftToEnd.delete(delivery)) this.broker.giveBack(queue, delivery)
        this.owner.creditChanged(queue)
      },
    })
    if (freed > 0) this.owner.creditChanged(queue)
  }

  /** A lease has run out: it takes no credit any more, and is not handed out where its client has not seen it. */
  leaseLost(delivery: number): void {
    if (!this.inFlight.delete(delivery)) return
    this.waiting = this.waiting.filter(({ id }) => id !== delivery)
    this.waitingBytes = this.waiting.reduce((sum, { frame }) => sum + frame.length, 0)
    this.owner.creditChanged(this.options.queue)
  }

  fail(error: FanfareError): void {
    this.ended = true
    this.owner.failed(this, error)
  }

  extend(delivery: number, ms: number): boolean {
    return this.broker.extend(this.options.queue, delivery, ms)
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
    const failed = { kind: 'nack', error: 'The connection of the consumer was lost', delayMs: 0 } as const
    const giveBack = (delivery: number) => (error: FanfareError) => {
      // A failure that there is no room to keep does not count.
      if (error.code === 'storage_full') this.broker.giveBack(queue, delivery)
    }
    for (const delivery of this.inFlight) {
      if (this.underWay.has(delivery) && !lost) this.leftToEnd.add(delivery)
      else if (unseen.has(delivery) || !lost) this.broker.giveBack(queue, delivery)
      else
        this.broker.settle({
          queue,
          delivery,
          ending: failed,
          drafts: [],
          settled: () => {},
          refused: giveBack(delivery),
        })
    }
    this.inFlight.clear()
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
