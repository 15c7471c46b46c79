import { type Clock, wallTime } from '../../../../shared/clock.ts'
import { FanfareError } from '../../../../shared/errors.ts'
import type { DeadReason, QueueOptions, QueueStatus } from '../../../../shared/queues.ts'
import { bytesInBody, DEFAULT_PRIORITY, type Entry, encodeBlock, inBlocks } from '../../block.ts'
import type { Delivery, Ending, QueueState } from '../../broker.ts'
import { blockKey, failureKey, fromJson, parkedKey, queueKey, toJson, under } from '../store/keys.ts'
import type { Change, Reader } from '../store/store.ts'
import { DeadLetters, type StoredLetter } from './dead-letters.ts'
import { Leases } from './leases.ts'
import { QueueBlocks } from './queue-blocks.ts'
import { type Item, newItem, storedItem } from './queue-item.ts'
import { QueueSchedule } from './queue-schedule.ts'
import { type Failure, newStage, type Stage } from './queue-stage.ts'

/** What is stored of a queue beside its messages. */
export interface QueueRecord {
  readonly id: number
  readonly options: QueueOptions
  next: number
  nextLetter: number
}

/** Keys of parked groups that are shown. */
const SHOWN_PARKED = 100

/**
 * One queue: what is stored of it, who has what on lease, and what comes next. Like a stream's log it stages changes,
 * which take effect by `apply` or never, by `rollback`.
 */
export class QueueLog implements QueueState {
  readonly leases = new Leases()
  readonly letters: DeadLetters
  private readonly store: Reader
  private record: QueueRecord
  private staged: QueueRecord | undefined = undefined
  private readonly blocks: QueueBlocks
  private readonly schedule = new QueueSchedule()
  private stage: Stage = newStage()
  bytes = 0
  private readonly totals = { published: 0, acked: 0, redelivered: 0, dropped: 0 }
  private stored: boolean
  private readonly clock: Clock

  constructor(store: Reader, record: QueueRecord, clock: Clock, stored = true) {
    this.store = store
    this.record = record
    this.clock = clock
    this.stored = stored
    this.blocks = new QueueBlocks(store, record.id)
    this.letters = new DeadLetters(store, record.id)
  }

  /** Takes in what is stored from before. */
  load(now: number): void {
    for (const [block, at] of this.blocks.load()) {
      const item = storedItem(block, at)
      const failure = this.failureOf(item)
      let since = item.publishedAt
      if (failure) {
        const { attempts, dueAt, failedAt } = failure
        Object.assign(item, { attempts, dueAt, failed: true })
        since = failedAt ?? dueAt
      }
      // A clock that was set back since must not make it wait for longer than was asked.
      item.dueAt = Math.min(item.dueAt, now + Math.max(0, item.dueAt - since))
      this.enter(item, now)
    }
    for (const key of this.store.keys(under('p', this.id))) this.schedule.park(key[2] as string)
    this.letters.load()
  }

  get id(): number {
    return this.record.id
  }

  get options(): QueueOptions {
    return this.record.options
  }

  get depth(): number {
    return this.schedule.waiting
  }

  get inFlight(): number {
    return this.leases.count
  }

  get ready(): number {
    return this.schedule.readyCount
  }

  get startable(): number {
    return this.schedule.startableCount
  }

  get backlog(): number {
    return this.schedule.waiting - this.schedule.undueCount
  }

  get oldestReadyAt(): number | undefined {
    return this.schedule.oldestReadyAt
  }

  get parkedCount(): number {
    return this.schedule.parkedCount
  }

  get deadLetters(): number {
    return this.letters.count
  }

  /** The number that the next dead letter gets. */
  get nextLetter(): number {
    return this.record.nextLetter
  }

  get publishedTotal(): number {
    return this.totals.published
  }

  get ackedTotal(): number {
    return this.totals.acked
  }

  get dueTotal(): number {
    return this.schedule.dueTotal
  }

  hasReady(now: number): boolean {
    return this.schedule.hasReady(now)
  }

