import { FanfareError } from '../../../../shared/errors.ts'
import type { Draft } from '../../broker.ts'
import { composedBytes } from '../../compose.ts'
import type { WaitingPublish, WaitingPublishes } from '../../waiting.ts'
import type { Logs } from '../logs.ts'
import type { QueueLog } from '../queue/queue-log.ts'
import type { DedupWindow } from './dedup-window.ts'

/** The space that messages need in a queue. */
interface Need {
  bytes: number
  messages: number
}

/**
 * Decides whether queues have space for what is to be staged; if not, what makes space, what waits and what is refused. broker.ts
 * has the rules for waiting.
 */
export class Capacity {
  private readonly logs: Logs
  private readonly dedup: DedupWindow
  private readonly waiting: WaitingPublishes
  /** Whether a publish has to wait after others for a queue. */
  private readonly blocks = (name: string) => this.logs.queues.get(name)?.options.overflow === 'block'

  constructor(logs: Logs, dedup: DedupWindow, waiting: WaitingPublishes) {
    this.logs = logs
    this.dedup = dedup
    this.waiting = waiting
  }

  /** Whether a draft fits as it is, which is the usual case: nothing has to make space, and no overflow rule applies. */
  fits(draft: Draft, now: number): boolean {
    if (this.waiting.count > 0) return false
    if (draft.route.queues.length === 0) return true
    const bytes = this.bytesOf(draft, now)
    for (const name of draft.route.queues) if (!this.logs.queues.get(name)?.hasRoom(bytes)) return false
    return true
  }

  /** Whether these have to wait for the next commit, because messages that would make space for them arrive with this one. */
  waitsForNext(drafts: readonly Draft[], now: number): boolean {
    if (drafts.every(({ route }) => route.queues.length === 0)) return false
    for (const [queue, { bytes, messages }] of this.needsOf(drafts, now)) {
      if (queue.takesNext(bytes, messages)) return true
    }
    return false
  }

  /** Makes space for the publishes of an ack, which cannot wait: for all of them, or returns the reason why not and changes nothing. */
  admitAll(drafts: readonly Draft[], now: number): FanfareError | undefined {
    if (drafts.some((draft) => this.waiting.isCutShort(draft))) return new FanfareError('connection_lost')
    const behind = drafts.find((draft) => !this.isKnown(draft) && this.waiting.isBehind(draft, this.blocks))
    if (behind)
      return new FanfareError(
        'queue_limit',
        `Earlier publishes on "${behind.topic}" wait for capacity, and this one must not overtake them. Ack again later.`,
      )
    const needs = this.needsOf(drafts, now)
    for (const [queue, { bytes, messages }] of needs) {
      const room = queue.roomFor(bytes, messages)
      if (room === 'awaited' || room === 'none') return full(queue)
    }
    for (const [queue, { bytes, messages }] of needs) this.logs.touch(queue).makeRoom(bytes, messages, now)
    return undefined
  }

  /**
   * Makes space for one draft. Otherwise returns the reason why it is refused, or `wait`, and changes nothing. `waited`: set if the
   * draft has been waiting.
   */
  admit(draft: Draft, now: number, waited?: WaitingPublish): 'admitted' | 'wait' | FanfareError {
    if (this.isKnown(draft)) return 'admitted'
    const { route } = draft
    const queues = this.logs.queuesOf(route)
    if (queues.length === 0 && route.queues.length > 0 && route.streams.length === 0) {
      return new FanfareError('no_queue', `The queue "${route.queues[0]}" was deleted.`)
    }
    const bytes = this.bytesOf(draft, now)
    // All queues are checked before any makes space: a refused publish must not cost other messages anything.
    const rooms = queues.map((queue) => queue.roomFor(bytes))
    const refusing = queues[rooms.indexOf('none')]
    if (refusing) return full(refusing)
    const turn = waited ? this.waiting.isFirst(waited, this.blocks) : !this.waiting.isBehind(draft, this.blocks)
    if (!turn || rooms.includes('awaited')) return waited ? 'wait' : this.wait(draft, bytes)
    for (const queue of queues) this.logs.touch(queue).makeRoom(bytes, 1, now)
    return 'admitted'
  }

  /** Makes a draft wait, if its owner is there and the limit allows it. */
  private wait(draft: Draft, bytes: number): 'wait' | FanfareError {
    const { waiting } = this
    if (!waiting.mayWait(draft)) return new FanfareError('connection_lost')
    if (waiting.limitBytes > 0 && waiting.bytes + bytes > waiting.limitBytes) return new FanfareError('waiting_limit')
    waiting.add(draft, bytes)
    return 'wait'
  }

  private needsOf(drafts: readonly Draft[], now: number): Map<QueueLog, Need> {
    const needs = new Map<QueueLog, Need>()
    const ahead = new Map<string, number>()
    for (const draft of drafts) {
      if (this.isKnown(draft)) continue
      const bytes = this.bytesOf(draft, now, ahead)
      for (const name of draft.route.streams) ahead.set(name, (ahead.get(name) ?? 0) + 1)
      for (const queue of this.logs.queuesOf(draft.route)) {
        const { bytes: others, messages } = needs.get(queue) ?? { bytes: 0, messages: 0 }
        needs.set(queue, { bytes: others + bytes, messages: messages + 1 })
      }
    }
    return needs
  }

  /** Size of a draft in a queue if it is staged next. `ahead`: how many drafts come before it, by stream. */
  private bytesOf(draft: Draft, now: number, ahead?: ReadonlyMap<string, number>): number {
    // Without a prototype, because clients choose the names.
    const offsets: Record<string, number> = Object.create(null)
    for (const name of draft.route.streams) {
      const log = this.logs.streams.get(name)
      if (log) offsets[name] = log.nextStaged + (ahead?.get(name) ?? 0)
    }
    return composedBytes(draft, { publishedAt: now, offsets, scope: this.dedup.scopeOf(draft) })
  }

  private isKnown(draft: Draft): boolean {
    return this.dedup.find(draft) !== undefined
  }
}

function full({ options }: QueueLog): FanfareError {
  return new FanfareError('queue_limit', fullMessage(options.name))
}

export function fullMessage(queue: string): string {
  return `Queue "${queue}" is full. Publish later, add consumers, or raise its limits.`
}
