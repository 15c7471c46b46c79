/** Bounds of the wait before a connection is tried again, in milliseconds. */
export interface Backoff {
  readonly baseMs: number
  readonly capMs: number
}
