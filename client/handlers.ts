import { FanfareError } from '../shared/fanfare-error.ts'
import { isThenable } from '../shared/thenable.ts'
import { Alarm } from './alarm.ts'
import type { BegunDeliveries } from './begun-deliveries.ts'
import type { completed, DeliveryHandler } from './consume-options.ts'
import { type Delivery, isLost } from './delivery.ts'
import type { Session } from './session.ts'
import { callBack, throwLater } from './throw-later.ts'
import { nextTurn } from './writer.ts'

/** The consumer whose deliveries are handled. */
interface Source {
  readonly begun: BegunDeliveries
  readonly ackDeadlineMs: number
  /** The next delivery, which has begun now. */
  take(): Delivery | undefined
  /** No handler runs any more. */
  idle(): void
}

/** Handlers may block the event loop for this long, in milliseconds. Then the results have to be sent to the hub. */
const LONG_TURN_MS = 10

/** Runs the handler of a consumer, and settles each delivery by what becomes of it. */
export class Handlers {
  running = 0
  readonly #handler: DeliveryHandler<unknown>
  readonly #options: ReturnType<typeof completed>
  readonly #source: Source
  readonly #session: Session
  /** When the first handler of this turn was called. */
  #turnSince: number | undefined
  /** The next one waits for the next turn. */
  #resting = false

  constructor(
    handler: DeliveryHandler<unknown>,
    options: ReturnType<typeof completed>,
    source: Source,
    session: Session,
  ) {
    this.#handler = handler
    this.#options = options
    this.#source = source
    this.#session = session
  }

  /** Another one could run. */
  get free(): boolean {
    return this.running < this.#options.concurrency
  }

  /** Handles what is there. */
  pump(): void {
    const { clock } = this.#session
    while (!this.#resting && this.free) {
      if (this.#turnSince === undefined) this.#beginTurn()
      const delivery = this.#source.take()
      if (!delivery) return
      this.#handle(delivery)
      const heldMs = clock.now() - (this.#turnSince ?? 0)
      if (heldMs >= LONG_TURN_MS) this.#rest(heldMs)
    }
  }

  #beginTurn(): void {
    this.#turnSince = this.#session.clock.now()
    this.#session.writer.atEndOfTurn(() => {
      this.#turnSince = undefined
    })
  }

  /** Sends results to the hub, and receives its frames: it may have revoked deliveries that wait here. */
  #rest(heldMs: number): void {
    if (this.#resting) return
    this.#resting = true
    this.#session.writer.flush()
    const goOn = () => this.goOn()
    // After half of a deadline the hub may have revoked what waits. Otherwise a whole turn of the event loop is enough, which reads the
    // socket at some point.
    if (heldMs >= this.#source.ackDeadlineMs / 2) this.#session.roundTrip(goOn)
    else nextTurn(() => nextTurn(goOn))
  }

  /** Continues: frames of the hub have been received, or the connection is gone, and with it what waited. */
  goOn(): void {
    this.#resting = false
    this.pump()
  }

  #handle(delivery: Delivery): void {
    let result: Promise<unknown> | undefined
    // From here on: it may close its own consumer.
    this.running++
    try {
      const returned = this.#handler(delivery)
      // Also a thenable of a library, such as a query that runs when it is awaited.
      if (isThenable(returned)) result = Promise.resolve(returned)
      else this.#finish(delivery, () => delivery.ack())
    } catch (error) {
      this.#failed(delivery, error)
    }
    if (result) this.#watch(delivery, result)
    else this.#ran()
  }

  #ran(): void {
    this.running--
    if (this.running === 0) this.#source.idle()
  }

  /** Keeps the lease while a handler runs, for as long as it may. */
  #watch(delivery: Delivery, result: Promise<unknown>): void {
    const { begun } = this.#source
    const { clock } = this.#session
    const { maxRunTimeMs } = this.#options
    const endsAt = clock.now() + maxRunTimeMs
    const alarm = new Alarm(clock)
    let lookAt = 0
    let over = false
    if (!delivery.settled) begun.goesOn(delivery)
    const done = (finish: () => void) => {
      if (over) return
      over = true
      alarm.clear()
      finish()
      this.#ran()
      // If the timer should have come long ago, the event loop was held up.
      const heldMs = clock.now() - lookAt
      if (heldMs >= LONG_TURN_MS) this.#rest(heldMs)
      this.pump()
    }
    const look = () => {
      const left = endsAt - clock.now()
      if (left <= 0) return done(() => this.#timedOut(delivery))
      if (begun.get(delivery.number) === delivery) delivery.extend(this.#source.ackDeadlineMs)
      wait(left)
    }
    // Half of the time is left for the request to arrive.
    const wait = (left: number) => {
      const ms = Math.min(this.#source.ackDeadlineMs / 2, left)
      lookAt = clock.now() + ms
      alarm.set(ms, look)
    }
    wait(maxRunTimeMs)
    result.then(
      () => done(() => this.#finish(delivery, () => delivery.ack())),
      (error: unknown) => done(() => this.#failed(delivery, error)),
    )
  }

  #timedOut(delivery: Delivery): void {
    const error = new FanfareError('handler_timeout')
    delivery.abort(error)
    this.#failed(delivery, error)
  }

  #failed(delivery: Delivery, error: unknown): void {
    this.#tell(delivery, error)
    this.#finish(delivery, () => delivery.nack({ error }))
  }

  #finish(delivery: Delivery, settle: () => Promise<void>): void {
    if (delivery.settled) return
    settle().catch((error: unknown) => {
      if (!this.#tell(delivery, error)) throwLater(error)
    })
  }

  /** Reports it, or warns of a settlement that came too late. False: neither applies. */
  #tell(delivery: Delivery, error: unknown): boolean {
    const { onError } = this.#options
    const { id, queue, settled } = delivery
    const isLate = settled && isLost(error)
    if (onError) callBack(() => onError(error, delivery))
    else if (isLate) {
      console.warn(`Fanfare: message ${id} of queue ${queue} may be handled again: its lease was lost`)
    }
    return isLate || onError !== undefined
  }
}
