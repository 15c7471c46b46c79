import type { Logger } from 'pino'
import type { Clock, Timer } from '../../../shared/clock.ts'
import type { DeadLetter, DeadLetterFilter, QueueOptions, QueueStatus } from '../../../shared/queues.ts'
import { steadyClock } from '../../../shared/steady-clock.ts'
import type { CursorInfo, Position, StreamInfo, StreamOptions } from '../../../shared/streams.ts'
import { UnexpectedErrors } from '../../failure/unexpected-errors.ts'
import type {
  Broker,
  BrokerEvents,
  CursorRange,
  Delivery,
  DeliveryId,
  Draft,
  QueueState,
  Settlement,
  StreamState,
  WaitingStatus,
} from '../broker.ts'
import type { LetterNumbers, LetterRange } from '../letter-pages.ts'
import { alreadyExists, DEFAULT_MAX_BYTES, sameOptions } from '../rules/declarations.ts'
import { nothingToUndo } from './commit/commit.ts'
import { DeadLetterOperations, LETTER_STEPS } from './commit/dead-letter-operations.ts'
import { DedupWindow } from './commit/dedup-window.ts'
import { GroupCommit } from './commit/group-commit.ts'
import { Housekeeping } from './commit/housekeeping.ts'
import { LateSettlement } from './commit/late-settlement.ts'
import { Removals } from './commit/removals.ts'
import { Logs } from './logs.ts'
import { QueueLog, type QueueRecord } from './queue/queue-log.ts'
import { AppliedReads } from './store/applied-reads.ts'
import { fromJson, queueKey, streamKey, under } from './store/keys.ts'
import type { Change, Store } from './store/store.ts'
import type { StoredBlock } from './stored-block.ts'
import type { CursorLimits } from './stream/stream-cursors.ts'
import { StreamLog } from './stream/stream-log.ts'
import type { StreamRecord } from './stream/stream-record.ts'

export interface EmbeddedOptions {
  readonly dedupWindowMs: number
  readonly dedupIds: number
  /** Maximum bytes of publishes that wait for space in queues. No limit by default, and with 0. */
  readonly waitingPublishBytes?: number
  /** No limit by default. */
  readonly cursorsPerStream?: number
  readonly cursorIdleMs?: number
  /** By default the machine's clock. */
  readonly clock?: Clock
  /** Where errors of callbacks are reported; by default its own. */
  readonly unexpected?: UnexpectedErrors
}

/** Interval at which delays, expiry and retention are processed, in milliseconds. */
const TICK_MS = 100

/** The broker in the hub's own process, on top of a store. */
export class EmbeddedBroker implements Broker {
  readonly remote = undefined
  readonly defaultMaxBytes = DEFAULT_MAX_BYTES.disk
  readonly letterSteps = LETTER_STEPS
  private readonly store: Store
  /** The reader of the logs. */
  private readonly reads: AppliedReads
  private readonly clock: Clock
  private readonly cursorLimits: CursorLimits
  private readonly logs: Logs
  private readonly dedup: DedupWindow
  private readonly letters: DeadLetterOperations
  private readonly removals: Removals
  private readonly commits: GroupCommit
  private readonly housekeeping: Housekeeping
  private readonly ticker: Timer
  private lastDelivery = 0

  constructor(store: Store, options: EmbeddedOptions, log: Logger) {
    this.store = store
    const unexpected = options.unexpected ?? new UnexpectedErrors(log)
    this.reads = new AppliedReads(store)
    this.clock = unexpected.guard(options.clock ?? steadyClock)
    const { waitingPublishBytes = 0, cursorsPerStream = Number.POSITIVE_INFINITY, cursorIdleMs = 0 } = options
    this.cursorLimits = { max: cursorsPerStream, idleMs: cursorIdleMs }
    this.logs = new Logs(store)
    this.dedup = new DedupWindow(store, this.logs, options.dedupWindowMs, options.dedupIds, log)
    const { reads, logs, dedup, clock } = this
    this.commits = new GroupCommit(store, reads, logs, dedup, waitingPublishBytes, clock, log, unexpected)
    this.letters = new DeadLetterOperations(this.commits, this.logs, this.dedup)
    this.removals = new Removals(this.reads)
    this.housekeeping = new Housekeeping(this.commits, this.logs, this.removals, this.clock)
    for (const [, value] of store.range(under('s'))) {
      const record = fromJson(value) as StreamRecord
      this.logs.add(new StreamLog(this.reads, record))
    }
    for (const [, value] of store.range(under('q'))) {
      const record = fromJson(value) as QueueRecord
      const queue = new QueueLog(this.reads, record, this.clock)
      queue.load(this.clock.now())
      this.logs.add(queue)
    }
    this.ticker = this.clock.setInterval(() => this.tick(), TICK_MS).unref()
  }

  async open(events: BrokerEvents): Promise<void> {
    this.commits.events = events
    for (const log of this.logs.streams.values()) events.streamDeclared(log)
    for (const { options } of this.logs.queues.values()) events.queueDeclared(options)
  }

