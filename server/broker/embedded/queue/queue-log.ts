import { type Clock, wallTime } from '../../../../shared/clock.ts'
import { quoted } from '../../../../shared/error-text.ts'
import { FanfareError } from '../../../../shared/errors.ts'
import type { QueueOptions, QueueStatus } from '../../../../shared/queues.ts'
import type { Delivery, Ending, QueueState } from '../../broker.ts'
import { deathNote, parksGroup } from '../../rules/dead-letters.ts'
import { type Death, fateOf, type Retry, whenExpired, whenOverflowing } from '../../rules/fate.ts'
import { type Amount, isWithin, makesRoom, type QueueRoom, roomFor } from '../../rules/limits.ts'
import { DEFAULT_PRIORITY, dueAfterRestart } from '../../rules/order.ts'
import { blockKey, parkedKey, queueKey, toJson, under } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'
import { bytesInBody, type Entry, encodeBlock, inBlocks } from '../stored-block.ts'
import { DeadLetters } from './dead-letters.ts'
import { Failures, failureOf } from './failures.ts'
import { LeasedItems } from './leased-items.ts'
import { QueueBlocks } from './queue-blocks.ts'
import { newItem, type QueueItem, storedItem } from './queue-item.ts'
import { QueueSchedule } from './queue-schedule.ts'
import { newStage, type Stage } from './queue-stage.ts'
import { type QueueTotals, statusOf } from './queue-status.ts'

/** The stored record of a queue, besides its messages. */
export interface QueueRecord {
  readonly id: number
  readonly options: QueueOptions
  next: number
  nextLetter: number
}

/**
 * One queue: its stored data, its leases, and its order of delivery. Like a stream's log it stages changes, which take effect with
 * `apply` or are discarded with `rollback`.
 */
export class QueueLog implements QueueState {
  readonly leases = new LeasedItems()
  readonly letters: DeadLetters
  private readonly store: StoreReader
  private record: QueueRecord
  private staged: QueueRecord | undefined = undefined
  private readonly blocks: QueueBlocks
  private readonly failures: Failures
  private readonly schedule = new QueueSchedule()
  private stage: Stage = newStage()
  bytes = 0
  private readonly totals: QueueTotals = { published: 0, acked: 0, redelivered: 0, dropped: 0 }
  private stored: boolean
  private readonly clock: Clock

  constructor(store: StoreReader, record: QueueRecord, clock: Clock, stored = true) {
    this.store = store
    this.record = record
    this.clock = clock
    this.stored = stored
    this.blocks = new QueueBlocks(store, record.id)
    this.failures = new Failures(store, record.id)
    this.letters = new DeadLetters(store, record.id)
  }

  /** Loads what is stored. */
  load(now: number): void {
    for (const [block, at] of this.blocks.load()) {
      const item = storedItem(block, at)
      const failure = this.failures.of(item)
      let since = item.publishedAt
      if (failure) {
        const { attempts, dueAt, failedAt } = failure
        Object.assign(item, { attempts, dueAt, failed: true })
        since = failedAt ?? dueAt
      }
      item.dueAt = dueAfterRestart(item.dueAt, since, now)
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

  /** The number of the next dead letter. */
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

  // Incoming messages

  /** Whether this many messages and bytes fit, given what is staged already. */
  hasRoom(bytes: number, messages = 1): boolean {
    const { schedule, stage } = this
    return isWithin(this.options, schedule.size + stage.messages + messages, this.bytes + stage.bytes + bytes)
  }

  /** How the queue gets space for them, given what is staged already. */
  roomFor(bytes: number, messages = 1): QueueRoom {
    const { waiting, waitingBytes } = this.schedule
    return roomFor(this.options, this.held, { messages: waiting, bytes: waitingBytes }, { messages, bytes })
  }

  /** Whether they fit only in the next commit, because messages that would have to make space arrive with this one. */
  takesNext(bytes: number, messages = 1): boolean {
    if (!makesRoom(this.options.overflow) || this.roomFor(bytes, messages) !== 'none') return false
    const { entries, entryBytes } = this.stage
    const { waiting, waitingBytes } = this.schedule
    const then = { messages: waiting + entries.length, bytes: waitingBytes + entryBytes }
    return roomFor(this.options, this.held, then, { messages, bytes }) !== 'none'
  }

  /** Everything that the queue holds, including staged messages. */
  private get held(): Amount {
    return { messages: this.schedule.size + this.stage.messages, bytes: this.bytes + this.stage.bytes }
  }

  /** Removes messages from the head until those fit whose space is free or can be made. */
  makeRoom(bytes: number, messages: number, now: number): void {
    while (!this.hasRoom(bytes, messages)) {
      this.stage.oldest ??= this.schedule.waitingItems()[Symbol.iterator]()
      const oldest = this.stage.oldest.next().value as QueueItem
      this.leave(oldest)
      this.giveUp(oldest, whenOverflowing(this.options, oldest.attempts), now)
    }
  }

  /** Adds a message; returns its sequence number. */
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

  /** Leases ready messages, up to a count and a number of bytes. */
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
      const lastError = this.failures.lastErrorOf(item)
      deliveries.push({ id, seq, wire: this.blocks.wireOf(item), attempt: attempts + 1, lastError })
      taken += item.bytes
    }
    return deliveries
  }

