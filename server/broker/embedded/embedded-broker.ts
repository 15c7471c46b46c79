import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import type { DeadLetter, DeadLetterFilter, QueueOptions, QueueStatus } from '../../../shared/queues.ts'
import type { Position, StreamInfo, StreamOptions } from '../../../shared/streams.ts'
import type { Block } from '../block.ts'
import type { Broker, Delivery, Draft, QueueState, Settlement, StreamState } from '../broker.ts'
import { DedupWindow, type Places } from './dedup-window.ts'
import { cursorKey, fromJson, toJson, under } from './keys.ts'
import { entryOf, QueueLog, type QueueRecord } from './queue-log.ts'
import type { Change, Store } from './store.ts'
import { StreamLog, type StreamRecord } from './stream-log.ts'

export interface EmbeddedOptions {
  readonly dedupWindowMs: number
  readonly dedupIds: number
  /** Milliseconds since 1970; a test has its own clock. */
  readonly now?: () => number
}

/** Drafts of one commit at most. */
const GROUP = 10_000
/** How often leases, delays and expiry are looked after, in milliseconds; and retention, in ticks. */
const TICK_MS = 100
const RETENTION_TICKS = 10

/** A change of something other than messages: adds to a commit, and gives what to do when that has succeeded. */
interface Task {
  stage(changes: Change[]): () => void
  done(error?: Error): void
}

/** What a commit changes: staged, then made so or not. */
interface Log {
  finish(changes: Change[], now: number): void
  apply(now: number): void
  rollback(now: number): void
}

/** Told when the commit has succeeded. */
type Done = () => void

/**
 * The broker in the hub's own process, over a store.
 *
 * Commits come one after another; while one is under way the next group gathers, so that a slow disk makes larger
 * groups and not longer queues.
 */
export class EmbeddedBroker implements Broker {
  onReady: (queue: string) => void = () => {}
  private readonly store: Store
  private readonly log: Logger
  private readonly now: () => number
  private readonly dedup: DedupWindow
  private readonly logs = new Map<string, StreamLog>()
  private readonly queueLogs = new Map<string, QueueLog>()
  /** Those that the commit under way changes. */
  private readonly touched = new Set<Log>()
  private readonly ticker: NodeJS.Timeout
  private ticks = 0
  private waiting: Draft[] = []
  private settlements: Settlement[] = []
  private tasks: Task[] = []
  private working: Promise<void> | undefined = undefined
  private nextId = 1
  private lastDelivery = 0

  constructor(store: Store, options: EmbeddedOptions, log: Logger) {
    this.store = store
    this.log = log
    this.now = options.now ?? Date.now
    this.dedup = new DedupWindow(store, options.dedupWindowMs, options.dedupIds)
    for (const [, value] of store.range(under('s'))) {
      const record = fromJson(value) as StreamRecord
      this.logs.set(record.options.name, new StreamLog(store, record))
      this.nextId = Math.max(this.nextId, record.id + 1)
    }
    for (const [, value] of store.range(under('q'))) {
      const record = fromJson(value) as QueueRecord
      const queue = new QueueLog(store, record)
      queue.load(this.now())
      this.queueLogs.set(record.options.name, queue)
      this.nextId = Math.max(this.nextId, record.id + 1)
    }
    this.ticker = setInterval(() => this.tick(), TICK_MS).unref()
  }

  publish(draft: Draft): void {
    this.waiting.push(draft)
    this.work()
  }

  // Streams

  stream(name: string): StreamState | undefined {
    return this.logs.get(name)
  }

  async declareStream(options: StreamOptions, replace: boolean): Promise<StreamState> {
    await this.change(() => {
      const existing = this.logs.get(options.name)
      if (!existing) {
        const created = StreamLog.create(this.store, this.nextId++, options)
        this.touched.add(created)
        return () => this.logs.set(options.name, created)
      }
      if (JSON.stringify(existing.options) === JSON.stringify(options)) return () => {}
      if (!replace) throw new FanfareError('stream_exists', `"${options.name}"`)
      existing.setOptions(options)
      this.touched.add(existing)
      return () => {}
    })
    return this.logOf(options.name)
  }

  async deleteStream(name: string): Promise<void> {
    await this.change((changes) => {
      changes.push(...this.logOf(name).keys())
      return () => this.logs.delete(name)
    })
  }

  async trimStream(name: string, before: number): Promise<void> {
    await this.change(() => {
      const log = this.logOf(name)
      log.trim(before)
      this.touched.add(log)
      return () => {}
    })
  }

  async streams(): Promise<StreamInfo[]> {
    return [...this.logs.values()].map((log) => log.info())
  }

  async read(stream: string, offset: number): Promise<Block | undefined> {
    return this.logOf(stream).read(offset)
  }