  /** There is no other hub. */
  async catchUp(): Promise<void> {}

  get failedCommits(): Broker['failedCommits'] {
    return this.commits.failures.counts
  }

  get failure(): string | undefined {
    return this.store.failure
  }

  get generation(): number {
    return this.commits.generation
  }

  publish(draft: Draft): void {
    this.commits.publish(draft)
  }

  withdraw(owner: object): void {
    this.commits.withdraw(owner)
  }

  get waiting(): WaitingStatus {
    return this.commits.waiting
  }

  // Streams

  stream(name: string): StreamState | undefined {
    return this.logs.streams.get(name)
  }

  async declareStream(options: StreamOptions, replace: boolean): Promise<void> {
    await this.commits.change((_changes, _now, declarations) => {
      const existing = this.logs.streams.get(options.name)
      if (existing && sameOptions(existing.options, options)) return nothingToUndo
      if (existing && !replace) throw alreadyExists('stream', existing.options, options)
      const log = this.logs.touch(existing ?? StreamLog.create(this.reads, this.logs.takeNumber(), options))
      declarations.push((events) => events.streamDeclared(log))
      if (existing) {
        existing.setOptions(options)
        return nothingToUndo
      }
      this.logs.add(log)
      return () => this.logs.remove(log)
    })
    this.housekeeping.look()
  }

  async deleteStream(name: string): Promise<void> {
    await this.commits.change((changes, _now, declarations) => {
      const log = this.logs.streamOf(name)
      declarations.push((events) => events.streamDeleted(name))
      changes.push({ key: streamKey(log.id), value: undefined })
      const keep = this.removals.begin(log.id, changes)
      this.logs.remove(log)
      return () => {
        keep()
        this.logs.putBack(log)
      }
    })
    this.housekeeping.look()
  }

  async trimStream(name: string, before: number): Promise<void> {
    await this.changeStream(name, (log) => log.trim(before))
    this.housekeeping.look()
  }

  get streamNames(): Iterable<string> {
    return this.logs.streams.keys()
  }

  async streams(names: Iterable<string> = this.streamNames): Promise<StreamInfo[]> {
    return those(this.logs.streams, names).map((log) => log.info())
  }

  async read(stream: string, offset: number): Promise<StoredBlock | undefined> {
    return this.logs.streamOf(stream).read(offset)
  }

  async offsetAtTime(stream: string, time: number): Promise<number> {
    return this.logs.streamOf(stream).offsetAtTime(time)
  }

  async newest(stream: string, pattern: readonly string[], count: number, before?: number): Promise<number[]> {
    const { next } = this.logs.streamOf(stream)
    // Each commit that touches the log indexes a part of it.
    while (!this.logs.streamOf(stream).isIndexed) await this.changeStream(stream, () => {})
    return this.logs.streamOf(stream).newest(pattern, count, before ?? next)
  }

  async cursor(stream: string, name: string): Promise<Position | undefined> {
    const log = this.logs.streamOf(stream)
    if (log.cursorNeedsMark(name, this.clock.now())) {
      // The failure has been logged, and only costs the mark.
      const marked = this.changeStream(stream, (log, changes, now) => log.markCursor(name, now, changes))
      marked.catch(() => {})
    }
    return log.cursor(name)
  }

  async cursors(stream: string, range: CursorRange): Promise<CursorInfo[]> {
    return this.logs.streamOf(stream).listCursors(range)
  }

  setCursor(stream: string, name: string, offset: number): Promise<void> {
    return this.changeStream(stream, (log, changes, now) =>
      log.setCursor(name, offset, now, this.cursorLimits, changes),
    )
  }

  deleteCursor(stream: string, name: string): Promise<void> {
    return this.changeStream(stream, (log, changes) => log.deleteCursor(name, changes))
  }

  private changeStream(name: string, change: (log: StreamLog, changes: Change[], now: number) => void): Promise<void> {
    return this.commits.change((changes, now) => {
      change(this.logs.touch(this.logs.streamOf(name)), changes, now)
      return nothingToUndo
    })
  }

  // Queues

  async declareQueue(options: QueueOptions, replace: boolean): Promise<void> {
    await this.commits.change((_changes, _now, declarations) => {
      const existing = this.logs.queues.get(options.name)
      if (existing && sameOptions(existing.options, options)) return nothingToUndo
      if (existing && !replace) throw alreadyExists('queue', existing.options, options)
      declarations.push((events) => events.queueDeclared(options))
      if (existing) {
        this.logs.touch(existing).setOptions(options)
        return nothingToUndo
      }
      const record = { id: this.logs.takeNumber(), options, next: 0, nextLetter: 0 }
      const queue = this.logs.touch(new QueueLog(this.reads, record, this.clock, false))
      this.logs.add(queue)
      return () => this.logs.remove(queue)
    })
    this.commits.queueChanged(options.name)
  }

