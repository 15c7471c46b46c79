import Denque from 'denque'
import type { DeliveryId } from '../broker/broker.ts'

/** A delivery that a consumer holds. */
export interface Lease {
  /** The client's number for the delivery. */
  readonly delivery: number
  /** The broker's id; undefined if the lease was lost and the message is being settled late. */
  readonly id: DeliveryId | undefined
  readonly seq: number
  readonly attempt: number
  /**
   * `leased`: not handed out yet. `sent`: waiting in the client. `begun`: a handler has it, and its deadline runs. `settling`: the
   * client has settled it, and that is being stored. `gone`: no longer held.
   */
  state: 'leased' | 'sent' | 'begun' | 'settling' | 'gone'
  /** When it was sent. */
  sentAt: number
  /** For a delivery that has begun: when its time started, and its deadline. */
  time: { readonly since: number; readonly deadline: number } | undefined
  /** Whether the client was asked to return it. */
  recalled: boolean
}

/** Number of entries of gone deliveries that are tolerated before a cleanup. */
const TOLERATED_GONE = 32

/**
 * The deliveries of one consumer, and which of them have begun. A client begins deliveries in order: what is true of one is true of
 * those before it. For a client that does not report what it begins, the oldest delivery counts as begun.
 */
export class Leases {
  private readonly ackDeadlineMs: number
  private readonly begins: boolean
  private readonly byDelivery = new Map<number, Lease>()
  /** Deliveries that wait in the client, in order; gone ones are only marked. */
  private readonly unbegun = new Denque<Lease>()
  private readonly begun = new Set<Lease>()

  constructor(ackDeadlineMs: number, begins: boolean) {
    this.ackDeadlineMs = ackDeadlineMs
    this.begins = begins
  }

  get count(): number {
    return this.byDelivery.size
  }

  get begunCount(): number {
    return this.begun.size
  }

  /** Whether any delivery has begun, or its settlement is being stored. */
  get areWorkedOn(): boolean {
    for (const { state } of this.byDelivery.values()) if (state === 'begun' || state === 'settling') return true
    return false
  }

  [Symbol.iterator](): Iterator<Lease> {
    return this.byDelivery.values()
  }

  get(delivery: number): Lease | undefined {
    return this.byDelivery.get(delivery)
  }

  /** The lease of a message. A linear search. */
  of(seq: number): Lease | undefined {
    for (const lease of this.byDelivery.values()) if (lease.seq === seq) return lease
    return undefined
  }

  add(delivery: number, id: DeliveryId | undefined, seq: number, attempt: number): Lease {
    const state = 'leased' as const
    const lease: Lease = { delivery, id, seq, attempt, state, sentAt: 0, time: undefined, recalled: false }
    this.byDelivery.set(delivery, lease)
    return lease
  }

  sent(lease: Lease, now: number): void {
    lease.state = 'sent'
    lease.sentAt = now
    this.unbegun.push(lease)
    if (!this.begins) this.beginOldest(now)
  }

  /** All deliveries sent up to this number have begun. */
  begin(upTo: number, now: number): void {
    for (let lease = this.oldestUnbegun; lease && lease.delivery <= upTo; lease = this.oldestUnbegun) {
      this.beginOne(lease, now)
    }
  }

  /** Extends a lease that has begun: it has this much time from now on. */
  extend(lease: Lease, ms: number, now: number): void {
    lease.time = { since: now, deadline: now + ms }
  }

  /** The settlement of the lease is being stored. */
  settling(lease: Lease, now: number): void {
    if (lease.state === 'begun') this.begun.delete(lease)
    lease.state = 'settling'
    this.begin(lease.delivery, now)
    if (!this.begins) this.beginOldest(now)
  }

  /** The settlement failed, so the lease continues. */
  resume(lease: Lease, now: number): void {
    if (lease.state !== 'gone') this.beginOne(lease, now)
  }

  remove(lease: Lease): void {
    if (lease.state === 'begun') this.begun.delete(lease)
    lease.state = 'gone'
    this.byDelivery.delete(lease.delivery)
    if (this.unbegun.length > 2 * this.byDelivery.size + TOLERATED_GONE) this.forgetGone()
  }

  clear(): void {
    for (const lease of this.byDelivery.values()) this.remove(lease)
  }

  get oldestUnbegun(): Lease | undefined {
    let lease = this.unbegun.peekFront()
    for (; lease && lease.state !== 'sent'; lease = this.unbegun.peekFront()) this.unbegun.shift()
    return lease
  }

  /** Deliveries that wait in the client, the oldest first. */
  allUnbegun(): Lease[] {
    return this.unbegun.toArray().filter(({ state }) => state === 'sent')
  }

  /** Leases whose deadline has passed. */
  overdue(now: number): Lease[] {
    return [...this.begun].filter(({ time }) => (time?.deadline ?? 0) <= now)
  }

  /** Some leases were removed: the time of the next may start. */
  goOn(now: number): void {
    if (!this.begins) this.beginOldest(now)
  }

  /** The earliest deadline. */
  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { time } of this.begun) next = Math.min(next, time?.deadline ?? 0)
    return next
  }

  private beginOldest(now: number): void {
    const oldest = this.begun.size === 0 ? this.oldestUnbegun : undefined
    if (oldest) this.beginOne(oldest, now)
  }

  private beginOne(lease: Lease, now: number): void {
    lease.state = 'begun'
    this.begun.add(lease)
    this.extend(lease, this.ackDeadlineMs, now)
  }

  private forgetGone(): void {
    const left = this.allUnbegun()
    this.unbegun.clear()
    for (const lease of left) this.unbegun.push(lease)
  }
}