  async offsetAtTime(stream: string, time: number): Promise<number> {
    return this.logOf(stream).offsetAtTime(time)
  }

  async newest(stream: string, pattern: readonly string[], count: number): Promise<number[]> {
    return this.logOf(stream).newest(pattern, count)
  }

  async cursor(stream: string, name: string): Promise<Position | undefined> {
    return this.logOf(stream).cursor(name)
  }

  async setCursor(stream: string, name: string, offset: number): Promise<void> {
    await this.change((changes) => {
      const log = this.logOf(stream)
      changes.push({ key: cursorKey(log.id, name), value: toJson({ epoch: log.epoch, offset }) })
      return () => {}
    })
  }

  // Queues

  async declareQueue(options: QueueOptions, replace: boolean): Promise<void> {
    await this.change(() => {
      const existing = this.queueLogs.get(options.name)
      if (!existing) {
        const created = new QueueLog(this.store, { id: this.nextId++, options, next: 0, nextLetter: 0 }, false)
        this.touched.add(created)
        return () => this.queueLogs.set(options.name, created)
      }
      if (JSON.stringify(existing.options) === JSON.stringify(options)) return () => {}
      if (!replace) throw new FanfareError('queue_exists', `"${options.name}"`)
      existing.setOptions(options)
      this.touched.add(existing)
      return () => {}
    })
  }

  async deleteQueue(name: string): Promise<void> {
    await this.change((changes) => {
      const queue = this.queueOf(name)
      changes.push(...queue.keys())
      return () => {
        this.queueLogs.delete(name)
        for (const draft of queue.held) draft.refused(new FanfareError('no_queue', `"${name}" was deleted`))
      }
    })
  }

  queue(name: string): QueueState | undefined {
    return this.queueLogs.get(name)
  }

  async queues(): Promise<QueueStatus[]> {
    return [...this.queueLogs.values()].map((queue) => queue.info(this.now()))
  }

  lease(queue: string, count: number, bytes: number, ackDeadlineMs: number): Delivery[] {
    const nextId = () => ++this.lastDelivery
    return this.queueLogs.get(queue)?.lease(count, bytes, ackDeadlineMs, this.now(), nextId) ?? []
  }

  settle(settlement: Settlement): void {
    this.settlements.push(settlement)
    this.work()
  }

  extend(queue: string, delivery: number, ms: number): boolean {
    return this.queueLogs.get(queue)?.extend(delivery, ms, this.now()) ?? false
  }

  giveBack(queue: string, delivery: number): void {
    this.queueLogs.get(queue)?.giveBack(delivery, this.now())
    this.onReady(queue)
  }

  async purgeQueue(name: string): Promise<number> {
    let count = 0
    await this.change(() => {
      count = this.touch(this.queueOf(name)).purge()
      return () => {}
    })
    return count
  }

  async unpark(queue: string, key: string): Promise<void> {
    await this.change((changes) => {
      this.touch(this.queueOf(queue)).unpark(key, changes)
      return () => {}
    })
  }

  async deadLetters(queue: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]> {
    const letters: DeadLetter[] = []
    for (const letter of this.queueOf(queue).letters(filter, from)) {
      if (letters.push(letter) >= limit) break
    }
    return letters
  }

  async redrive(queue: string, filter: DeadLetterFilter, to: string, limit: number): Promise<number> {
    let moved: number[] = []
    await this.change((changes) => {
      moved = []
      const [origin, target] = [this.queueOf(queue), this.queueOf(to)]
      for (const [letter, stored] of origin.storedLetters(filter)) {
        if (moved.length >= limit) break
        if (!target.hasRoom(stored.wire.length)) throw new FanfareError('queue_limit', `"${to}"`)
        this.touch(target).add(entryOf(stored, this.now()))
        moved.push(letter)
      }
      this.touch(origin).removeLetters(moved, changes)
      return () => {}
    })
    return moved.length
  }

  async purgeDeadLetters(queue: string, filter: DeadLetterFilter): Promise<number> {
    let letters: number[] = []
    await this.change((changes) => {
      const origin = this.queueOf(queue)
      letters = [...origin.storedLetters(filter)].map(([letter]) => letter)
      this.touch(origin).removeLetters(letters, changes)
      return () => {}
    })
    return letters.length
  }

  async close(): Promise<void> {
    clearInterval(this.ticker)
    await this.working
    await this.store.close()
  }

  // Commits

  /** Looks after what time changes: leases that run out, delays, expiry, retention. */
  tick(): void {
    const now = this.now()
    this.ticks++
    for (const [name, queue] of this.queueLogs) {
      for (const delivery of queue.overdue(now)) this.settle(overdue(name, delivery))
      if (queue.nextTime() <= now) this.lookAfter([queue])
    }
    if (this.ticks % RETENTION_TICKS === 0 && this.logs.size > 0) this.lookAfter([...this.logs.values()])
  }

