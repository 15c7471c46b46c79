import { setImmediate } from 'node:timers'
import type { Logger } from 'pino'
import type { Clock } from '../../../../shared/clock.ts'
import { sentence } from '../../../../shared/error-text.ts'
import { FanfareError } from '../../../../shared/errors.ts'
import type { UnexpectedErrors } from '../../../failure/unexpected-errors.ts'
import type { BrokerEvents, Draft, Settlement } from '../../broker.ts'
import { FailedCommits } from '../../failed-commits.ts'
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

/** Used until the hub listens to events. */
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
 * Commits arrivals in groups, one commit after another. While one is in progress, the next group gathers, so that a slow disk leads
 * to larger groups rather than longer queues.
 *
 * A group is staged first: logs, ids and tables accept the change immediately, and undo it if the commit fails.
 */
export class GroupCommit {
  private readonly store: Store
  private readonly reads: AppliedReads
  private readonly logs: Logs
  private readonly dedup: DedupWindow
  private readonly clock: Clock
  readonly failures: FailedCommits
  private readonly unexpected: UnexpectedErrors
  events = UNHEARD
  /** Generation of the declarations. */
  generation = 0
  private readonly staging: Staging
  readonly waiting: WaitingPublishes
  private readonly publishing: PublishOrAck[] = []
  private readonly settlements: Settlement[] = []
  private tasks: Task[] = []
  /** Publishes were put off because of declarations: they come before the next ones. */
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
    this.failures = new FailedCommits(log)
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

  /** Makes a change in the next commit. `stage` adds to the commit, and returns a function that undoes what it has already changed. */
  change(stage: Task['stage']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.tasks.push({ stage, done: (error) => (error ? reject(error) : resolve()) })
      this.work()
    })
  }

  /** An owner of drafts has disconnected: its drafts that wait for space are refused. Drafts already in the next commit are stored. */
  withdraw(owner: object): void {
    for (const draft of this.waiting.withdraw(owner)) draft.refused(new FanfareError('connection_lost'))
    if (this.waiting.hasAsked) this.work()
  }

  /** The options of a queue have changed, or it was deleted: publishes that wait for it may be next. */
  queueChanged(name: string): void {
    this.waiting.changed(name)
    if (this.waiting.hasAsked) this.work()
  }

  /** Whether no commit is in progress. */
  get idle(): boolean {
    return this.working === undefined
  }

  /** Resolves when no commit is in progress. */
  async finished(): Promise<void> {
    await this.working
  }

  private work(): void {
    this.working ??= this.commitAll()
  }

  private async commitAll(): Promise<void> {
    // Everything else that arrives in this turn goes into the same commit.
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
        // A bug must not stop the work, because nothing would be stored any more. Not retried at once, because nothing else would
        // run.
        this.unexpected.report('broker', error)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    // In the same step as the last check for work, otherwise a draft that arrives now would be left behind.
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
    this.failures.succeeded(purpose !== 'room')
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

  /** If some found no space, the others of the group may still find it, or make some: a trim, an ack. */
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
    // Publishes that did not fit together with what is now undone may fit.
    for (const { options } of changed) this.waiting.roomIn(options.name)
    const known =
      error instanceof FanfareError
        ? error
        : new FanfareError('storage_failed', `The message could not be stored: ${sentence(error.message)}`)
    this.failures.failed(error, known, waiters.length)
    this.reportMessages(commit.messages.filter(({ isFree }) => isFree))
    for (const waiter of waiters) if (!others.has(waiter.of)) this.answer(waiter, known)
    // If the staging itself failed, the rest that it did not reach.
    for (const task of group.tasks.slice(taken.tasks)) {
      if (!others.has(task)) unexpected.run('broker', () => task.done(known))
    }
    for (const left of [...group.settlements.slice(taken.settlements), ...group.publishing.slice(taken.publishing)]) {
      if (!others.has(left)) unexpected.run('broker', () => fail(left, known))
    }
    // Messages that were to leave are there again.
    this.announceReady(changed, now)
  }
}

/** Size in all places together, in bytes. */
function bytesIn(publishing: PublishOrAck): number {
  if (isSettlement(publishing)) return publishing.drafts.reduce((sum, draft) => sum + bytesIn(draft), 0)
  const { bytes, route } = publishing
  return bytes * (route.streams.length + route.queues.length)
}
