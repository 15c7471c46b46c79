import { sentence } from '../../../../shared/error-text.ts'
import { FanfareError } from '../../../../shared/errors.ts'
import type { Position } from '../../../../shared/streams.ts'
import type { Draft, Placement, Settlement } from '../../broker.ts'
import { compose } from '../../compose.ts'
import { overtakenAmong, wasOvertaken } from '../../overtaken.ts'
import { timeAfter } from '../../rules/retention.ts'
import type { WaitingPublish, WaitingPublishes } from '../../waiting.ts'
import type { Logs } from '../logs.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import type { Capacity } from './capacity.ts'
import {
  type Commit,
  type CommitGroup,
  draftsOf,
  fail,
  GROUP,
  isSettlement,
  type PublishOrAck,
  refuse,
  type StagedMessage,
  type Task,
  type Waiter,
} from './commit.ts'
import type { DedupWindow, Places } from './dedup-window.ts'

/** What waits for the next commit. */
interface Later {
  readonly settlements: Settlement[]
  readonly publishing: PublishOrAck[]
}

/** Stages a group: logs and ids accept the change immediately, and the commit gets what is to be stored. */
export class Staging {
  private readonly logs: Logs
  private readonly dedup: DedupWindow
  private readonly waiting: WaitingPublishes
  private readonly capacity: Capacity

  constructor(logs: Logs, dedup: DedupWindow, waiting: WaitingPublishes, capacity: Capacity) {
    this.logs = logs
    this.dedup = dedup
    this.waiting = waiting
    this.capacity = capacity
  }

  /** Stages a group; what has to wait for the next commit goes to the front of `later`. */
  stage(group: CommitGroup, commit: Commit, later: Later): void {
    this.dedup.expire(commit.now)
    const { tasks, settlements, publishing } = group
    while (commit.taken.tasks < tasks.length) {
      this.stageTask(tasks[commit.taken.tasks] as Task, commit)
      commit.taken.tasks++
    }
    while (commit.taken.settlements < settlements.length) {
      const settlement = settlements[commit.taken.settlements] as Settlement
      if (this.logs.queues.get(settlement.queue)?.letters.isFull) {
        later.settlements.unshift(...settlements.splice(commit.taken.settlements))
        break
      }
      this.stageSettlement(settlement, commit)
      commit.taken.settlements++
    }
    if (group.waitedBytes !== undefined) this.stageWaiting(commit, group.waitedBytes)
    // They get new routes in the next commit, when the hub knows what has changed.
    if (commit.declarations.length > 0) later.publishing.unshift(...publishing.splice(0))
    const overtaken = overtakenAmong(publishing, (draft) => this.dedup.find(draft) !== undefined)
    while (commit.taken.publishing < publishing.length) {
      const next = publishing[commit.taken.publishing] as PublishOrAck
      if (overtaken.has(next)) refuse(next, wasOvertaken(), commit)
      else if (!this.stagePublishing(next, commit)) {
        later.publishing.unshift(...publishing.splice(commit.taken.publishing))
        break
      }
      commit.taken.publishing++
    }
    this.logs.finish(commit.changes, commit.now)
    this.dedup.finish(commit.changes, commit.now)
  }

  private stageTask(task: Task, commit: Commit): void {
    try {
      commit.undo.push(task.stage(commit.changes, commit.now, commit.declarations))
      commit.waiters.push({ of: task, succeeded: () => task.done(), failed: (error) => task.done(error) })
    } catch (error) {
      task.done(error as Error)
    }
  }

  /**
   * Stages or refuses something that publishes, or makes it wait. Returns false if it has to wait for the next commit, together
   * with everything after it.
   */
  private stagePublishing(publishing: PublishOrAck, commit: Commit): boolean {
    const gone = this.reroute(draftsOf(publishing), commit)
    if (gone) {
      refuse(publishing, gone, commit)
      return true
    }
    const fits =
      !isSettlement(publishing) && !this.waiting.isCutShort(publishing) && this.capacity.fits(publishing, commit.now)
    if (fits) this.stageDraft(publishing, commit)
    else if (this.capacity.waitsForNext(draftsOf(publishing), commit.now)) return false
    else if (isSettlement(publishing)) {
      this.stageSettlement(publishing, commit)
      // Publishes that wait were checked before it: those that it makes space for are checked with the next commit.
      this.waiting.roomIn(publishing.queue)
    } else this.admitDraft(publishing, commit)
    return true
  }

  /** Gets new routes for drafts if there are new declarations; returns the reason if one of them can no longer be published. */
  private reroute(drafts: readonly Draft[], { generation }: Commit): FanfareError | undefined {
    try {
      for (const draft of drafts) if (draft.route.generation !== generation) draft.reroute()
      return undefined
    } catch (error) {
      if (error instanceof FanfareError) return error
      throw error
    }
  }

  private stageSettlement(settlement: Settlement, commit: Commit): void {
    const { queue: name, ending, drafts } = settlement
    const delivery = settlement.delivery as number | undefined
    const queue = this.logs.queues.get(name)
    if (delivery === undefined || !queue?.leases.holds(delivery))
      return refuse(settlement, new FanfareError('lease_lost'), commit)
    const refusal = this.capacity.admitAll(drafts, commit.now)
    if (refusal) return refuse(settlement, refusal, commit)
    for (const draft of drafts) this.stageDraft(draft, commit, settlement)
    this.logs.touch(queue).end(delivery, ending, commit.now)
    commit.waiters.push(new WaitingSettlement(settlement))
  }

  /** Stages a draft, refuses it, or makes it wait for space. */
  private admitDraft(draft: Draft, commit: Commit): void {
    if (this.waiting.isCutShort(draft)) return refuse(draft, new FanfareError('connection_lost'), commit)
    const verdict = this.capacity.admit(draft, commit.now)
    if (verdict === 'admitted') this.stageDraft(draft, commit)
    else if (verdict !== 'wait') refuse(draft, verdict, commit)
  }

