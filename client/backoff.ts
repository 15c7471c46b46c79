import type { Duration } from '../shared/time.ts'

/** Bounds of the wait before a connection is tried again. */
export interface Backoff {
  readonly base: Duration
  readonly cap: Duration
}
