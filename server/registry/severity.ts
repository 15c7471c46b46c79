import type { AttentionLevel } from '../../shared/sys.ts'

/** The higher number is the worse level; 0 for none. */
export const SEVERITY: Readonly<Record<AttentionLevel, number>> = { problem: 2, warning: 1 }

/** A connection counts as losing messages for this long after a drop, in milliseconds. */
export const LATELY_MS = 60_000
/** A connection counts as slow if its outbox has been non-empty for this long, in milliseconds. */
export const LAGS_MS = 1000

/** The outbox figures that show whether a client keeps up. */
export interface OutboxFigures {
  readonly droppedAt: number | undefined
  readonly behindSince: number | undefined
  readonly heldBytes: number
  readonly limitBytes: number
}

/** The severity of a connection: losing messages, whatever its lag, or slow. */
export function connectionSeverity(outbox: OutboxFigures, now: number): number {
  const { droppedAt, behindSince, heldBytes, limitBytes } = outbox
  if (droppedAt !== undefined && now - droppedAt < LATELY_MS) return SEVERITY.problem
  const lags = behindSince !== undefined && now - behindSince >= LAGS_MS
  return lags || heldBytes > limitBytes / 2 ? SEVERITY.warning : 0
}
