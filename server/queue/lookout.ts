import { setImmediate } from 'node:timers'
import type { Clock, Timer } from '../../shared/clock.ts'
import { DueTimes } from '../broker/due-times.ts'

/** A timer that fires this late was held up, in milliseconds. */
const HELD_UP_MS = 20

/** Looks at things when they may have something due, with one timer for all. */
export class Lookout<Thing> {
  private readonly clock: Clock
  /** Does what is due by now; returns when to look again. */
  private readonly lookAt: (thing: Thing, now: number) => number
  private readonly times = new DueTimes<Thing>()
  private timer: Timer | undefined = undefined
  private timerAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock, lookAt: (thing: Thing, now: number) => number) {
    this.clock = clock
    this.lookAt = lookAt
  }

  /** Looks at a thing at this time or earlier. */
  lookBy(thing: Thing, time: number): void {
    this.times.setEarlier(thing, time)
    this.arm(time)
  }

  forget(thing: Thing): void {
    this.times.delete(thing)
  }

  close(): void {
    this.clock.clearTimeout(this.timer)
    this.timerAt = Number.NEGATIVE_INFINITY
  }

  private timeIsUp(): void {
    // A hub that was held up first reads what has arrived in the meantime: it may be exactly what was awaited.
    if (this.clock.now() - this.timerAt > HELD_UP_MS) setImmediate(() => this.look())
    else this.look()
  }

  private look(): void {
    if (this.timerAt === Number.NEGATIVE_INFINITY) return
    this.timerAt = Number.POSITIVE_INFINITY
    const now = this.clock.now()
    for (const thing of this.times.due(now)) {
      this.times.delete(thing)
      this.times.setEarlier(thing, Math.max(now + 1, this.lookAt(thing, now)))
    }
    this.arm(this.times.nextAfter(now))
  }

  private arm(time: number): void {
    if (time >= this.timerAt) return
    this.clock.clearTimeout(this.timer)
    this.timerAt = time
    this.timer = this.clock.setTimeout(() => this.timeIsUp(), Math.max(1, time - this.clock.now())).unref()
  }
}
