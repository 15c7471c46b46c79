import type { Clock } from '../../shared/clock.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { Broker, Delivery, Draft, Ending, Settlement } from '../broker/broker.ts'
import type { Stretch } from '../stream/chunk.ts'
import { FAIR_MS, LEASED_AHEAD_BYTES } from './consumer-limits.ts'
import type { ConsumerOptions, ConsumerOutlet, ConsumerOwner, GivenUp } from './consumer-owner.ts'
import { deliveryFrame, joined } from './delivery-frames.ts'
import { LeaseSettlement } from './lease-settlement.ts'
import { type Lease, Leases } from './leases.ts'
import { SettledNotice } from './settled-notice.ts'
import { TakenDeliveries } from './taken-deliveries.ts'

/** Maximum deliveries in one `recall`. */
const RECALLED_AT_ONCE = 1000

const OUT_OF_TIME = 'The consumer did not answer in time'
const CONNECTION_LOST = 'The connection of the consumer was lost'

/**
 * One connection's claim on a queue: its leased deliveries, including those on the way. An attempt is charged only for deliveries
 * that its client has begun; the others go back unchanged, whatever happens.
 */
export class Consumer {
  readonly sub = undefined
  readonly options: ConsumerOptions
  private readonly broker: Broker
  private readonly clock: Clock
  private readonly outlet: ConsumerOutlet
  private readonly owner: ConsumerOwner<Consumer>
  private readonly leases: Leases
  /** Leased but not handed out yet. */
  private waiting: { readonly lease: Lease; readonly frame: string | Uint8Array }[] = []
  private waitingBytes = 0
  /** Plain acks that are being committed. They do not come back, unlike a nack or a refused publish. */
  private settling = 0
  /** Settlements that were in progress when the consumer ended. If they are refused, their messages go back. */
  private readonly leftToEnd = new Set<Lease>()
  private readonly taken: TakenDeliveries
  private readonly settled: SettledNotice
  /** When the client last reported something about its deliveries. */
  private lastSign = 0
  /** Since when none of the deliveries that wait in the client has moved. */
  private quietSince = 0
  /** Whether the client was asked if it still has its unbegun deliveries. */
  private asked = false
  /** The consumer gets nothing new until it shows a sign of life. */
  private silent = false
  /** The latest time of the next call of `look`. */
  private lookAt = Number.POSITIVE_INFINITY
  private stopped = false
  private ended = false

  constructor(
    options: ConsumerOptions,
    broker: Broker,
    clock: Clock,
    outlet: ConsumerOutlet,
    owner: ConsumerOwner<Consumer>,
  ) {
    this.options = options
    this.broker = broker
    this.clock = clock
    this.outlet = outlet
    this.owner = owner
    this.leases = new Leases(options.ackDeadlineMs, options.begins)
    this.taken = new TakenDeliveries(options.prefetch)
    this.settled = new SettledNotice(options.consumer, outlet)
  }

  get inFlightCount(): number {
    return this.leases.count
  }

  get isBusy(): boolean {
    return this.leases.areWorkedOn
  }

  /** How many more deliveries it can take now. */
  get credit(): number {
    const { waitingBytes, outlet } = this
    if (this.ended || this.stopped || this.silent || !outlet.keepsUp || waitingBytes >= LEASED_AHEAD_BYTES) return 0
    const { prefetch } = this.options
    // Acked deliveries make room immediately, otherwise the disk would set the pace; but at most as many again.
    return prefetch - this.leases.count + Math.min(this.settling, prefetch)
  }

  /** Whether it could take a delivery and has nothing to do. */
  get idle(): boolean {
    return this.leases.count === 0 && this.credit > 0
  }