  nextTime(): number {
    return this.schedule.nextTime(wallTime(this.clock) - this.clock.now())
  }

  // Messages in

  /** Whether this many messages and bytes fit, given what is staged already. */
  hasRoom(bytes: number, messages = 1): boolean {
    const { maxMessages, maxBytes } = this.options
    const { stage } = this
    return this.schedule.size + stage.messages + messages <= maxMessages && this.bytes + stage.bytes + bytes <= maxBytes
  }

  /** Whether they could fit: now, where its overflow makes room, or where it blocks, some day. */
  couldTake(bytes: number, messages = 1): boolean {
    const { overflow, maxBytes } = this.options
    if (overflow === 'block') return bytes <= maxBytes
    if (overflow === 'reject') return this.hasRoom(bytes, messages)
    return this.hasRoom(bytes - this.schedule.waitingBytes, messages - this.schedule.waiting)
  }

  /** Whether they fit in the next commit only: what would have to make room is still coming in with this one. */
  takesNext(bytes: number, messages = 1): boolean {
    const { overflow } = this.options
    if (overflow === 'reject' || overflow === 'block' || this.couldTake(bytes, messages)) return false
    const { entries, entryBytes } = this.stage
    const { waiting, waitingBytes } = this.schedule
    return this.hasRoom(bytes - waitingBytes - entryBytes, messages - waiting - entries.length)
  }

  /** Takes messages from the head until those fit that it could take. */
  makeRoom(bytes: number, messages: number, now: number): void {
    while (!this.hasRoom(bytes, messages)) {
      this.stage.oldest ??= this.schedule.waitingItems()[Symbol.iterator]()
      const oldest = this.stage.oldest.next().value as Item
      this.leave(oldest)
      if (this.options.overflow === 'dead-letter') this.bury(oldest, 'overflow', undefined, now)
      else this.discard(oldest)
    }
  }

  /** Takes a message; gives its sequence number. */
  add(entry: Omit<Entry, 'offset' | 'back'>): number {
    const offset = this.change().next++
    const { time, topic, key, expiresAt, priority, dueAt, wire } = entry
    this.stage.entries.push({ offset, time, topic, key, expiresAt, priority, dueAt, back: 0, wire })
    this.stage.messages++
    const bytes = bytesInBody(entry.wire)
    this.stage.bytes += bytes
    this.stage.entryBytes += bytes
    return offset
  }

  // Leases

  /** Leases what is ready, up to a count and some bytes. */
  lease(count: number, bytes: number, now: number, nextId: () => number): Delivery[] {
    const deliveries: Delivery[] = []
    let taken = 0
    while (deliveries.length < count && taken < bytes) {
      const item = this.schedule.take(now, wallTime(this.clock))
      if (!item) break
      const id = nextId()
      this.leases.add(id, item)
      if (item.attempts > 0) this.totals.redelivered++
      const { seq, attempts } = item
      const lastError = this.lastErrorOf(item)
      deliveries.push({ id, seq, wire: this.wireOfItem(item), attempt: attempts + 1, lastError })
      taken += item.bytes
    }
    return deliveries
  }

  /** Leases a message that waits; undefined if it does not. */
  leaseAgain(seq: number, nextId: () => number): number | undefined {
    const item = this.schedule.takeOut(seq)
    if (!item) return undefined
    const id = nextId()
    this.leases.add(id, item)
    return id
  }

  /** Of a message on lease. */
  wireOf(id: number): string | Uint8Array | undefined {
    const item = this.leases.itemOf(id)
    return item && this.wireOfItem(item)
  }