  /** Stages waiting publishes that need not wait any longer. */
  private stageWaiting(commit: Commit, maxBytes: number): void {
    if (this.waiting.count === 0) return
    for (const { options } of this.logs.touchedQueues) this.waiting.roomIn(options.name)
    const next: WaitingPublish[] = []
    let bytes = 0
    for (const waiting of this.waiting.takeAsked()) {
      const { draft } = waiting
      if (commit.taken.waited >= GROUP || bytes > maxBytes || this.capacity.waitsForNext([draft], commit.now)) {
        next.push(waiting)
        continue
      }
      const verdict = this.capacity.admit(draft, commit.now, waiting)
      if (verdict === 'wait') continue
      commit.taken.waited++
      bytes += waiting.bytes * (draft.route.streams.length + draft.route.queues.length)
      this.waiting.remove(waiting)
      if (verdict === 'admitted') this.stageWaited(draft, commit)
      else refuse(draft, verdict, commit)
    }
    for (const waiting of next) this.waiting.ask(waiting)
  }

  /** It is in no list while it is staged: if staging throws, only this catch informs its publisher. */
  private stageWaited(draft: Draft, commit: Commit): void {
    try {
      this.stageDraft(draft, commit)
    } catch (error) {
      draft.refused(
        new FanfareError('storage_failed', `The message could not be stored: ${sentence((error as Error).message)}`),
      )
      throw error
    }
  }

  /** `settlement`: the settlement that publishes the draft, and without which it is not published. */
  private stageDraft(draft: Draft, commit: Commit, settlement?: Settlement): void {
    const known = this.dedup.find(draft)
    if (known) {
      commit.waiters.push(new KnownDraft(draft, known, settlement))
      return
    }
    const staged = this.place(draft, commit.now, settlement)
    commit.waiters.push(staged)
    commit.messages.push(staged)
  }

  /** Gives a draft its places, and adds it to them. */
  private place(draft: Draft, now: number, settlement: Settlement | undefined): StagedDraft {
    const { route } = draft
    // Without a prototype, because clients choose the names.
    const offsets: Record<string, number> = Object.create(null)
    const streams: { log: StreamLog; offset: number }[] = []
    // Without streams deleted while the draft waited.
    const logs = route.streams.flatMap((name) => this.logs.streams.get(name) ?? [])
    // The same time everywhere, and in no stream before that of an earlier message: the clock may have been set back.
    const time = logs.reduce((latest, { newestTime }) => timeAfter(newestTime, latest), now)
    for (const log of logs) {
      const offset = this.logs.touch(log).reserve(time)
      offsets[log.options.name] = offset
      streams.push({ log, offset })
    }
    const into = this.logs.queuesOf(route)
    const isKept = streams.length > 0 || into.length > 0
    const placement = isKept ? { publishedAt: time, offsets, scope: this.dedup.scopeOf(draft) } : undefined
    const wire = compose(draft, placement)
    const { topic, key, expiresAt, priority, dueAt } = draft
    for (const { log, offset } of streams) log.add({ offset, time, topic, key, expiresAt, wire })
    const queues = into.map((log) => {
      const offset = this.logs.touch(log).add({ time: now, topic, key, expiresAt, wire, priority, dueAt })
      return { log, offset }
    })
    const places = { streams, queues }
    this.dedup.add(draft, places)
    return new StagedDraft(draft, places, settlement, placement, wire)
  }
}

/** A draft that will be answered with this commit. One object each, without closures: there are tens of thousands per second. */
class AnsweredDraft implements Waiter {
  readonly parts: Draft
  protected readonly settlement: Settlement | undefined
  protected readonly places: Places
  private readonly duplicate: boolean

  constructor(draft: Draft, places: Places, settlement: Settlement | undefined, duplicate: boolean) {
    this.parts = draft
    this.places = places
    this.settlement = settlement
    this.duplicate = duplicate
  }

  get of(): Draft | Settlement {
    return this.settlement ?? this.parts
  }

  succeeded(): void {
    const positions: Record<string, Position> = Object.create(null)
    for (const { log, offset } of this.places.streams) positions[log.options.name] = { epoch: log.epoch, offset }
    const queues = this.places.queues.map(({ log }) => log.options.name)
    this.parts.kept({ duplicate: this.duplicate, positions, queues })
  }

  failed(error: FanfareError): void {
    fail(this.parts, error)
  }
}

/** A draft that was published before. */
class KnownDraft extends AnsweredDraft {
  constructor(draft: Draft, places: Places, settlement: Settlement | undefined) {
    super(draft, places, settlement, true)
  }
}

/** A draft that gets its places and its message with this commit. */
class StagedDraft extends AnsweredDraft implements StagedMessage {
  readonly placement: Placement | undefined
  readonly wire: string | Uint8Array

  constructor(
    draft: Draft,
    places: Places,
    settlement: Settlement | undefined,
    placement: Placement | undefined,
    wire: string | Uint8Array,
  ) {
    super(draft, places, settlement, false)
    this.placement = placement
    this.wire = wire
  }

  get isFree(): boolean {
    return this.placement === undefined && this.settlement === undefined
  }

  override failed(error: FanfareError): void {
    if (this.isFree) this.succeeded()
    else super.failed(error)
  }
}

class WaitingSettlement implements Waiter {
  readonly of: Settlement

  constructor(settlement: Settlement) {
    this.of = settlement
  }

  succeeded(): void {
    this.of.settled()
  }

  failed(error: FanfareError): void {
    fail(this.of, error)
  }
}
