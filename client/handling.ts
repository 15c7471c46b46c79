import type { Clock } from '../shared/clock.ts'
import { isThenable } from '../shared/thenable.ts'
import { Alarm } from './alarm.ts'
import type { Delivery, Item } from './inbox.ts'
import type { MessageHandler, SubscribeOptions } from './subscribe-options.ts'
import { callBack } from './throw-later.ts'

/** The subscription whose messages are handled. */
interface Source {
  /** What waits to be handled. */
  shift(): Item | undefined
  handled(delivery: Delivery): void
  /** A message has failed, and `onError` has not decided what to do with it. Returns whether the next one may be handled. */
  broken(error: unknown): boolean
}

/** How long the next attempt waits, and by what time. */
interface Waits {
  readonly clock: Clock
  backoffMs(failures: number): number
}

/** Gives one message after the other to a handler, and asks `onError` what becomes of one that fails. */
export class Handling {
  readonly #handler: MessageHandler<unknown>
  readonly #options: SubscribeOptions
  readonly #waits: Waits
  readonly #source: Source
  /** A message is being handled, or waits for its next attempt. */
  #busy = false
  #stopped = false
  readonly #alarm: Alarm

  constructor(handler: MessageHandler<unknown>, options: SubscribeOptions, waits: Waits, source: Source) {
    this.#handler = handler
    this.#options = options
    this.#waits = waits
    this.#source = source
    this.#alarm = new Alarm(waits.clock)
  }

  /** Handles a message that has just come, before which none waits. False: another is being handled. */
  takes(delivery: Delivery): boolean {
    if (this.#busy) return false
    this.#handle(delivery, 1)
    return true
  }

  /** Handles what waits. */
  pump(): void {
    while (!this.#busy) {
      const item = this.#source.shift()
      if (!item) return
      const { gap } = item
      if (gap) callBack(() => this.#options.onGap?.(gap))
      else this.#handle(item, 1)
    }
  }

  /** Nothing more is handled. */
  stop(): void {
    this.#busy = this.#stopped = true
    this.#alarm.clear()
  }

  #handle(delivery: Delivery, attempt: number): void {
    try {
      const result: unknown = this.#handler(delivery.message)
      if (!isThenable(result)) return this.#source.handled(delivery)
      this.#busy = true
      // Once: a thenable of a library may do its work again with each `then`.
      Promise.resolve(result).then(
        () => this.#goOn(() => this.#source.handled(delivery)),
        (error: unknown) => this.#failed(delivery, error, attempt),
      )
    } catch (error) {
      if (this.#options.onError) void this.#failed(delivery, error, attempt)
      else this.#busy = !this.#source.broken(error)
    }
  }

  async #failed(delivery: Delivery, error: unknown, attempt: number): Promise<void> {
    const { onError } = this.#options
    this.#busy = true
    try {
      if (!onError) throw error
      if ((await onError(error, delivery.message, { attempt })) === 'retry') {
        const again = () => this.#goOn(() => this.#handle(delivery, attempt + 1))
        if (!this.#stopped) this.#alarm.set(this.#waits.backoffMs(attempt - 1), again)
        return
      }
    } catch (thrown) {
      if (!this.#source.broken(thrown)) return
    }
    this.#goOn(() => this.#source.handled(delivery))
  }

  /** Does the next step, unless nothing more is to be handled. */
  #goOn(step: () => void): void {
    if (this.#stopped) return
    this.#busy = false
    step()
    this.pump()
  }
}