  /** Ends a lease that is held. */
  end(id: number, ending: Ending, now: number): void {
    const item = this.leases.end(id)
    this.stage.applied.push(() => this.leases.remove(id))
    if (ending.kind === 'ack') {
      this.finishItem(item)
      this.stage.applied.push(() => this.totals.acked++)
    } else if (ending.kind === 'reject') {
      this.bury(item, 'rejected', ending.error, now, item.attempts + 1)
    } else if (ending.kind === 'suspect') {
      this.retry(item, item.attempts, ending.error, this.backoff(item.attempts), now)
    } else if (item.attempts + 1 >= this.options.maxAttempts) {
      this.bury(item, 'attempts', ending.error, now, item.attempts + 1)
    } else {
      this.retry(item, item.attempts + 1, ending.error, ending.delayMs ?? this.backoff(item.attempts), now)
    }
  }

  /** Gives a delivery back that nobody has tried: the hub's own doing. */
  giveBack(id: number, now: number): void {
    if (!this.leases.holds(id)) return
    this.schedule.putBack(this.leases.remove(id), now)
  }

  /** Removes what has expired; what does not fit into this commit is left for the next. */
  expire(now: number): void {
    for (const item of this.schedule.expired(wallTime(this.clock))) {
      this.leave(item)
      if (this.options.onExpiry === 'dead-letter') this.bury(item, 'expired', undefined, now)
      else this.discard(item)
      if (this.letters.isFull) return
    }
  }

  // Operators

  setOptions(options: QueueOptions): void {
    this.staged = { ...this.change(), options }
  }

  /** Deletes what waits; gives its sequence numbers. */
  purge(): number[] {
    const seqs: number[] = []
    for (const item of this.schedule.waitingItems()) {
      this.leave(item)
      this.discard(item)
      seqs.push(item.seq)
    }
    return seqs
  }

  unpark(key: string, changes: Change[]): void {
    if (!this.schedule.isParked(key)) throw new FanfareError('no_parked_group', JSON.stringify(key))
    changes.push({ key: parkedKey(this.id, key), value: undefined })
    this.stage.applied.push((now) => this.schedule.unpark(key, now))
  }

  info(now: number, waiting: { readonly count: number; readonly bytes: number }): QueueStatus {
    const { published, acked, redelivered, dropped } = this.totals
    const [oldest] = this.schedule.waitingItems()
    return {
      ...this.options,
      depth: this.depth,
      ready: this.ready,
      delayed: this.schedule.delayedCount,
      inFlight: this.inFlight,
      bytes: this.bytes,
      waitingPublishes: waiting.count,
      waitingPublishBytes: waiting.bytes,
      oldestAgeMs: oldest ? Math.max(0, now - oldest.publishedAt) : 0,
      readyAgeMs: Math.max(0, now - (this.oldestReadyAt ?? now)),
      publishedTotal: published,
      ackedTotal: acked,
      redeliveredTotal: redelivered,
      droppedTotal: dropped,
      deadLetters: this.letters.count,
      deadLettersDroppedTotal: this.letters.droppedTotal,
      parked: this.schedule.parked(SHOWN_PARKED),
      parkedMore: Math.max(0, this.schedule.parkedCount - SHOWN_PARKED),
    }
  }

  // Commits

  /** Adds to a commit what was staged. */
  finish(changes: Change[]): void {
    const { entries, done, retried } = this.stage
    for (const block of inBlocks(entries)) {
      const value = encodeBlock(block)
      const first = (block[0] as Entry).offset
      changes.push({ key: blockKey(this.id, first), value })
      this.stage.applied.push((now) => this.enterBlock(block, value, now))
    }
    if (done.length > 0) this.stage.applied.push(this.blocks.finish(done, changes))
    for (const item of done) {
      if (item.failed) changes.push({ key: failureKey(this.id, item.seq), value: undefined })
    }
    for (const [{ seq }, failure] of retried) {
      changes.push({ key: failureKey(this.id, seq), value: toJson(failure) })
    }
    this.stage.applied.push(this.letters.finish(changes, (this.staged ?? this.record).options.maxDeadLetters))
    for (const key of this.stage.parked) changes.push({ key: parkedKey(this.id, key), value: toJson(true) })
    if (this.staged || !this.stored) changes.push({ key: queueKey(this.id), value: toJson(this.staged ?? this.record) })
  }

