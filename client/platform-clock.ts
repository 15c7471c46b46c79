import type { Clock } from '../shared/clock.ts'

/** The longest wait of a platform's timer, in milliseconds: a longer one would end at once. */
const MAX_MS = 2 ** 31 - 1

/**
 * The time of the platform, for a client: none of its waits needs to be longer than the 25 days that a timer can wait. Functions of the
 * platform must not be called as methods: a browser refuses that.
 */
export const platformClock: Clock = {
  now: () => Date.now(),
  setTimeout: (task, ms) => setTimeout(task, Math.min(ms, MAX_MS)),
  clearTimeout: (timer) => clearTimeout(timer),
  setInterval: (task, ms) => setInterval(task, ms),
  clearInterval: (timer) => clearInterval(timer),
  jitter: () => Math.random(),
}