  /** Takes deliveries for its client, from a place on and up to a count, as far as it has credit; returns how many. */
  offer(deliveries: readonly Delivery[], from: number, count: number): number {
    const end = Math.min(from + count, deliveries.length)
    let at = from
    for (; at < end && this.waitingBytes < LEASED_AHEAD_BYTES; at++) {
      const delivery = deliveries[at] as Delivery
      const number = this.owner.nextDelivery()
      const frame = deliveryFrame(this.options.consumer, number, delivery)
      const { id, seq, attempt } = delivery
      this.waiting.push({ lease: this.leases.add(number, id, seq, attempt), frame })
      this.waitingBytes += frame.length
    }
    if (at > from) this.outlet.feedReady()
    return at - from
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
    const now = this.clock.now()
    if (this.leases.begunCount === 0 && !this.leases.oldestUnbegun) {
      this.quietSince = now
      this.lookAt = Number.POSITIVE_INFINITY
    }
    for (const { lease } of waiting) this.leases.sent(lease, now)
    this.lookBy(now + this.options.ackDeadlineMs / 2)
    this.owner.creditChanged(this.options.queue)
    return joined(waiting)
  }

  /** The client has begun all deliveries up to this one. */
  begin(delivery: number): void {
    const now = this.clock.now()
    this.leases.begin(delivery, now)
    this.signOfLife(now)
  }

  /** The client returns these deliveries, which it has not begun. */
  return(deliveries: readonly number[]): void {
    this.signOfLife(this.clock.now())
    const leases = deliveries.map((delivery) => this.leases.get(delivery))
    this.giveBack(leases.filter((lease) => lease?.state === 'sent') as Lease[])
    this.owner.creditChanged(this.options.queue)
  }

  /** The client wants no more deliveries. Those that it has begun continue. */
  stop(): void {
    this.stopped = true
    this.giveBack(this.waiting.map(({ lease }) => lease))
    this.waiting = []
    this.waitingBytes = 0
  }

  /**
   * A lease that the client may settle now. With `late`, also one that was revoked, if no other client has begun the message since.
   * If the message is waiting, the broker settles it without a lease.
   */
  leaseOf(delivery: number, late: boolean): Lease | undefined {
    const lease = this.leases.get(delivery)
    if (lease) return lease.state === 'sent' || lease.state === 'begun' ? lease : undefined
    const seq = this.taken.seqOf(delivery)
    if (seq === undefined) return undefined
    this.signOfLife(this.clock.now())
    if (!late) return undefined
    const given = this.owner.reclaim(this.options.queue, seq)
    if (given && given.delivery === undefined) return undefined
    this.taken.delete(delivery)
    return this.leases.add(delivery, given?.delivery, seq, 0)
  }

  /** Settles a lease, with messages that are published in the same step; `refused` is called if that was not possible. */
  settle(lease: Lease, ending: Ending, drafts: readonly Draft[], refused: Settlement['refused']): void {
    const { queue } = this.options
    const freed = ending.kind === 'ack' && drafts.length === 0 ? 1 : 0
    this.settling += freed
    const now = this.clock.now()
    this.leases.settling(lease, now)
    this.signOfLife(now)
    this.broker.settle(new LeaseSettlement(this, queue, lease, ending, drafts, freed, refused))
    if (freed > 0) this.owner.creditChanged(queue)
  }

  /** A lease has ended as the client requested. */
  settledAs(lease: Lease, freed: number): void {
    this.settling -= freed
    if (this.ended) this.leftToEnd.delete(lease)
    this.leases.remove(lease)
    this.settled.add(lease.delivery)
    this.owner.creditChanged(this.options.queue)
  }

  /** A lease could not be settled; `tell` notifies its client. */
  notSettled(lease: Lease, freed: number, error: FanfareError, tell: Settlement['refused']): void {
    this.settling -= freed
    // After `lease_lost` the consumer no longer holds the delivery; after any other error it does.
    if (error.code === 'lease_lost') this.leases.remove(lease)
    else this.goOn(lease)
    tell(error)
    if (this.leftToEnd.delete(lease)) this.letGo(lease)
    this.owner.creditChanged(this.options.queue)
  }

