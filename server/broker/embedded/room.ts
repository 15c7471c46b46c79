import { FanfareError } from '../../../shared/errors.ts'
import type { Draft } from '../broker.ts'
import { type Commit, refuse } from './commit.ts'
import type { DedupWindow } from './dedup-window.ts'
import type { Logs } from './logs.ts'
import type { QueueLog } from './queue-log.ts'

/** Room that messages take in a queue. */
interface Need {
  readonly bytes: number
  readonly messages: number
}

/** Whether there is room in queues for what is to be staged, and who gives way or waits where there is none. */
export class Room {
  private readonly logs: Logs
  private readonly dedup: DedupWindow

  constructor(logs: Logs, dedup: DedupWindow) {
    this.logs = logs
    this.dedup = dedup
  }

  /** Whether there is room for a draft, as nearly always: then nobody has to make any, and no overflow is asked. */
  fits({ queues, bytes }: Draft): boolean {
    for (const name of queues) {
      const queue = this.logs.queues.get(name)
      if (queue && (queue.held.length > 0 || !queue.hasRoom(bytes))) return false
    }
    return true
  }

  /** Whether these have to wait for the next commit: what would make room for them comes in with this one. */
  waitsForNext(drafts: readonly Draft[]): boolean {
    if (drafts.every(({ queues }) => queues.length === 0)) return false
    for (const [queue, { bytes, messages }] of this.needsOf(drafts)) if (queue.takesNext(bytes, messages)) return true
    return false
  }

  /** Makes room for all of these where it takes that; gives a queue that does not take them, and then nothing is changed. */
  makeRoomFor(drafts: readonly Draft[], now: number): QueueLog | undefined {
    const needs = this.needsOf(drafts)
    for (const [queue, { bytes, messages }] of needs) {
      const waits = queue.options.overflow === 'block' && (queue.held.length > 0 || !queue.hasRoom(bytes, messages))
      if (waits || !queue.couldTake(bytes, messages)) return queue
    }
    for (const [queue, { bytes, messages }] of needs) this.logs.touch(queue).makeRoom(bytes, messages, now)
    return undefined
  }

  /** Whether a draft can be staged now; else it is refused, or waits for room. `from`: it has waited there. */
  admit(draft: Draft, commit: Commit, from?: QueueLog): boolean {
    if (draft.queues.length === 0 || this.isKnown(draft)) return true
    const queues = this.logs.queuesOf(draft)
    // All are asked before any makes room: what is refused must cost nobody anything.
    const full = queues.find((queue) => !queue.couldTake(draft.bytes))
    if (full) {
      refuse(draft, new FanfareError('queue_limit', `"${full.options.name}"`), commit)
      return false
    }
    const blocking = queues.filter(({ options }) => options.overflow === 'block')
    const busy = blocking.find((queue) => (queue !== from && queue.held.length > 0) || !queue.hasRoom(draft.bytes))
    if (busy) {
      busy.held.push(draft)
      return false
    }
    for (const queue of queues) this.logs.touch(queue).makeRoom(draft.bytes, 1, commit.now)
    return true
  }

  /** Whether a publish that waited has room now. */
  heldFits(): boolean {
    for (const queue of this.logs.queues.values()) {
      const [first] = queue.held
      if (first && queue.hasRoom(first.bytes)) return true
    }
    return false
  }

  private needsOf(drafts: readonly Draft[]): Map<QueueLog, Need> {
    const needs = new Map<QueueLog, Need>()
    for (const draft of drafts) {
      if (this.isKnown(draft)) continue
      for (const queue of this.logs.queuesOf(draft)) {
        const { bytes, messages } = needs.get(queue) ?? { bytes: 0, messages: 0 }
        needs.set(queue, { bytes: bytes + draft.bytes, messages: messages + 1 })
      }
    }
    return needs
  }

  private isKnown(draft: Draft): boolean {
    return this.dedup.find(draft) !== undefined
  }
}
