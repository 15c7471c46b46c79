import { setImmediate } from 'node:timers'
import type { Logger } from 'pino'
import type { Clock } from '../../../../shared/clock.ts'
import { sentence } from '../../../../shared/error-text.ts'
import { FanfareError } from '../../../../shared/errors.ts'
import type { UnexpectedErrors } from '../../../failure/unexpected-errors.ts'
import type { BrokerEvents, Draft, Settlement } from '../../broker.ts'
import type { Purpose } from '../../rules/storage-full.ts'
import { WaitingPublishes } from '../../waiting.ts'
import type { Logs } from '../logs.ts'
import type { QueueLog } from '../queue/queue-log.ts'
import type { AppliedReads } from '../store/applied-reads.ts'
import type { Store } from '../store/store.ts'
import { Capacity } from './capacity.ts'
import {
  type Commit,
  type CommitGroup,
  fail,
  GROUP,
  isSettlement,
  type PublishOrAck,
  purposeOf,
  purposeOfSettlement,
  type StagedMessage,
  type Task,
  type Waiter,
} from './commit.ts'
import type { DedupWindow } from './dedup-window.ts'
import { Staging } from './staging.ts'

/** Until the hub listens. */
const UNHEARD: BrokerEvents = {
  messages() {},
  missed() {},
  ready() {},
  streamDeclared() {},
  streamDeleted() {},
  queueDeclared() {},
  queueDeleted() {},
  committed() {},
}

/**
 * Commits what arrives in groups, one commit after another; while one is under way the next group gathers, so that a
 * slow disk makes larger groups and not longer queues.
 *
 * A group is staged: logs, ids and tables take the change at once, and take it back where the commit fails.
 */
export class GroupCommit {
  private readonly store: Store
  private readonly reads: AppliedReads
  private readonly logs: Logs
  private readonly dedup: DedupWindow
  private readonly clock: Clock
  private readonly log: Logger
  private readonly unexpected: UnexpectedErrors
  events = UNHEARD
  /** Of the declarations. */
  generation = 0
  private readonly staging: Staging
  readonly waiting: WaitingPublishes
  private readonly publishing: PublishOrAck[] = []
  private readonly settlements: Settlement[] = []
  private tasks: Task[] = []
  /** Publishes were put off for declarations: they come before the next ones. */
  private owesPublishes = false
  private working: Promise<void> | undefined = undefined

  constructor(
    store: Store,
    reads: AppliedReads,
    logs: Logs,
    dedup: DedupWindow,
    waitingLimitBytes: number,
    clock: Clock,
    log: Logger,
    unexpected: UnexpectedErrors,
  ) {
    this.unexpected = unexpected
    this.store = store
    this.reads = reads
    this.logs = logs
    this.dedup = dedup
    this.clock = clock
    this.log = log
    this.waiting = new WaitingPublishes(waitingLimitBytes)
    this.staging = new Staging(logs, dedup, this.waiting, new Capacity(logs, dedup, this.waiting))
  }

  publish(draft: Draft): void {
    this.publishing.push(draft)
    this.work()
  }

  settle(settlement: Settlement): void {
    if (settlement.drafts.length > 0) this.publishing.push(settlement)
    else this.settlements.push(settlement)
    this.work()
  }

