import type { Clock } from '../shared/clock.ts'

/** Bounds of the wait before a connection is tried again, in milliseconds. */
export interface Backoff {
  readonly baseMs: number
  readonly capMs: number
}

/**
 * The wait before the next try: random between 0 and a bound that doubles with every failure. Full jitter spreads the
 * clients of a hub that went away best (AWS Architecture Blog, "Exponential Backoff And Jitter").
 */
export function backoffMs({ baseMs, capMs }: Backoff, failures: number, clock: Clock): number {
  return clock.jitter() * Math.min(capMs, baseMs * 2 ** failures)
}
