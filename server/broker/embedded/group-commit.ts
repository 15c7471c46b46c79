import { setImmediate } from 'node:timers'
import type { Logger } from 'pino'
import type { Clock } from '../../../shared/clock.ts'
import { FanfareError } from '../../../shared/errors.ts'
import type { Position } from '../../../shared/streams.ts'
import type { CommitStats, Draft, Settlement } from '../broker.ts'
import type { DedupWindow, StoredPlaces } from './dedup-window.ts'
import type { QueueLog } from './queue-log.ts'
import type { Change, Purpose, Store } from './store.ts'
import type { StreamLog } from './stream-log.ts'

/** Drafts of one commit at most. */
const GROUP = 10_000

/** A change of something other than messages: adds to a commit, and gives how to undo it where that fails. */
interface Task {
  stage(changes: Change[], now: number): () => void
  done(error?: Error): void
}

/** Somebody who waits for a commit. */
interface Waiter {
  readonly of: Task | Settlement | Draft
  succeeded(): void
  failed(error: FanfareError): void
}

/** Who is told of commits. */
interface CommitEvents {
  /** The queue has something to lease. */
  ready(queue: string): void
  committed(commit: CommitStats): void
}

/** A commit in the making. */
interface Commit {
  readonly now: number
  readonly changes: Change[]
  /** What to undo where it fails. */
  readonly undo: (() => void)[]
  readonly waiters: Waiter[]
  /** How many of the group have been staged: where the staging itself fails, the others have to be told. */
  readonly taken: { tasks: number; settlements: number; drafts: number }
}

/** What goes into one commit. */
interface Group {
  readonly tasks: readonly Task[]
  readonly settlements: Settlement[]
  readonly drafts: Draft[]
}

/** Room that messages take in a queue. */
interface Need {
  readonly bytes: number
  readonly messages: number
}

/** A message's place in a stream. */
interface Place {
  readonly log: StreamLog
  readonly offset: number
  readonly time: number
}

/** Where a message is kept. */
interface Places {
  readonly streams: readonly Place[]
  readonly queues: readonly QueueLog[]
}

/**
 * Commits what arrives in groups, one commit after another; while one is under way the next group gathers, so that a
 * slow disk makes larger groups and not longer queues.
 *
 * A group is staged: logs, ids and tables take the change at once, and take it back where the commit fails.
 */
export class GroupCommit {
  readonly streams = new Map<string, StreamLog>()
  readonly queues = new Map<string, QueueLog>()
  private readonly store: Store
  private readonly dedup: DedupWindow
  private readonly clock: Clock
  private readonly log: Logger
  private readonly events: CommitEvents
  /** Those that the commit under way changes. */
  private readonly touched = new Set<StreamLog | QueueLog>()
  private drafts: Draft[] = []
  private settlements: Settlement[] = []
  private tasks: Task[] = []
  private working: Promise<void> | undefined = undefined

  constructor(store: Store, dedup: DedupWindow, clock: Clock, log: Logger, events: CommitEvents) {
    this.store = store
    this.dedup = dedup
    this.clock = clock
    this.log = log
    this.events = events
  }

  publish(draft: Draft): void {
    this.drafts.push(draft)
    this.work()
  }

  settle(settlement: Settlement): void {
    this.settlements.push(settlement)
    this.work()
  }

