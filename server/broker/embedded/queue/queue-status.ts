import type { QueueStatus } from '../../../../shared/queues.ts'
import type { QueueState } from '../../broker.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { QueueSchedule } from './queue-schedule.ts'

/** What a queue has done since the hub started. */
export interface Totals {
  published: number
  acked: number
  redelivered: number
  dropped: number
}

/** Keys of parked groups that are shown. */
const SHOWN_PARKED = 100

/** What operators see of a queue. `waiting`: publishes that wait for room in it. */
export function statusOf(
  queue: QueueState,
  schedule: QueueSchedule,
  letters: DeadLetters,
  totals: Totals,
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
