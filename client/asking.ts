import type { Timer } from '../shared/clock.ts'
import type { ErrorFrame } from '../shared/frames.ts'
import { errorFrom, type Session } from './session.ts'
import type { Standing } from './standing.ts'

/** Something that stands at the hub under a number: a subscription, or an offer to respond. */
export interface Asked {
  readonly sub: number
  /** What asks for it now. */
  readonly frame: object
  readonly standing: Standing
}

/** Refusals of what was there before: its stream may be declared again, as after a hub has lost its memory. */
const RETURNING = ['no_stream', 'ambiguous_stream']

/** Refusals of anything that is asked for, and not of this. */
const TOO_MUCH = ['rate_limited', 'hub_full']

/**
 * Asks the hub for what is to stand there, on each connection again, and for what was refused as long as that may pass. All
 * goes out at once, until that was too much for a limit of the hub: then a little at first, and one more with each that is confirmed.
 */
export class Asking {
  private readonly session: Session
  /** In order. */
  private readonly waiting = new Set<Asked>()
  private readonly unanswered = new Set<Asked>()
  /** Refused for now, and what would be if it were asked for. */
  private readonly later = new Set<Asked>()
  /** Ends that the hub has not confirmed. */
  private readonly ending = new Map<number, () => void>()
  private mostUnanswered = Number.POSITIVE_INFINITY
  private timer: Timer | undefined

  constructor(session: Session) {
    this.session = session
  }

  /** Without a connection nothing happens: the next one asks for everything. */
  ask(item: Asked): void {
    if (this.session.isOpen) this.pump([item])
  }

  confirmed(item: Asked): void {
    item.standing.confirmed()
    if (this.unanswered.delete(item)) this.mostUnanswered++
    this.pump()
  }

  /** Asks again after a while, if the refusal may pass. False: it does not. */
  retries(item: Asked, { code, message, retry }: ErrorFrame): boolean {
    const { session } = this
    const { standing } = item
    this.unanswered.delete(item)
    const passes = retry || (standing.wasReady && RETURNING.includes(code))
    if (passes) {
      if (TOO_MUCH.includes(code)) {
        this.mostUnanswered = 1
        for (const each of this.waiting) this.later.add(each)
        this.waiting.clear()
      }
      // Last: one that is refused again and again does not keep the others waiting.
      this.later.add(item)
      const again = () => {
        this.timer = undefined
        this.pump(this.later)
      }
      this.timer ??= session.clock.setTimeout(again, session.backoffMs(standing.failures))
      standing.interrupted(errorFrom(code, message))
    }
    this.pump()
    return passes
  }

  /** Asks no more. With `finish`, an offer still answers what is open. Resolves when the hub has ended it, or there is no connection. */
  withdraw(item: Asked, finish?: true): Promise<void> {
    const { sub } = item
    for (const each of [this.waiting, this.unanswered, this.later]) each.delete(item)
    this.pump()
    if (!this.session.isOpen) return Promise.resolve()
    this.session.write(JSON.stringify({ type: 'unsubscribe', sub, finish }))
    return new Promise((resolve) => {
      this.ending.set(sub, resolve)
    })
  }

  /** The hub knows nothing of this number any more. */
  withdrawn(sub: number): void {
    this.ending.get(sub)?.()
    this.ending.delete(sub)
  }

  lost(): void {
    // Asking for so much may be why.
    if (this.unanswered.size > 0) this.mostUnanswered = 1
    this.session.clock.clearTimeout(this.timer)
    this.timer = undefined
    for (const confirm of this.ending.values()) confirm()
    for (const each of [this.waiting, this.unanswered, this.later, this.ending]) each.clear()
  }

  private pump(more: Iterable<Asked> = []): void {
    for (const item of more) {
      this.later.delete(item)
      this.waiting.add(item)
    }
    for (const item of this.waiting) {
      if (this.unanswered.size >= this.mostUnanswered) return
      this.waiting.delete(item)
      this.unanswered.add(item)
      this.session.write(JSON.stringify(item.frame))
    }
  }
}