  /** Makes a change in the next commit; `stage` adds to it, and returns how to undo what it has done at once. */
  change(stage: Task['stage']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.tasks.push({ stage, done: (error) => (error ? reject(error) : resolve()) })
      this.work()
    })
  }

  /** To be called while staging, for each log that is changed. */
  touch<Log extends StreamLog | QueueLog>(log: Log): Log {
    this.touched.add(log)
    return log
  }

  /** The log was deleted: what else this commit brings must not write to it again. */
  untouch(log: StreamLog | QueueLog): void {
    this.touched.delete(log)
  }

  /** Whether nothing is under way. */
  get idle(): boolean {
    return this.working === undefined
  }

  /** Resolves when nothing is under way. */
  async finished(): Promise<void> {
    await this.working
  }

  private work(): void {
    this.working ??= this.commitAll()
  }

  private async commitAll(): Promise<void> {
    // Whatever this turn still brings goes into the same commit.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.drafts.length > 0 || this.settlements.length > 0 || this.tasks.length > 0 || this.heldFits()) {
      await this.commitNext()
    }
    // In the same breath as the last look at what waits, or a draft that comes now would be left.
    this.working = undefined
  }

  private async commitNext(): Promise<void> {
    const { tasks } = this
    this.tasks = []
    await this.commit({ tasks, settlements: this.settlements.splice(0, GROUP), drafts: this.drafts.splice(0, GROUP) })
  }

  private async commit(group: Group): Promise<void> {
    const taken = { tasks: 0, settlements: 0, drafts: 0 }
    const commit: Commit = { now: this.clock.now(), changes: [], undo: [], waiters: [], taken }
    const purpose = purposeOf(group)
    try {
      this.stage(group, commit)
      if (commit.changes.length > 0) await this.keep(commit, purpose)
    } catch (thrown) {
      await this.recover(thrown as Error, commit, group, purpose)
      return
    }
    for (const log of this.touched) log.apply(commit.now)
    this.touched.clear()
    this.dedup.apply(commit.now)
    for (const waiter of commit.waiters) waiter.succeeded()
    this.tellReady(commit.now)
  }

  private async keep({ changes, taken }: Commit, purpose: Purpose): Promise<void> {
    const start = performance.now()
    await this.store.commit(changes, purpose)
    const seconds = (performance.now() - start) / 1000
    this.events.committed({ seconds, operations: taken.drafts + taken.settlements })
  }

  private tellReady(now: number): void {
    for (const [name, queue] of this.queues) if (queue.hasReady(now)) this.events.ready(name)
  }

  private stage(group: Group, commit: Commit): void {
    this.dedup.expire(commit.now)
    const { tasks, settlements, drafts } = group
    while (commit.taken.tasks < tasks.length) {
      this.stageTask(tasks[commit.taken.tasks] as Task, commit)
      commit.taken.tasks++
    }
    while (commit.taken.settlements < settlements.length) {
      const settlement = settlements[commit.taken.settlements] as Settlement
      if (this.fitsNext(settlement.drafts)) {
        this.settlements.unshift(...settlements.splice(commit.taken.settlements))
        break
      }
      this.stageSettlement(settlement, commit)
      commit.taken.settlements++
    }
    this.stageHeld(commit)
    while (commit.taken.drafts < drafts.length) {
      const draft = drafts[commit.taken.drafts] as Draft
      const fits = this.fitsAsItIs(draft)
      if (!fits && this.fitsNext([draft])) {
        this.drafts.unshift(...drafts.splice(commit.taken.drafts))
        break
      }
      if (fits || this.admit(draft, commit)) this.stageDraft(draft, commit)
      commit.taken.drafts++
    }
    for (const log of this.touched) log.finish(commit.changes, commit.now)
    this.dedup.finish(commit.changes, commit.now)
  }

  private stageTask(task: Task, commit: Commit): void {
    try {
      commit.undo.push(task.stage(commit.changes, commit.now))
      commit.waiters.push({ of: task, succeeded: () => task.done(), failed: (error) => task.done(error) })
    } catch (error) {
      task.done(error as Error)
    }
  }

  private stageSettlement(settlement: Settlement, commit: Commit): void {
    const { queue: name, delivery, ending, drafts } = settlement
    const queue = this.queues.get(name)
    if (!queue?.leases.holds(delivery)) return refuse(settlement, new FanfareError('lease_lost'), commit)
    const full = this.makeRoomFor(drafts, commit.now)
    if (full) return refuse(settlement, new FanfareError('queue_limit', `"${full.options.name}"`), commit)
    for (const draft of drafts) this.stageDraft(draft, commit)
    this.touch(queue).end(delivery, ending, commit.now)
    commit.waiters.push({
      of: settlement,
      succeeded: () => settlement.settled(),
      failed: (error) => settlement.refused(error),
    })
  }

  /** Whether there is room for a draft, as nearly always: then nobody has to make any, and no overflow is asked. */
  private fitsAsItIs({ queues, bytes }: Draft): boolean {
    for (const name of queues) {
      const queue = this.queues.get(name)
      if (queue && (queue.held.length > 0 || !queue.hasRoom(bytes))) return false
    }
    return true
  }

  /** Whether these have to wait for the next commit: what would make room for them comes in with this one. */
  private fitsNext(drafts: readonly Draft[]): boolean {
    if (drafts.every(({ queues }) => queues.length === 0)) return false
    for (const [queue, { bytes, messages }] of this.needsOf(drafts)) if (queue.takesNext(bytes, messages)) return true
    return false
  }

  private needsOf(drafts: readonly Draft[]): Map<QueueLog, Need> {
    const needs = new Map<QueueLog, Need>()
    for (const draft of drafts) {
      if (this.isKnown(draft)) continue
      for (const queue of this.queuesOf(draft)) {
        const { bytes, messages } = needs.get(queue) ?? { bytes: 0, messages: 0 }
        needs.set(queue, { bytes: bytes + draft.bytes, messages: messages + 1 })
      }
    }
    return needs
  }

  /** Makes room for all of these where it takes that; gives a queue that does not take them, and then nothing is changed. */
  private makeRoomFor(drafts: readonly Draft[], now: number): QueueLog | undefined {
    const needs = this.needsOf(drafts)
    for (const [queue, { bytes, messages }] of needs) {
      const waits = queue.options.overflow === 'block' && (queue.held.length > 0 || !queue.hasRoom(bytes, messages))
      if (waits || !queue.couldTake(bytes, messages)) return queue
    }
    for (const [queue, { bytes, messages }] of needs) this.touch(queue).makeRoom(bytes, messages, now)
    return undefined
  }

  /** Whether a draft can be staged now; else it is refused, or waits for room. `from`: it has waited there. */
  private admit(draft: Draft, commit: Commit, from?: QueueLog): boolean {
    if (draft.queues.length === 0 || this.isKnown(draft)) return true
    const queues = this.queuesOf(draft)
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
    for (const queue of queues) this.touch(queue).makeRoom(draft.bytes, 1, commit.now)
    return true
  }

  private isKnown({ ownId, id }: Draft): boolean {
    return ownId && this.dedup.has(id)
  }

  /** Publishes that waited and now have room, in order. */
  private stageHeld(commit: Commit): void {
    for (const queue of this.queues.values()) {
      for (let draft = queue.held[0]; draft && queue.hasRoom(draft.bytes); draft = queue.held[0]) {
        if (this.fitsNext([draft])) break
        queue.held.shift()
        if (this.admit(draft, commit, queue)) this.stageDraft(draft, commit)
      }
    }
  }

  private heldFits(): boolean {
    for (const queue of this.queues.values()) {
      const [first] = queue.held
      if (first && queue.hasRoom(first.bytes)) return true
    }
    return false
  }

  private stageDraft(draft: Draft, commit: Commit): void {
    const known = draft.ownId ? this.dedup.find(draft.id) : undefined
    const places = known ? this.placesOf(known) : this.place(draft, commit.now)
    commit.waiters.push(new WaitingDraft(draft, places, known !== undefined))
  }

  /** Gives a draft its places, and adds it to them. */
  private place(draft: Draft, now: number): Places {
    const offsets: Record<string, number> = {}
    const streams: Place[] = []
    for (const name of draft.streams) {
      const log = this.streams.get(name)
      // Deleted since the draft was routed.
      if (!log) continue
      const { offset, time } = this.touch(log).reserve(now)
      offsets[name] = offset
      streams.push({ log, offset, time })
    }
    const wire = draft.encode(now, offsets)
    const { topic, key, expiresAt, priority, dueAt } = draft
    for (const { log, offset, time } of streams) log.add({ offset, time, topic, key, expiresAt, wire })
    const queues = this.queuesOf(draft)
    for (const queue of queues) this.touch(queue).add({ time: now, topic, key, expiresAt, wire, priority, dueAt })
    const places = { streams, queues }
    if (draft.ownId) this.dedup.add(draft.id, places)
    return places
  }

  private queuesOf({ queues }: Draft): readonly QueueLog[] {
    if (queues.length === 0) return NO_QUEUES
    const logs: QueueLog[] = []
    for (const name of queues) {
      const log = this.queues.get(name)
      if (log) logs.push(log)
    }
    return logs
  }

  /** Without the streams and queues that were deleted since, also where one of that name has come anew. */
  private placesOf({ offsets, queues }: StoredPlaces): Places {
    const streams = [...this.streams.values()].flatMap((log) => {
      const offset = offsets.get(log.id)
      return offset === undefined ? [] : [{ log, offset, time: 0 }]
    })
    return { streams, queues: [...this.queues.values()].filter(({ id }) => queues.includes(id)) }
  }

  /** Where some have found no room, what came along with them may still find it, or make some: a trim, an ack. */
  private async recover(error: Error, commit: Commit, group: Group, purpose: Purpose): Promise<void> {
    const full = error instanceof FanfareError && error.code === 'storage_full'
    if (!full || purpose === 'room') return this.fail(error, commit, group)
    const settlements = group.settlements.filter((each) => purposeOfSettlement(each) !== purpose)
    const others = new Set<Task | Settlement>([...group.tasks, ...settlements])
    this.fail(error, commit, group, others)
    if (others.size > 0) await this.commit({ tasks: group.tasks, settlements, drafts: [] })
  }

  /** Undoes a commit, and tells everybody but `others`. */
  private fail(error: Error, commit: Commit, group: Group, others: ReadonlySet<object> = new Set()): void {
    const { undo, waiters, taken, now } = commit
    for (const back of undo.reverse()) back()
    for (const log of this.touched) log.rollback(now)
    this.touched.clear()
    this.dedup.rollback()
    const known = error instanceof FanfareError ? error : new FanfareError('storage_failed', error.message)
    this.log.error({ err: error, code: known.code, waiting: waiters.length }, 'a commit failed')
    for (const waiter of waiters) if (!others.has(waiter.of)) waiter.failed(known)
    // Where the staging itself failed: those that it had not come to.
    for (const task of group.tasks.slice(taken.tasks)) if (!others.has(task)) task.done(known)
    for (const left of [...group.settlements.slice(taken.settlements), ...group.drafts.slice(taken.drafts)]) {
      if (!others.has(left)) left.refused(known)
    }
    // What was to leave is there again.
    this.tellReady(now)
  }
}

