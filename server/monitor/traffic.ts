import type { ErrorCode } from '../../shared/errors.ts'
import type { GapReason } from '../../shared/frames.ts'
import { LIMIT_HITS, type LimitHit } from '../limit/limits.ts'

/**
 * What the connections of a hub have sent and received since it started. Counted per write, never per message: counting must cost
 * nothing when there are many messages.
 */
export class Traffic {
  connectionsTotal = 0
  deliveredTotal = 0
  bytesIn = 0
  bytesOut = 0
  /** Dropped messages by reason. The number lost to an epoch change or on a link is unknown: those stay 0. */
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
  /** Errors sent to clients, by code. */
  readonly errors: Partial<Record<ErrorCode, number>> = {}

  /** Connections or frames refused because of a limit. */
  readonly limitHits = Object.fromEntries(LIMIT_HITS.map((limit) => [limit, 0])) as Record<LimitHit, number>
  private readonly onHit: (limit: LimitHit, about: object) => void

  /** `onHit` is called for each refusal, with what is known about the refused peer. */
  constructor(onHit: (limit: LimitHit, about: object) => void = () => {}) {
    this.onHit = onHit
  }

  /** Counts a refusal because of a limit. */
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
    // Refusals by the broker, which does not know these counters.
    if (code === 'waiting_limit') this.limitHits.waitingPublishBytes++
  }
}
