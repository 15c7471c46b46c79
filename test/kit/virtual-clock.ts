import { anyWait, type Clock, type Timer } from '../../shared/clock.ts'
import { VirtualTimers } from './virtual-timers.ts'

/** A time that stands still until it is moved. It starts at the time of the machine. */
export class VirtualClock implements Clock {
  private readonly timers = new VirtualTimers()
  private readonly waits = anyWait({
    setTimeout: (task, ms) => this.timers.setTimeout(task, ms),
    clearTimeout: (timer) => timer && this.timers.clearTimeout(timer),
    setInterval: (task, ms) => this.timers.setInterval(task, ms),
    clearInterval: (timer) => timer && this.timers.clearInterval(timer),
  })

  now(): number {
    return this.timers.now
  }

  setTimeout(task: () => void, ms: number): Timer {
    return this.waits.setTimeout(task, ms)
  }

  clearTimeout(timer: Timer | undefined): void {
    if (timer) this.waits.clearTimeout(timer)
  }

  setInterval(task: () => void, ms: number): Timer {
    return this.waits.setInterval(task, ms)
  }

  clearInterval(timer: Timer | undefined): void {
    if (timer) this.waits.clearInterval(timer)
  }

  /** Every wait is as long as it may be, so that a test can say when it is over. */
  jitter(): number {
    return 1
  }

  /** Moves on, from timer to timer; waits for `settle` before the first one and after each. */
  async advance(ms: number, settle: () => Promise<void>): Promise<void> {
    await settle()
    let reached = false
    // A timer of its own, or the last step would lead beyond.
    this.waits.setTimeout(() => {
      reached = true
    }, ms)
    while (!reached) {
      this.timers.step()
      await settle()
    }
    // Those of the same moment that were set after it.
    while (this.timers.hasDue) {
      this.timers.step()
      await settle()
    }
  }

  /** Moves to the next timer, wherever it is. */
  step(): void {
    this.timers.step()
  }
}