/** What a group needs room for: what the neediest of it does. */
function purposeOf({ settlements, drafts }: Group): Purpose {
  const purposes = settlements.map(purposeOfSettlement)
  if (drafts.length > 0 || purposes.includes('message')) return 'message'
  return purposes.includes('failure') ? 'failure' : 'room'
}

function purposeOfSettlement({ ending, drafts }: Settlement): Purpose {
  if (drafts.length > 0) return 'message'
  return ending.kind === 'ack' ? 'room' : 'failure'
}

/** Refuses one of a group, in its place among the others: a publisher hears in order. */
function refuse(refused: Draft | Settlement, error: FanfareError, { waiters }: Commit): void {
  const tell = () => refused.refused(error)
  waiters.push({ of: refused, succeeded: tell, failed: tell })
}

const NO_QUEUES: readonly QueueLog[] = []

/** One object for each publish that waits, and no closures: there are tens of thousands a second. */
class WaitingDraft implements Waiter {
  readonly of: Draft
  private readonly places: Places
  private readonly duplicate: boolean

  constructor(draft: Draft, places: Places, duplicate: boolean) {
    this.of = draft
    this.places = places
    this.duplicate = duplicate
  }

  succeeded(): void {
    const positions: Record<string, Position> = {}
    for (const { log, offset } of this.places.streams) positions[log.options.name] = { epoch: log.epoch, offset }
    const queues = this.places.queues.map(({ options }) => options.name)
    this.of.kept({ duplicate: this.duplicate, positions, queues })
  }

  failed(error: FanfareError): void {
    this.of.refused(error)
  }
}