  /** Makes a change in the next commit; `stage` adds to it, and returns how to undo what it has done at once. */
  change(stage: Task['stage']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.tasks.push({ stage, done: (error) => (error ? reject(error) : resolve()) })
      this.work()
    })
  }

  /** An owner of drafts has gone: what waits of it for room is refused. What is in the next commit already is kept. */
  withdraw(owner: object): void {
    for (const draft of this.waiting.withdraw(owner)) draft.refused(new FanfareError('connection_lost'))
    if (this.waiting.hasAsked) this.work()
  }

  /** A queue has other options or was deleted: this may be the turn of publishes that wait for it. */
  queueChanged(name: string): void {
    this.waiting.changed(name)
    if (this.waiting.hasAsked) this.work()
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
    while (
      this.publishing.length > 0 ||
      this.settlements.length > 0 ||
      this.tasks.length > 0 ||
      this.waiting.hasAsked
    ) {
      try {
        await this.commitNext()
      } catch (error) {
        // A bug must not end the work: nothing would be kept any more. Not at once again, or nothing else would run.
        this.unexpected.report('broker', error)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    // In the same breath as the last look at what waits, or a draft that comes now would be left.
    this.working = undefined
  }

  private async commitNext(): Promise<void> {
    const tasks = this.owesPublishes ? [] : this.tasks
    if (!this.owesPublishes) this.tasks = []
    this.owesPublishes = false
    const waitedBytes = this.store.commitBytes
    const settlements = this.settlements.splice(0, GROUP)
    await this.commit({ tasks, settlements, publishing: this.nextPublishing(), waitedBytes })
  }

  private nextPublishing(): PublishOrAck[] {
    const { commitBytes } = this.store
    let bytes = 0
    let count = 0
    for (; count < Math.min(this.publishing.length, GROUP); count++) {
      bytes += bytesIn(this.publishing[count] as PublishOrAck)
      if (count > 0 && bytes > commitBytes) break
    }
    return this.publishing.splice(0, count)
  }

  private async commit(group: CommitGroup): Promise<void> {
    const taken = { tasks: 0, settlements: 0, publishing: 0, waited: 0 }
    const lists = { changes: [], undo: [], waiters: [], declarations: [], messages: [] }
    const commit: Commit = { now: this.clock.now(), generation: this.generation, ...lists, taken }
    try {
      this.staging.stage(group, commit, { settlements: this.settlements, publishing: this.publishing })
      if (commit.changes.length > 0) await this.keep(commit, purposeOf(group, commit))
    } catch (thrown) {
      await this.recover(thrown as Error, commit, group, purposeOf(group, commit))
      return
    }
    // It is stored, and is acknowledged to all waiters whatever fails from here on.
    this.reads.release()
    let changed: readonly QueueLog[] = []
    this.unexpected.run('broker', () => {
      changed = this.logs.apply(commit.now)
    })
    this.unexpected.run('broker', () => this.dedup.apply(commit.now))
    this.reportDeclarations(commit)
    this.reportMessages(commit.messages)
    for (const waiter of commit.waiters) this.answer(waiter, undefined)
    if (group.waitedBytes === undefined) for (const { options } of changed) this.waiting.roomIn(options.name)
    this.announceReady(changed, commit.now)
  }

  private async keep({ changes, taken }: Commit, purpose: Purpose): Promise<void> {
    const start = performance.now()
    this.reads.hold()
    await this.store.commit(changes, purpose)
    const seconds = (performance.now() - start) / 1000
    const operations = taken.publishing + taken.waited + taken.settlements
    this.unexpected.run('broker', () => this.events.committed({ seconds, operations }))
  }

  private reportDeclarations({ declarations }: Commit): void {
    if (declarations.length === 0) return
    this.generation++
    this.owesPublishes = this.publishing.length > 0
    for (const declaration of declarations) this.unexpected.run('broker', () => declaration(this.events))
  }

  private reportMessages(messages: readonly StagedMessage[]): void {
    if (messages.length > 0) this.unexpected.run('broker', () => this.events.messages(messages))
  }

  private announceReady(changed: readonly QueueLog[], now: number): void {
    for (const queue of changed) {
      if (queue.hasReady(now)) this.unexpected.run('broker', () => this.events.ready(queue.options.name))
    }
  }

  /** A waiter that throws must not keep the others from their answers. */
  private answer(waiter: Waiter, error: FanfareError | undefined): void {
    this.unexpected.run('broker', () => (error ? waiter.failed(error) : waiter.succeeded()))
  }

  /** Where some have found no room, what came along with them may still find it, or make some: a trim, an ack. */
  private async recover(error: Error, commit: Commit, group: CommitGroup, purpose: Purpose): Promise<void> {
    const full = error instanceof FanfareError && error.code === 'storage_full'
    if (!full || purpose === 'room') return this.undo(error, commit, group)
    const all = [...group.settlements, ...group.publishing.filter(isSettlement)]
    const settlements = all.filter((each) => purposeOfSettlement(each) !== purpose)
    const others = new Set<Task | Settlement>([...group.tasks, ...settlements])
    this.undo(error, commit, group, others)
    if (others.size > 0) await this.commit({ tasks: group.tasks, settlements, publishing: [], waitedBytes: undefined })
  }

  /** Undoes a commit, and answers all waiters except `others`. */
  private undo(error: Error, commit: Commit, group: CommitGroup, others: ReadonlySet<object> = new Set()): void {
    const { undo, waiters, taken, now } = commit
    const { unexpected } = this
    this.reads.release()
    for (const back of undo.reverse()) unexpected.run('broker', back)
    let changed: readonly QueueLog[] = []
    unexpected.run('broker', () => {
      changed = this.logs.rollback(now)
    })
    unexpected.run('broker', () => this.dedup.rollback())
    // Publishes that did not fit alongside what is now undone may fit.
    for (const { options } of changed) this.waiting.roomIn(options.name)
    const known =
      error instanceof FanfareError
        ? error
        : new FanfareError('storage_failed', `The message could not be stored: ${sentence(error.message)}`)
    this.log.error({ err: error, code: known.code, waiting: waiters.length }, 'commit failed')
    this.reportMessages(commit.messages.filter(({ isFree }) => isFree))
    for (const waiter of waiters) if (!others.has(waiter.of)) this.answer(waiter, known)
    // If the staging itself failed, those that it had not reached.
    for (const task of group.tasks.slice(taken.tasks)) {
      if (!others.has(task)) unexpected.run('broker', () => task.done(known))
    }
    for (const left of [...group.settlements.slice(taken.settlements), ...group.publishing.slice(taken.publishing)]) {
      if (!others.has(left)) unexpected.run('broker', () => fail(left, known))
    }
    // What was to leave is there again.
    this.announceReady(changed, now)
  }
}

/** Bytes that it takes in all places together. */
function bytesIn(publishing: PublishOrAck): number {
  if (isSettlement(publishing)) return publishing.drafts.reduce((sum, draft) => sum + bytesIn(draft), 0)
  const { bytes, route } = publishing
  return bytes * (route.streams.length + route.queues.length)
}
