import type { FanfareError } from '../../shared/errors.ts'
import type { DeliveryId, Draft, Ending, Settlement } from '../broker/broker.ts'
import type { Lease } from './leases.ts'

/** Notified of the outcome when a client settles a lease. */
export interface LeaseHolder {
  settledAs(lease: Lease, freed: number): void
  notSettled(lease: Lease, freed: number, error: FanfareError, tell: Settlement['refused']): void
}

/** A settlement on its way through the broker. One object without closures, because there are a hundred thousand per second. */
export class LeaseSettlement implements Settlement {
  readonly queue: string
  readonly delivery: DeliveryId | undefined
  readonly seq: number
  readonly ending: Ending
  readonly drafts: readonly Draft[]
  private readonly holder: LeaseHolder
  private readonly lease: Lease
  /** Credit that it returned before it was stored. */
  private readonly freed: number
  private readonly tellRefused: Settlement['refused']

  constructor(
    holder: LeaseHolder,
    queue: string,
    lease: Lease,
    ending: Ending,
    drafts: readonly Draft[],
    freed: number,
    tellRefused: Settlement['refused'],
  ) {
    this.holder = holder
    this.queue = queue
    this.delivery = lease.id
    this.seq = lease.seq
    this.ending = ending
    this.drafts = drafts
    this.lease = lease
    this.freed = freed
    this.tellRefused = tellRefused
  }

  settled(): void {
    this.holder.settledAs(this.lease, this.freed)
  }

  refused(error: FanfareError): void {
    this.holder.notSettled(this.lease, this.freed, error, this.tellRefused)
  }

  unknown(error: FanfareError): void {
    this.refused(error)
  }
}
