import type { QueueStatus } from '../../../../shared/queues.ts'
import type { QueueState } from '../../broker.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { QueueSchedule } from './queue-schedule.ts'

/** Totals of a queue since the hub started. */
export interface QueueTotals {
  published: number
  acked: number
  redelivered: number
  dropped: number
}

/** Maximum number of parked groups shown. */
const SHOWN_PARKED = 100

/** The status of a queue for operators. `waiting`: publishes that wait for space in it. */
export function statusOf(
  queue: QueueState,
  schedule: QueueSchedule,
  letters: DeadLetters,
  totals: QueueTotals,
  waiting: { readonly count: number; readonly bytes: number },
  now: number,
): QueueStatus {
  const [oldest] = schedule.waitingItems()
  return {
    ...queue.options,
    depth: queue.depth,
    ready: queue.ready,
    delayed: schedule.delayedCount,
    inFlight: queue.inFlight,
    bytes: queue.bytes,
    waitingPublishes: waiting.count,
    waitingPublishBytes: waiting.bytes,
    oldestAgeMs: oldest ? Math.max(0, now - oldest.publishedAt) : 0,
    readyAgeMs: Math.max(0, now - (queue.oldestReadyAt ?? now)),
    publishedTotal: totals.published,
    ackedTotal: totals.acked,
    redeliveredTotal: totals.redelivered,
    droppedTotal: totals.dropped,
    deadLetters: letters.count,
    deadLettersDroppedTotal: letters.droppedTotal,
    parked: schedule.parked(SHOWN_PARKED),
    parkedMore: Math.max(0, schedule.parkedCount - SHOWN_PARKED),
  }
}
