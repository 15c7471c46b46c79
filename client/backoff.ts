import type { Duration } from '../shared/time.ts'

/** Bounds of the wait before a connection is tried again. */
export interface Backoff {
  /** @default '1s' */
  readonly base?: Duration | undefined
  /** @default '5s' */
  readonly cap?: Duration | undefined
}
