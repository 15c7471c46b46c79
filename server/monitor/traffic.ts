import type { ErrorCode } from '../../shared/errors.ts'
import type { GapReason } from '../../shared/frames.ts'
import { LIMIT_HITS, type LimitHit } from '../limit/limits.ts'

/**
 * What the connections of a hub have sent and received since it started. Counted for each write, never for each
 * message: counting must cost nothing where messages are many.
 */
export class Traffic {
  connectionsTotal = 0
  deliveredTotal = 0
  bytesIn = 0
  bytesOut = 0
  /** Messages left out, by reason. How many were lost to a change of the epoch or on a link is not known: those stay 0. */
  readonly dropped: Record<GapReason, number> = {
    'drop-oldest': 0,
    'drop-newest': 0,
    conflate: 0,
    'outbox-total': 0,
    link: 0,
    retention: 0,
    trimmed: 0,
    epoch: 0,
  }
  droppedTotal = 0
  /** Errors told to clients, by code. */
  readonly errors: Partial<Record<ErrorCode, number>> = {}

  /** Refused for a limit: connections, or frames. */
  readonly limitHits = Object.fromEntries(LIMIT_HITS.map((limit) => [limit, 0])) as Record<LimitHit, number>
  private readonly onHit: (limit: LimitHit, about: object) => void

  /** `onHit` is called with each refusal and what is known about the refused peer. */
  constructor(onHit: (limit: LimitHit, about: object) => void = () => {}) {
    this.onHit = onHit
  }

  /** Something was refused for a limit. */
  hit(limit: LimitHit, about: object): void {
    this.limitHits[limit]++
    this.onHit(limit, about)
  }

  sent(bytes: number, messages: number): void {
    this.bytesOut += bytes
    this.deliveredTotal += messages
  }

  leftOut(count: number, reason: GapReason): void {
    this.dropped[reason] += count
    this.droppedTotal += count
  }

  refused(code: ErrorCode): void {
    this.errors[code] = (this.errors[code] ?? 0) + 1
    // The refusals by the broker, which does not know the hub's counts.
    if (code === 'waiting_limit') this.limitHits.waitingPublishBytes++
  }
}