  apply(now: number): void {
    if (this.staged) this.record = this.staged
    this.staged = undefined
    this.stored = true
    const { applied } = this.stage
    this.stage = newStage()
    for (const act of applied) act(now)
  }

  /** Leases that were to end are held again. */
  rollback(now: number): void {
    this.staged = undefined
    const { leaving } = this.stage
    this.stage = newStage()
    for (const item of leaving.reverse()) {
      this.schedule.putBack(item, now)
    }
    this.letters.rollback()
    this.leases.rollback()
  }

  private change(): QueueRecord {
    this.staged ??= { ...this.record }
    return this.staged
  }

  private enter(item: Item, now: number): void {
    this.bytes += item.bytes
    this.schedule.add(item, now)
  }

  private enterBlock(entries: readonly Entry[], value: Uint8Array, now: number): void {
    const block = (entries[0] as Entry).offset
    this.blocks.add(block, entries.length, value)
    for (const { offset, key, priority = DEFAULT_PRIORITY, time, expiresAt, dueAt = 0, wire } of entries) {
      this.enter(newItem(offset, key, priority, bytesInBody(wire), time, expiresAt, block, dueAt), now)
    }
    this.totals.published += entries.length
  }

  private finishItem(item: Item, park = false): void {
    this.stage.done.push(item)
    this.stage.messages--
    this.stage.bytes -= item.bytes
    this.stage.applied.push((now) => {
      this.bytes -= item.bytes
      this.schedule.remove(item, now, park)
    })
  }

  private leave(item: Item): void {
    this.schedule.hold(item)
    this.stage.leaving.push(item)
  }

  private discard(item: Item): void {
    this.finishItem(item)
    this.stage.applied.push(() => this.totals.dropped++)
  }

  private retry(item: Item, attempts: number, error: string | undefined, delayMs: number, now: number): void {
    const dueAt = now + delayMs
    this.stage.retried.push([item, { attempts, error, dueAt, failedAt: now }])
    this.stage.applied.push((now) => {
      item.attempts = attempts
      item.failed = true
      this.schedule.delay(item, dueAt)
      this.schedule.putBack(item, now)
    })
  }

  private wireOfItem({ block: first, seq }: Item): string | Uint8Array {
    const [block, at] = this.blocks.find(first, seq)
    const wire = block.wires(at, at + 1)
    return block.isBinary(at) ? wire : wire.toString()
  }

  private failureOf({ seq }: Item): Failure | undefined {
    const stored = this.store.get(failureKey(this.id, seq))
    return stored && (fromJson(stored) as Failure)
  }

  /** Read from the store: in memory, the errors of very many messages that wait for another attempt would have no bound. */
  private lastErrorOf(item: Item): string | undefined {
    return item.failed ? this.failureOf(item)?.error : undefined
  }

  /** Moves a message to the dead letters. */
  private bury(item: Item, reason: DeadReason, error: string | undefined, now: number, attempts = item.attempts): void {
    const park = this.options.onDeadLetter === 'park' && item.key !== undefined
    this.finishItem(item, park)
    const [block, at] = this.blocks.find(item.block, item.seq)
    const wire = block.wires(at, at + 1)
    const binary = block.isBinary(at)
    const stored: StoredLetter = {
      seq: item.seq,
      topic: block.topic(at),
      key: item.key,
      wire: wire.toString(binary ? 'base64' : 'utf8'),
      binary,
      reason,
      error: error ?? this.lastErrorOf(item),
      attempts,
      publishedAt: item.publishedAt,
      diedAt: now,
    }
    this.letters.bury(this.change().nextLetter++, stored)
    if (park) this.stage.parked.push(item.key as string)
  }

  /** Exponential, with half of it left to chance. */
  private backoff(attempts: number): number {
    const { backoffBaseMs, backoffCapMs } = this.options
    return Math.min(backoffCapMs, backoffBaseMs * 2 ** attempts) * (0.5 + this.clock.jitter() / 2)
  }
}