  /** Extends a lease. Returns false if it is not held. */
  extend(delivery: number, ms: number): boolean {
    const lease = this.leases.get(delivery)
    const now = this.clock.now()
    this.leases.begin(delivery, now)
    this.signOfLife(now)
    // The delivery was revoked: the client has been notified, or soon will be.
    if (!lease) return this.taken.has(delivery)
    if (lease.state !== 'begun') return false
    this.leases.extend(lease, ms, now)
    this.lookBy(now + ms)
    return true
  }

  /** Revokes expired deliveries; returns when there may be more to do. */
  look(now: number): number {
    if (this.ended) return Number.POSITIVE_INFINITY
    const lost: number[] = []
    for (const lease of this.leases.overdue(now)) {
      const silent = this.lastSign <= (lease.time?.since ?? 0)
      this.owner.ranOut(this, lease, silent)
      this.take(lease, lost)
      this.charge(lease, OUT_OF_TIME)
      if (silent) this.fallSilent(lost)
    }
    if (lost.length > 0) {
      this.quietSince = now
      this.leases.goOn(now)
    }
    this.lookAtUnbegun(now, lost)
    if (lost.length > 0) {
      const { consumer, queue } = this.options
      this.outlet.send({ type: 'lost', consumer, deliveries: lost })
      this.owner.creditChanged(queue)
    }
    this.lookAt = Math.min(this.leases.nextDeadline(), this.nextUnbegun())
    return this.lookAt
  }

  /**
   * If none has begun, the client is asked at half of the deadline whether it still has its deliveries. A client that does not
   * answer before the deadline is gone or blocked, most likely by the handler of the oldest delivery.
   */
  private lookAtUnbegun(now: number, lost: number[]): void {
    const { ackDeadlineMs } = this.options
    const oldest = this.leases.begunCount === 0 ? this.leases.oldestUnbegun : undefined
    if (!oldest) return
    if (now >= this.quietSince + ackDeadlineMs) {
      this.owner.ranOut(this, oldest, true)
      this.take(oldest, lost)
      this.suspect(oldest, OUT_OF_TIME)
      this.fallSilent(lost)
    } else if (!this.asked && now >= this.quietSince + ackDeadlineMs / 2) {
      this.asked = true
      this.recall(this.leases.allUnbegun())
    }
  }

  private nextUnbegun(): number {
    if (this.leases.begunCount > 0 || !this.leases.oldestUnbegun) return Number.POSITIVE_INFINITY
    return this.quietSince + this.options.ackDeadlineMs / (this.asked ? 1 : 2)
  }

  /** Deliveries that could be recalled: those that have waited for a while in a client that can return them. */
  recallable(now: number): Lease[] {
    if (!this.options.begins) return []
    return this.leases.allUnbegun().filter(({ recalled, sentAt }) => !recalled && sentAt <= now - FAIR_MS)
  }

  /** Asks the client to return these deliveries if it has not begun them. */
  recall(leases: readonly Lease[]): void {
    const { consumer } = this.options
    for (let at = 0; at < leases.length; at += RECALLED_AT_ONCE) {
      const some = leases.slice(at, at + RECALLED_AT_ONCE)
      for (const lease of some) lease.recalled = true
      this.outlet.send({ type: 'recall', consumer, deliveries: some.map(({ delivery }) => delivery) })
    }
  }

  /** Gives up a message that its client has not begun to a client that has finished it. Returns undefined if it does not have the message. */
  giveUp(seq: number): GivenUp | undefined {
    const lease = this.leases.of(seq)
    if (!lease) return undefined
    if (lease.state === 'begun' || lease.state === 'settling') return { delivery: undefined }
    if (lease.state === 'sent') {
      const { consumer } = this.options
      this.outlet.send({ type: 'lost', consumer, deliveries: [lease.delivery] })
    }
    this.waiting = this.waiting.filter((each) => each.lease !== lease)
    this.leases.remove(lease)
    return { delivery: lease.id }
  }

