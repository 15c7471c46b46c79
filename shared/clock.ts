/** A timer of a clock. */
export type Timer = ReturnType<typeof setTimeout>

/**
 * Where hub and client have their time from: everything that they do at some time, or after a while, goes by it, so that
 * a test can give them one that stands still until it is moved.
 */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  setTimeout(task: () => void, ms: number): Timer
  clearTimeout(timer: Timer | undefined): void
  setInterval(task: () => void, ms: number): Timer
  clearInterval(timer: Timer | undefined): void
  /** From 0 to 1, for waits that would otherwise all end at once: random, or in a test always the same. */
  jitter(): number
}

/** The time of this machine, which an operator or NTP may move. Functions of the platform must not be called as methods: a browser refuses that. */
export const realClock: Clock = {
  now: () => Date.now(),
  setTimeout: (task, ms) => setTimeout(task, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  setInterval: (task, ms) => setInterval(task, ms),
  clearInterval: (timer) => clearInterval(timer),
  jitter: () => Math.random(),
}

const START = Date.now() - performance.now()

/**
 * The time of this machine when the process began, counted on from there: nobody moves it. By a clock that jumps an hour ahead
 * the hub would forget the ids of that hour and end every lease, and by one that jumps back hold what is delayed for as long.
 * Tokens go by `realClock`, as their issuers do.
 */
export const steadyClock: Clock = { ...realClock, now: () => Math.floor(START + performance.now()) }
