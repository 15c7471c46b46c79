import type { Timer, Timers } from '../../shared/clock.ts'

/** A timer of Node as far as code uses it: a process does not wait for this one anyway. */
class Entry {
  at: number
  readonly task: () => void
  /** What it waits again once it has run. */
  readonly everyMs: number | undefined

  constructor(task: () => void, at: number, everyMs?: number) {
    this.task = task
    this.at = at
    this.everyMs = everyMs
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return false
  }
}

/** Timers of a time that stands still until it is moved, from one timer to the next. */
export class VirtualTimers implements Timers {
  now = Date.now()
  /** By the time at which they run; those of the same time are in the order in which they were set. */
  readonly #entries: Entry[] = []

  setTimeout(task: () => void, ms: number): Timer {
    return this.#add(new Entry(task, this.now + waitOf(ms)))
  }

  setInterval(task: () => void, ms: number): Timer {
    return this.#add(new Entry(task, this.now + waitOf(ms), waitOf(ms)))
  }

  clearTimeout(timer: Timer): void {
    const at = this.#entries.indexOf(timer as unknown as Entry)
    if (at >= 0) this.#entries.splice(at, 1)
  }

  clearInterval(timer: Timer): void {
    this.clearTimeout(timer)
  }

  /** Moves to the next timer, wherever it is, and runs it. */
  step(): void {
    const entry = this.#entries.shift()
    if (!entry) return
    this.now = entry.at
    if (entry.everyMs !== undefined) {
      entry.at += entry.everyMs
      this.#add(entry)
    }
    entry.task()
  }

  /** Whether a timer is due at this time. */
  get hasDue(): boolean {
    return this.#entries[0] !== undefined && this.#entries[0].at <= this.now
  }

  #add(entry: Entry): Timer {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#entries[middle] as Entry).at <= entry.at) low = middle + 1
      else high = middle
    }
    this.#entries.splice(low, 0, entry)
    return entry as unknown as Timer
  }
}

/** As timers of a platform wait: whole milliseconds. */
function waitOf(ms: number): number {
  return Math.max(0, Math.trunc(ms) || 0)
}
