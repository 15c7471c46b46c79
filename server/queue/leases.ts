import Denque from 'denque'
import type { DeliveryId } from '../broker/broker.ts'

/** A delivery that a consumer holds. */
export interface Lease {
  /** Its number to the client. */
  readonly delivery: number
  /** To the broker; undefined if the lease was lost and the message is being settled late. */
  readonly id: DeliveryId | undefined
  readonly seq: number
  readonly attempt: number
  /**
   * `leased`: it has not been handed out. `sent`: it is with the client, and waits there. `begun`: a handler has it, and its time
   * runs. `settling`: the client has ended it, and that is being stored. `gone`: it is not held any more.
   */
  state: 'leased' | 'sent' | 'begun' | 'settling' | 'gone'
  /** When it was sent. */
  sentAt: number
  /** Of a delivery that has begun: since when its time runs, and until when. */
  time: { readonly since: number; readonly deadline: number } | undefined
  /** The client was asked to give it back. */
  recalled: boolean
}

/** Marks of deliveries that are gone which need no cleaning. */
const TOLERATED_GONE = 32

/**
 * The deliveries of one consumer, and which of them have begun. A client begins in the order of delivery: what is true of one is true
 * of those before it. The oldest delivery of a client that does not say what it begins counts as begun.
 */
export class Leases {
  private readonly ackDeadlineMs: number
  private readonly begins: boolean
  private readonly byDelivery = new Map<number, Lease>()
  /** Those that wait in the client, in order; what is gone is only marked. */
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

  /** One has begun, or its end is being stored. */
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

  /** The lease of a message. It goes through all of them. */
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

  /** All that were sent up to this number have begun. */
  begin(upTo: number, now: number): void {
    for (let lease = this.oldestUnbegun; lease && lease.delivery <= upTo; lease = this.oldestUnbegun) {
      this.beginOne(lease, now)
    }
  }

  /** A lease that has begun has this much time from now on. */
  extend(lease: Lease, ms: number, now: number): void {
    lease.time = { since: now, deadline: now + ms }
  }

  /** Its end is being stored. */
  settling(lease: Lease, now: number): void {
    if (lease.state === 'begun') this.begun.delete(lease)
    lease.state = 'settling'
    this.begin(lease.delivery, now)
    if (!this.begins) this.beginOldest(now)
  }

  /** It is not ended, and goes on. */
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

  /** Those that wait in the client, the oldest first. */
  allUnbegun(): Lease[] {
    return this.unbegun.toArray().filter(({ state }) => state === 'sent')
  }

  /** Those whose time is up. */
  overdue(now: number): Lease[] {
    return [...this.begun].filter(({ time }) => (time?.deadline ?? 0) <= now)
  }

  /** Some were taken away. */
  goOn(now: number): void {
    if (!this.begins) this.beginOldest(now)
  }

  /** When the time of the first is up. */
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