  fail(error: FanfareError): void {
    this.ended = true
    this.owner.failed(this, error)
  }

  /**
   * Releases everything. Deliveries that were not begun go back unchanged. Those that were are failed attempts if the connection
   * was lost, and go back too if the consumer was stopped. Settled deliveries end as the client requested.
   */
  end(lost: boolean): void {
    this.ended = true
    const suspect = this.leases.begunCount === 0 ? this.leases.oldestUnbegun : undefined
    const untried: Lease[] = []
    for (const lease of [...this.leases]) {
      const { state } = lease
      if (state === 'settling' && !lost) this.leftToEnd.add(lease)
      else if (lost && (state === 'begun' || state === 'settling')) this.charge(lease, CONNECTION_LOST)
      else if (lost && lease === suspect) this.suspect(lease, CONNECTION_LOST)
      else untried.push(lease)
    }
    this.letGo(...untried)
    this.leases.clear()
    this.waiting = []
    this.taken.clear()
  }

  /**
   * The client did not report this delivery as begun, but a handler may have blocked or ended its process first. That costs no
   * attempt, but the message is marked: the next client reports its begin before it calls a handler.
   */
  private suspect(lease: Lease, error: string): void {
    this.endAs(lease, { kind: 'suspect', error })
  }

  private signOfLife(now: number): void {
    this.lastSign = now
    this.quietSince = now
    this.asked = false
    this.lookBy(now + this.options.ackDeadlineMs / 2)
    if (!this.silent) return
    this.silent = false
    this.owner.creditChanged(this.options.queue)
  }

  /** The client is silent: deliveries that it has not begun go back. */
  private fallSilent(lost: number[]): void {
    this.silent = true
    const leases = [...this.leases.allUnbegun(), ...this.waiting.map((each) => each.lease)]
    for (const lease of leases) if (lease.state === 'sent') this.take(lease, lost)
    this.giveBack(leases)
    this.waiting = []
    this.waitingBytes = 0
  }

  /** Revokes a delivery from the client, which still holds it as far as it knows. */
  private take(lease: Lease, lost: number[]): void {
    lost.push(lease.delivery)
    this.leases.remove(lease)
    this.taken.add(lease)
  }

  private giveBack(leases: readonly Lease[]): void {
    for (const lease of leases) this.leases.remove(lease)
    this.letGo(...leases)
  }

  private letGo(...leases: readonly Lease[]): void {
    const ids = leases.flatMap(({ id }) => (id === undefined ? [] : [id]))
    if (ids.length > 0) this.broker.giveBack(this.options.queue, ids)
  }

  private goOn(lease: Lease): void {
    if (lease.id === undefined) {
      // It was settled late: the message waits as before, and the client may try again.
      this.leases.remove(lease)
      this.taken.add(lease)
      return
    }
    const now = this.clock.now()
    this.leases.resume(lease, now)
    this.lookBy(now + this.options.ackDeadlineMs)
  }

  private lookBy(time: number): void {
    if (time >= this.lookAt) return
    this.lookAt = time
    this.owner.lookBy(this, time)
  }

  /** Ends a lease as a failed attempt; the next attempt comes after the queue's backoff. */
  private charge(lease: Lease, error: string): void {
    this.endAs(lease, { kind: 'nack', error, delayMs: undefined })
  }

  private endAs(lease: Lease, ending: Ending): void {
    const { queue } = this.options
    const { id: delivery, seq } = lease
    // A late settlement is not held: the broker settles it or leaves it.
    if (delivery === undefined) return
    // A failure that cannot be stored does not count, and must not hold up the message permanently.
    const back = () => this.letGo(lease)
    this.broker.settle({ queue, delivery, seq, ending, drafts: [], settled: () => {}, refused: back, unknown: back })
  }
}
