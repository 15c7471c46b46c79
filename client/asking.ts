import type { Timer } from '../shared/clock.ts'
import { errorFrom } from '../shared/fanfare-error.ts'
import type { ErrorFrame } from '../shared/frames.ts'
import type { Session } from './session.ts'
import type { Standing } from './standing.ts'
import { callBack } from './throw-later.ts'

/** Something that stands at the hub under a number: a subscription, a consumer, or an offer to respond. */
export interface Asked {
  readonly number: number
  /** What asks for it now; undefined while it is about to end. */
  readonly frame: object | undefined
  readonly standing: Standing
}

/** Refusals of what was there before: its stream or queue may be declared again, as after a hub has lost its memory. */
const RETURNING = ['no_stream', 'ambiguous_stream', 'no_queue']

/** Refusals of anything that is asked for, and not of this. */
const TOO_MUCH = ['rate_limited', 'hub_full']

/**
 * Asks the hub for what is to stand there, on each connection again, and for what was refused as long as that may pass. All
 * goes out at once, until that was too much for a limit of the hub: then a little at first, and one more with each that is confirmed.
 */
export class Asking {
  readonly #session: Session
  /** In order. */
  readonly #waiting = new Set<Asked>()
  readonly #unanswered = new Set<Asked>()
  /** Refused for now, and what would be if it were asked for. */
  readonly #later = new Set<Asked>()
  /** Ends that the hub has not confirmed. */
  readonly #ending = new Map<number, () => void>()
  #mostUnanswered = Number.POSITIVE_INFINITY
  #timer: Timer | undefined

  constructor(session: Session) {
    this.#session = session
  }

  /** Without a connection nothing happens: the next one asks for everything. */
  ask(item: Asked): void {
    if (this.#session.isOpen) this.#pump([item])
  }

  confirmed(item: Asked): void {
    item.standing.confirmed()
    if (this.#unanswered.delete(item)) this.#mostUnanswered++
    this.#pump()
  }

  /** Asks again after a while, if the refusal may pass. False: it does not. */
  retries(item: Asked, frame: ErrorFrame): boolean {
    const { code, retry } = frame
    const session = this.#session
    const { standing } = item
    this.#unanswered.delete(item)
    const passes = retry || (standing.wasReady && RETURNING.includes(code))
    if (passes) {
      if (TOO_MUCH.includes(code)) {
        this.#mostUnanswered = 1
        for (const each of this.#waiting) this.#later.add(each)
        this.#waiting.clear()
      }
      // Last: one that is refused again and again does not keep the others waiting.
      this.#later.add(item)
      const again = () => {
        this.#timer = undefined
        this.#pump(this.#later)
      }
      this.#timer ??= session.clock.setTimeout(again, session.backoffMs(standing.failures))
      standing.interrupted(errorFrom(frame))
    }
    this.#pump()
    return passes
  }

  /** Asks no more, and sends the frame that ends it. Resolves when the hub has ended it, or there is no connection. */
  withdraw(item: Asked, ends: object = { type: 'unsubscribe', sub: item.number }): Promise<void> {
    for (const each of [this.#waiting, this.#unanswered, this.#later]) each.delete(item)
    this.#pump()
    if (!this.#session.isOpen) return Promise.resolve()
    this.#session.write(JSON.stringify(ends))
    return new Promise((resolve) => {
      this.#ending.set(item.number, resolve)
    })
  }

  /** The hub knows nothing of this number any more. */
  withdrawn(number: number): void {
    this.#ending.get(number)?.()
    this.#ending.delete(number)
  }

  lost(): void {
    // Asking for so much may be why.
    if (this.#unanswered.size > 0) this.#mostUnanswered = 1
    this.#session.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    for (const confirm of this.#ending.values()) confirm()
    for (const each of [this.#waiting, this.#unanswered, this.#later, this.#ending]) each.clear()
  }

  #pump(more: Iterable<Asked> = []): void {
    for (const item of more) {
      this.#later.delete(item)
      this.#waiting.add(item)
    }
    for (const item of this.#waiting) {
      if (this.#unanswered.size >= this.#mostUnanswered) return
      this.#waiting.delete(item)
      // One whose options cannot be said any more keeps none of the others waiting.
      callBack(() => {
        const { frame } = item
        if (!frame) return
        const said = JSON.stringify(frame)
        this.#unanswered.add(item)
        this.#session.write(said)
      })
    }
  }
}
