/** A timer of a clock. */
export type Timer = ReturnType<typeof setTimeout>

/**
 * The source of time for hub and client: everything that they do at some time, or after a wait, uses it, so that
 * a test can pass one that stands still until it is advanced.
 */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  setTimeout(task: () => void, ms: number): Timer
  clearTimeout(timer: Timer | undefined): void
  setInterval(task: () => void, ms: number): Timer
  clearInterval(timer: Timer | undefined): void
  /**
   * The time of the machine's own clock, if that differs from `now`: peers give times (`expiresAt`, `deliverAt`) by such
   * clocks. Read it with `wallTime`.
   */
  wall?(): number
  /** From 0 to 1, for waits that would otherwise all end at once: random, or in a test always the same. */
  jitter(): number
}

/** The timers of a platform, or of a library that stands in for it. */
export type Timers = Pick<Clock, 'setTimeout' | 'clearTimeout' | 'setInterval' | 'clearInterval'>

/** The longest wait of a platform's timer, in milliseconds: a longer one would end at once. */
const MOST_MS = 2 ** 31 - 1

/**
 * Timers without an upper limit, built on timers that wait at most 25 days. A longer wait is an interval of equal parts that are counted: one
 * timer, which keeps its identity, so that it can be cleared.
 */
export function anyWait(timers: Timers): Timers {
  const inParts = (start: 'setTimeout' | 'setInterval') => (task: () => void, ms: number) => {
    if (ms <= MOST_MS) return timers[start](task, ms)
    const wait = Math.min(ms, Number.MAX_SAFE_INTEGER)
    const parts = Math.ceil(wait / MOST_MS)
    let left = parts
    const timer = timers.setInterval(() => {
      if (--left > 0) return
      left = parts
      if (start === 'setTimeout') timers.clearInterval(timer)
      task()
    }, wait / parts)
    return timer
  }
  return { ...timers, setTimeout: inParts('setTimeout'), setInterval: inParts('setInterval') }
}

/** The time of this machine, which an operator or NTP may move. Functions of the platform must not be called as methods: a browser refuses that. */
export const realClock: Clock = {
  ...anyWait({
    setTimeout: (task, ms) => setTimeout(task, ms),
    // A long wait is an interval; platforms let either function clear both.
    clearTimeout: (timer) => clearTimeout(timer),
    setInterval: (task, ms) => setInterval(task, ms),
    clearInterval: (timer) => clearInterval(timer),
  }),
  now: () => Date.now(),
  jitter: () => Math.random(),
}

/** Clocks that differ by less than this agree, in milliseconds: NTP corrects a machine by as much all the time. */
const AGREE_MS = 1_000

/**
 * The time by the machine's own clock. A machine whose clock was wrong when the hub started, and was set since, differs by that from
 * the time that the hub counts on.
 */
export function wallTime(clock: Pick<Clock, 'now' | 'wall'>): number {
  const now = clock.now()
  const wall = clock.wall?.() ?? now
  return Math.abs(wall - now) < AGREE_MS ? now : wall
}

/** A time that a peer has given, as the hub counts: what it waits for must not move when the machine's clock is set. */
export function ownTime(clock: Clock, given: number): number {
  const own = given - (wallTime(clock) - clock.now())
  return Math.min(Math.max(0, own), Number.MAX_SAFE_INTEGER)
}
