import { createClock } from '@sinonjs/fake-timers'
import { anyWait, type Clock, type Timer } from '../../shared/clock.ts'

/** A time that stands still until it is moved. It starts at the time of the machine. */
export class VirtualClock implements Clock {
  private readonly timers = createClock(Date.now())
  private readonly waits = anyWait({
    setTimeout: (task, ms) => this.timers.setTimeout(this.counted(task), ms) as unknown as Timer,
    clearTimeout: (timer) => this.timers.clearTimeout(timer as never),
    setInterval: (task, ms) => this.timers.setInterval(this.counted(task), ms) as unknown as Timer,
    clearInterval: (timer) => this.timers.clearInterval(timer as never),
  })
  private ran = 0

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
      this.timers.next()
      await settle()
    }
    // Those of the same moment that were set after it.
    for (let before = -1; before !== this.ran; ) {
      before = this.ran
      this.timers.tick(0)
      await settle()
    }
  }

  /** Moves to the next timer, wherever it is. */
  step(): void {
    this.timers.next()
  }

  private counted(task: () => void): () => void {
    return () => {
      this.ran++
      task()
    }
  }
}
