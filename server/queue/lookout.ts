import type { Clock, Timer } from '../../shared/clock.ts'
import { DueTimes } from '../broker/due-times.ts'

interface Watched {
  /** Does what is due by now; gives when to look again. */
  look(now: number): number
}

/** Looks at things when something of theirs may be due, with one timer for all. */
export class Lookout<Thing extends Watched> {
  private readonly clock: Clock
  private readonly guard: (task: () => void) => void
  private readonly times = new DueTimes<Thing>()
  private timer: Timer | undefined = undefined
  private timerAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock, guard: (task: () => void) => void) {
    this.clock = clock
    this.guard = guard
  }

  /** Looks at a thing then, or earlier. */
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

  private look(): void {
    this.timerAt = Number.POSITIVE_INFINITY
    const now = this.clock.now()
    for (const thing of this.times.due(now)) {
      this.times.delete(thing)
      this.guard(() => this.times.setEarlier(thing, Math.max(now + 1, thing.look(now))))
    }
    this.arm(this.times.nextAfter(now))
  }

  private arm(time: number): void {
    if (time >= this.timerAt) return
    this.clock.clearTimeout(this.timer)
    this.timerAt = time
    this.timer = this.clock.setTimeout(() => this.look(), Math.max(1, time - this.clock.now())).unref()
  }
}
