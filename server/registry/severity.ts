import type { AttentionLevel } from '../../shared/sys.ts'

/** The worse of two levels is the higher number; 0 for none. */
export const SEVERITY: Readonly<Record<AttentionLevel, number>> = { problem: 2, warning: 1 }

/** A connection that lost messages in this time loses them, in milliseconds. */
export const LATELY_MS = 60_000
/** A connection whose outbox has not been empty for this time is slow, in milliseconds. */
export const LAGS_MS = 1000

/** What a connection has to say of itself without its subscriptions. */
export interface ConnectionFigures {
  readonly droppedAt: number | undefined
  readonly behindSince: number | undefined
  readonly outboxBytes: number
  readonly outboxLimitBytes: number
}

/** How much attention a connection needs: it loses messages, whatever its lag, or it is slow. */
export function connectionSeverity(connection: ConnectionFigures, now: number): number {
  const { droppedAt, behindSince, outboxBytes, outboxLimitBytes } = connection
  if (droppedAt !== undefined && now - droppedAt < LATELY_MS) return SEVERITY.problem
  const lags = behindSince !== undefined && now - behindSince >= LAGS_MS
  return lags || outboxBytes > outboxLimitBytes / 2 ? SEVERITY.warning : 0
}