  /** Lets logs have a look at the time in the next commit. */
  private lookAfter(logs: readonly (StreamLog | QueueLog)[]): void {
    const look = () => {
      for (const log of logs) {
        this.touched.add(log)
        if (log instanceof QueueLog) log.expire(this.now())
      }
      return () => {}
    }
    // Its failure has been logged, and the next tick tries again.
    void this.change(look).catch(() => {})
  }

  private touch<L extends Log>(log: L): L {
    this.touched.add(log)
    return log
  }

  private logOf(name: string): StreamLog {
    const log = this.logs.get(name)
    if (!log) throw new FanfareError('no_stream', `There is no stream ${JSON.stringify(name)}`)
    return log
  }

  private queueOf(name: string): QueueLog {
    const queue = this.queueLogs.get(name)
    if (!queue) throw new FanfareError('no_queue', `There is no queue ${JSON.stringify(name)}`)
    return queue
  }

  private change(stage: Task['stage']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.tasks.push({ stage, done: (error) => (error ? reject(error) : resolve()) })
      this.work()
    })
  }

  private work(): void {
    this.working ??= this.commitAll()
  }

  private async commitAll(): Promise<void> {
    // Whatever this turn still brings goes into the same commit.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.waiting.length > 0 || this.settlements.length > 0 || this.tasks.length > 0 || this.heldFits()) {
      const drafts = this.waiting.splice(0, GROUP)
      const settlements = this.settlements.splice(0, GROUP)
      const { tasks } = this
      this.tasks = []
      await this.commit(drafts, settlements, tasks)
    }
    // In the same breath as the last look at what waits, or a draft that comes now would be left.
    this.working = undefined
  }

  private async commit(
    drafts: readonly Draft[],
    settlements: readonly Settlement[],
    tasks: readonly Task[],
  ): Promise<void> {
    const changes: Change[] = []
    const now = this.now()
    const staged = new Staged()
    for (const task of tasks) this.stageTask(task, changes, staged)
    for (const settlement of settlements) this.stageSettlement(settlement, changes, now, staged)
    for (const draft of this.admitHeld()) this.stageDraft(draft, changes, now, staged)
    for (const draft of drafts) if (this.admit(draft, now, staged)) this.stageDraft(draft, changes, now, staged)
    const logs = [...this.touched]
    this.touched.clear()
    for (const log of logs) log.finish(changes, now)
    this.dedup.finish(changes, now)
    try {
      const durable = tasks.length > 0 || settlements.length > 0 || staged.drafts.some((draft) => this.isDurable(draft))
      if (changes.length > 0) await this.store.commit(changes, durable)
    } catch (thrown) {
      for (const log of logs) log.rollback(now)
      this.dedup.rollback()
      this.fail(thrown as Error, staged)
      return
    }
    for (const log of logs) log.apply(now)
    this.dedup.apply(now)
    for (const done of staged.done) done()
    for (const [name, queue] of this.queueLogs) if (queue.hasReady(now)) this.onReady(name)
  }

  private stageTask(task: Task, changes: Change[], staged: Staged): void {
    try {
      const apply = task.stage(changes)
      staged.add(
        () => {
          apply()
          task.done()
        },
        (error) => task.done(error),
      )
    } catch (error) {
      task.done(error as Error)
    }
  }

  private stageSettlement(settlement: Settlement, changes: Change[], now: number, staged: Staged): void {
    const { queue: name, delivery, ending, drafts } = settlement
    const queue = this.queueLogs.get(name)
    if (!queue?.holds(delivery)) return settlement.refused(new FanfareError('lease_lost'))
    const full = drafts.flatMap((draft) => this.queuesOf(draft)).find((log) => !this.fits(log, drafts, now))
    if (full) return settlement.refused(new FanfareError('queue_limit', `"${full.options.name}"`))
    for (const draft of drafts) this.stageDraft(draft, changes, now, staged)
    this.touch(queue).end(delivery, ending, now)
    staged.add(
      () => settlement.settled(),
      (error) => settlement.refused(error),
    )
  }

  /** Whether a draft can be staged now; else it has been refused, or waits for room. */
  private admit(draft: Draft, now: number, staged: Staged): boolean {
    if (draft.ownId && this.dedup.find(draft.id)) return true
    for (const queue of this.queuesOf(draft)) {
      const { overflow, name } = queue.options
      if (overflow === 'block' && (queue.held.length > 0 || !queue.hasRoom(draft.bytes))) {
        queue.held.push(draft)
        return false
      }
      if (!this.fits(queue, [draft], now)) {
        staged.refuseLater(draft, new FanfareError('queue_limit', `"${name}"`))
        return false
      }
    }
    return true
  }

  /** Whether a queue takes these, at the cost of what it has where its overflow says so. */
  private fits(queue: QueueLog, drafts: readonly Draft[], now: number): boolean {
    const bytes = drafts.reduce((sum, draft) => sum + draft.bytes, 0)
    if (queue.hasRoom(bytes)) return true
    const { overflow } = queue.options
    if (overflow === 'reject' || overflow === 'block') return false
    return this.touch(queue).makeRoom(bytes, now)
  }

  /** Publishes that waited and now have room, in order. */
  private *admitHeld(): Iterable<Draft> {
    for (const queue of this.queueLogs.values()) {
      for (let draft = queue.held[0]; draft && queue.hasRoom(draft.bytes); draft = queue.held[0]) {
        queue.held.shift()
        yield draft
      }
    }
  }

  private heldFits(): boolean {
    for (const queue of this.queueLogs.values()) {
      const [first] = queue.held
      if (first && queue.hasRoom(first.bytes)) return true
    }
    return false
  }

  private stageDraft(draft: Draft, changes: Change[], now: number, staged: Staged): void {
    const known = draft.ownId ? this.dedup.find(draft.id) : undefined
    const places = known ?? this.place(draft, changes, now)
    staged.drafts.push(draft)
    staged.add(
      () =>
        draft.kept({
          duplicate: known !== undefined,
          positions: this.positions(places),
          queues: places.queues,
        }),
      (error) => draft.refused(error),
    )
  }

  /** Gives a draft its places, and adds it to them. */
  private place(draft: Draft, changes: Change[], now: number): Places {
    const offsets: Record<string, number> = {}
    const places: { log: StreamLog; offset: number; time: number }[] = []
    for (const name of draft.streams) {
      const log = this.logs.get(name)
      // Deleted since the draft was routed.
      if (!log) continue
      const place = this.touch(log).reserve(now)
      offsets[name] = place.offset
      places.push({ log, ...place })
    }
    const wire = draft.encode(now, offsets)
    const { topic, key, expiresAt, priority, dueAt } = draft
    for (const { log, offset, time } of places) log.add({ offset, time, topic, key, expiresAt, wire }, changes)
    const queues = this.queuesOf(draft)
    for (const queue of queues) {
      this.touch(queue).add({
        time: now,
        topic,
        key,
        expiresAt,
        wire,
        ...(priority !== undefined && { priority }),
        ...(dueAt !== undefined && { dueAt }),
      })
    }
    const placed = { offsets, queues: queues.map(({ options }) => options.name) }
    if (draft.ownId) this.dedup.add(draft.id, placed)
    return placed
  }

  private queuesOf(draft: Draft): QueueLog[] {
    const queues: QueueLog[] = []
    for (const name of draft.queues) {
      const queue = this.queueLogs.get(name)
      if (queue) queues.push(queue)
    }
    return queues
  }

  private fail(error: Error, staged: Staged): void {
    const known = error instanceof FanfareError ? error : new FanfareError('storage_failed', error.message)
    this.log.error({ err: error, code: known.code, publishes: staged.drafts.length }, 'a commit failed')
    for (const refuse of staged.failed) refuse(known)
  }

  private isDurable({ streams, queues }: Draft): boolean {
    return queues.length > 0 || streams.some((name) => this.logs.get(name)?.options.durability === 'disk')
  }

  private positions({ offsets }: Places): Record<string, Position> {
    const positions: Record<string, Position> = {}
    for (const [name, offset] of Object.entries(offsets)) {
      const log = this.logs.get(name)
      if (log) positions[name] = { epoch: log.epoch, offset }
    }
    return positions
  }
}

/** What is to be told when a commit has succeeded, or failed. */
class Staged {
  readonly drafts: Draft[] = []
  readonly done: Done[] = []
  readonly failed: ((error: FanfareError) => void)[] = []

  add(done: Done, failed: (error: FanfareError) => void): void {
    this.done.push(done)
    this.failed.push(failed)
  }

  /** In its place among the others: a publisher hears in order. */
  refuseLater(draft: Draft, error: FanfareError): void {
    this.add(
      () => draft.refused(error),
      (failure) => draft.refused(failure),
    )
  }
}

function overdue(queue: string, delivery: number): Settlement {
  const ending = { kind: 'nack', error: 'The consumer did not answer in time', delayMs: 0 } as const
  // Whoever held it learns when it settles: the lease is lost.
  return { queue, delivery, ending, drafts: [], settled: () => {}, refused: () => {} }
}
