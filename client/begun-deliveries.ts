import type { FanfareError } from '../shared/fanfare-error.ts'
import type { Delivery } from './delivery.ts'
import type { Session } from './session.ts'

/**
 * Which deliveries have begun, and which of them the hub knows about: it charges an attempt for those only. Usually the hub learns of them
 * at the end of the turn, except of those that are settled by then; if the connection is lost before, it suspects the oldest. That would
 * be wrong while the hub knows of another one that has begun, and too vague for a message that has failed before: then the client
 * reports the begin before the handler runs.
 */
export class BegunDeliveries {
  readonly #consumer: number
  readonly #session: Session
  /** Begun and not settled. Those of synchronous handlers are not among them. */
  readonly #open = new Map<number, Delivery>()
  /** The hub wants to know. */
  #isSaid = false
  /** The last delivery that has begun, and the last one of which the hub knows that. */
  #last = 0
  #lastSaid = 0
  /** The hub may know of some that are not settled. */
  #exact = false
  #endsTurn = false

  constructor(consumer: number, session: Session) {
    this.#consumer = consumer
    this.#session = session
  }

  /** A connection begins. */
  start(isSaid: boolean): void {
    this.#isSaid = isSaid
  }

  /** All leases are gone. */
  clear(reason: FanfareError): void {
    this.abort(reason)
    this.#last = this.#lastSaid = 0
    this.#isSaid = this.#exact = false
  }

  get(delivery: number): Delivery | undefined {
    return this.#open.get(delivery)
  }

  /** A handler or a reader is about to get it. */
  begin({ number, attempt, lastError }: Delivery): void {
    this.#last = number
    if (!this.#isSaid) return
    // The first of a connection is reported as well: a message that crashes one process after the other is often the first that they get.
    const isUsual = this.#lastSaid > 0 && attempt === 1 && lastError === undefined
    if (!this.#exact && isUsual) return this.#atEndOfTurn()
    this.#say()
    this.#session.writer.flush()
  }

  /** The hub is about to revoke what has not begun, as far as it knows. */
  catchUp(): void {
    if (this.#isSaid && this.#last > this.#lastSaid) this.#say()
  }

  /** It is not settled by the handler's return. */
  goesOn(delivery: Delivery): void {
    this.#open.set(delivery.number, delivery)
  }

  /** Its end was reported, which also reports that all before it have begun. */
  settled(delivery: number): void {
    if (delivery > this.#lastSaid) this.#lastSaid = delivery
    if (this.#open.size > 0) this.#open.delete(delivery)
    if (this.#open.size > 0) this.#exact = true
    else if (this.#exact) this.#atEndOfTurn()
  }

  /** These are lost; by default all that have begun. */
  abort(reason: FanfareError, deliveries: Iterable<number> = this.#open.keys()): void {
    for (const number of deliveries) {
      this.#open.get(number)?.abort(reason)
      this.#open.delete(number)
    }
  }

  /** Tells the hub that all deliveries up to the last one have begun. */
  #say(): void {
    this.#lastSaid = this.#last
    this.#exact = true
    this.#session.say({ type: 'begin', consumer: this.#consumer, delivery: this.#last })
  }

  #atEndOfTurn(): void {
    if (this.#endsTurn) return
    this.#endsTurn = true
    this.#session.writer.atEndOfTurn(() => {
      this.#endsTurn = false
      if (this.#last > this.#lastSaid) this.#say()
      else if (this.#open.size === 0) this.#exact = false
    })
  }
}