  async deleteQueue(name: string): Promise<void> {
    await this.commits.change((changes, _now, declarations) => {
      const queue = this.logs.queueOf(name)
      declarations.push((events) => events.queueDeleted(name))
      changes.push({ key: queueKey(queue.id), value: undefined })
      const keep = this.removals.begin(queue.id, changes)
      this.logs.remove(queue)
      return () => {
        keep()
        this.logs.putBack(queue)
      }
    })
    this.commits.queueChanged(name)
    this.housekeeping.look()
  }

  queue(name: string): QueueState | undefined {
    return this.logs.queues.get(name)
  }

  get queueNames(): Iterable<string> {
    return this.logs.queues.keys()
  }

  async queues(names: Iterable<string> = this.queueNames): Promise<QueueStatus[]> {
    const now = this.clock.now()
    const { waiting } = this.commits
    return those(this.logs.queues, names).map((queue) => queue.info(now, waiting.inQueue(queue.options.name)))
  }

  async lease(name: string, count: number, bytes: number): Promise<Delivery[]> {
    const queue = this.logs.queues.get(name)
    return queue?.lease(count, bytes, this.clock.now(), () => ++this.lastDelivery) ?? []
  }

  async wireOf(name: string, delivery: DeliveryId): Promise<string | Uint8Array | undefined> {
    return this.logs.queues.get(name)?.wireOf(delivery as number)
  }

  settle(settlement: Settlement): void {
    this.commits.settle(settlement.delivery === undefined ? this.late(settlement) : settlement)
  }

  /** Leases a waiting message again, before another consumer can get it. */
  private late(settlement: Settlement): Settlement {
    const { queue, seq } = settlement
    const delivery = this.logs.queues.get(queue)?.leaseAgain(seq, () => ++this.lastDelivery)
    if (delivery === undefined) return settlement
    return new LateSettlement(settlement, delivery, () => this.giveBack(queue, [delivery]))
  }

  giveBack(name: string, deliveries: readonly DeliveryId[]): void {
    const queue = this.logs.queues.get(name)
    if (!queue || deliveries.length === 0) return
    const now = this.clock.now()
    // In reverse, because each goes to the front.
    for (let at = deliveries.length - 1; at >= 0; at--) queue.giveBack(deliveries[at] as number, now)
    this.logs.planEarlier(queue)
    this.commits.events.ready(name)
  }

  async purgeQueue(name: string): Promise<number> {
    let count = 0
    await this.commits.change(() => {
      const queue = this.logs.touch(this.logs.queueOf(name))
      const seqs = queue.purge()
      this.dedup.purged(queue, seqs)
      count = seqs.length
      return nothingToUndo
    })
    return count
  }

  async unpark(queue: string, key: string): Promise<void> {
    await this.commits.change((changes) => {
      this.logs.touch(this.logs.queueOf(queue)).unpark(key, changes)
      return nothingToUndo
    })
  }

  deadLetters(queue: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]> {
    return this.letters.page(queue, filter, from, limit)
  }

  deadLetterNumbers(queue: string, filter: DeadLetterFilter, range: LetterRange): Promise<LetterNumbers> {
    return this.letters.numbers(queue, filter, range)
  }

  redrive(queue: string, numbers: readonly number[], to: string): Promise<number> {
    return this.letters.redrive(queue, numbers, to)
  }

  purgeDeadLetters(queue: string, numbers: readonly number[]): Promise<number> {
    return this.letters.purge(queue, numbers)
  }

  async close(): Promise<void> {
    this.clock.clearInterval(this.ticker)
    this.housekeeping.close()
    await this.commits.finished()
    await this.store.close()
  }

  /** Processes changes caused by time: in queues, and the retention of streams. */
  tick(): void {
    this.passTime()
    this.housekeeping.look()
  }

  /** Processes what is due in queues now: delays and expiry. */
  passTime(): void {
    const now = this.clock.now()
    for (const queue of this.logs.dueQueues.due(now)) {
      const { name } = queue.options
      if (queue.nextTime() <= now) void this.lookAfter((now) => this.expire(name, now))
      this.logs.plan(queue)
    }
  }

  /** Whether no commit is in progress. */
  get idle(): boolean {
    return this.commits.idle
  }

  /** When something may become due in a queue that is not due yet. */
  nextTime(): number {
    return this.logs.dueQueues.nextAfter(this.clock.now())
  }

  private expire(name: string, now: number): void {
    const queue = this.logs.queues.get(name)
    // It may have been deleted since.
    if (queue) this.logs.touch(queue).expire(now)
  }

  /** Processes what is due in the next commit. */
  private lookAfter(look: (now: number) => void): Promise<void> {
    const stage = (_: Change[], now: number) => {
      look(now)
      return nothingToUndo
    }
    // The failure has been logged, and the next tick tries again.
    return this.commits.change(stage).catch(() => {})
  }
}

function those<Log>(logs: ReadonlyMap<string, Log>, names: Iterable<string>): Log[] {
  return [...names].map((name) => logs.get(name)).filter((log) => log !== undefined)
}
