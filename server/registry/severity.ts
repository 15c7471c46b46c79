import type { AttentionLevel } from '../../shared/sys.ts'

/** The worse of two levels is the higher number; 0 for none. */
export const SEVERITY: Readonly<Record<AttentionLevel, number>> = { problem: 2, warning: 1 }

/** A connection that lost messages in this time loses them, in milliseconds. */
export const LATELY_MS = 60_000
/** A connection whose outbox has not been empty for this time is slow, in milliseconds. */
export const LAGS_MS = 1000

/** What shows in a connection's outbox whether its client keeps up. */
export interface OutboxFigures {
  readonly droppedAt: number | undefined
  readonly behindSince: number | undefined
  readonly heldBytes: number
  readonly limitBytes: number
}

/** How much attention a connection needs: it loses messages, whatever its lag, or it is slow. */
export function connectionSeverity(outbox: OutboxFigures, now: number): number {
  const { droppedAt, behindSince, heldBytes, limitBytes } = outbox
  if (droppedAt !== undefined && now - droppedAt < LATELY_MS) return SEVERITY.problem
  const lags = behindSince !== undefined && now - behindSince >= LAGS_MS
  return lags || heldBytes > limitBytes / 2 ? SEVERITY.warning : 0
}