  /** Leases a waiting message; undefined if it does not wait. */
  leaseAgain(seq: number, nextId: () => number): number | undefined {
    const item = this.schedule.takeOut(seq)
    if (!item) return undefined
    const id = nextId()
    this.leases.add(id, item)
    return id
  }

  /** The wire form of a leased message. */
  wireOf(id: number): string | Uint8Array | undefined {
    const item = this.leases.itemOf(id)
    return item && this.blocks.wireOf(item)
  }

  /** Ends a held lease. */
  end(id: number, ending: Ending, now: number): void {
    const item = this.leases.end(id)
    this.stage.applied.push(() => this.leases.remove(id))
    const fate = fateOf(ending, item.attempts, this.options, this.clock)
    if (fate.kind === 'dead') this.bury(item, fate, now)
    else if (fate.kind === 'retry') this.retry(item, fate, now)
    else {
      this.finishItem(item)
      this.stage.applied.push(() => this.totals.acked++)
    }
  }

  /** Returns a delivery that no client has tried, by the hub's own decision. */
  giveBack(id: number, now: number): void {
    if (!this.leases.holds(id)) return
    this.schedule.putBack(this.leases.remove(id), now)
  }

  /** Removes expired messages; those that do not fit into this commit are left for the next. */
  expire(now: number): void {
    for (const item of this.schedule.expired(wallTime(this.clock))) {
      this.leave(item)
      this.giveUp(item, whenExpired(this.options, item.attempts), now)
      if (this.letters.isFull) return
    }
  }

  // Operators

  setOptions(options: QueueOptions): void {
    this.staged = { ...this.change(), options }
  }

  /** Deletes the waiting messages; returns their sequence numbers. */
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
    if (!this.schedule.isParked(key))
      throw new FanfareError(
        'no_parked_group',
        `No parked group has the key ${quoted(key)}. queues.show lists the parked groups.`,
      )
    changes.push({ key: parkedKey(this.id, key), value: undefined })
    this.stage.applied.push((now) => this.schedule.unpark(key, now))
  }

  info(now: number, waiting: { readonly count: number; readonly bytes: number }): QueueStatus {
    return statusOf(this, this.schedule, this.letters, this.totals, waiting, now)
  }

  // Commits

  /** Adds the staged changes to a commit. */
  finish(changes: Change[]): void {
    const { entries, done, retried } = this.stage
    for (const block of inBlocks(entries)) {
      const value = encodeBlock(block)
      const first = (block[0] as Entry).offset
      changes.push({ key: blockKey(this.id, first), value })
      this.stage.applied.push((now) => this.enterBlock(block, value, now))
    }
    if (done.length > 0) this.stage.applied.push(this.blocks.finish(done, changes))
    this.failures.finish(retried, done, changes)
    this.stage.applied.push(this.letters.finish(changes, (this.staged ?? this.record).options))
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

  private enter(item: QueueItem, now: number): void {
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

  private finishItem(item: QueueItem, park = false): void {
    this.stage.done.push(item)
    this.stage.messages--
    this.stage.bytes -= item.bytes
    this.stage.applied.push((now) => {
      this.bytes -= item.bytes
      this.schedule.remove(item, now, park)
    })
  }

  private leave(item: QueueItem): void {
    this.schedule.hold(item)
    this.stage.leaving.push(item)
  }

  private giveUp(item: QueueItem, death: Death | undefined, now: number): void {
    if (death) this.bury(item, death, now)
    else this.discard(item)
  }

  private discard(item: QueueItem): void {
    this.finishItem(item)
    this.stage.applied.push(() => this.totals.dropped++)
  }

  private retry(item: QueueItem, retry: Retry, now: number): void {
    const failure = failureOf(retry, now)
    this.stage.retried.push([item, failure])
    this.stage.applied.push((now) => {
      item.attempts = failure.attempts
      item.failed = true
      this.schedule.delay(item, failure.dueAt)
      this.schedule.putBack(item, now)
    })
  }

  /** Moves a message to the dead letters. */
  private bury(item: QueueItem, death: Death, now: number): void {
    const park = parksGroup(this.options, item.key)
    this.finishItem(item, park)
    const [block, at] = this.blocks.find(item.block, item.seq)
    const wire = block.wires(at, at + 1)
    const binary = block.isBinary(at)
    const { seq, key, publishedAt } = item
    const dying = { topic: block.topic(at), key, publishedAt, lastError: this.failures.lastErrorOf(item) }
    const note = deathNote(dying, death, now)
    this.letters.bury(this.change().nextLetter++, {
      seq,
      wire: wire.toString(binary ? 'base64' : 'utf8'),
      binary,
      ...note,
    })
    if (park) this.stage.parked.push(item.key as string)
  }
}
