import type { CursorInfo, Position, StreamInfo, StreamOptions } from '../../../../shared/streams.ts'
import { randomId } from '../../../id/random-id.ts'
import type { CursorRange, StreamState } from '../../broker.ts'
import { noCursor, tooManyCursors } from '../../rules/cursors.ts'
import { isWorthCompacting } from '../../rules/last-value.ts'
import { firstByCount, isBlockOver, isTooOld, tooOldAt } from '../../rules/retention.ts'
import { blockKey, streamKey, toJson } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'
import { type Entry, encodeBlock, inBlocks, type StoredBlock } from '../stored-block.ts'
import { LastMessages } from './last-messages.ts'
import { LastValues } from './last-values.ts'
import { NewestOffsets } from './newest-offsets.ts'
import { StreamBlocks } from './stream-blocks.ts'
import { type CursorLimits, SHOWN_CURSORS, StreamCursors, shownCursors } from './stream-cursors.ts'
import type { StreamRecord } from './stream-record.ts'

/** The oldest stored block: where it ends, and when its oldest counting message was published. */
interface OldestBlock {
  readonly lastOffset: number
  readonly time: number
}

/**
 * Maximum number of blocks that one commit removes, compacts or indexes beyond those that it adds: a commit has to stay short, but
 * must be able to remove more than it adds.
 */
const BLOCKS_PER_COMMIT = 32

/**
 * The log of one stream. Changes are *staged* on a copy of its record. They take effect once the commit has succeeded (`apply`) or
 * are discarded (`rollback`); there is one commit at a time.
 */
export class StreamLog implements StreamState {
  private record: StreamRecord
  private stored: boolean
  private staged: StreamRecord | undefined = undefined
  private pending: Entry[] = []
  private readonly blocks: StreamBlocks
  private readonly topics: NewestOffsets
  /** The current values, for a last-value stream. */
  private readonly values: LastValues
  private readonly cursors: StreamCursors
  private readonly last: LastMessages
  /** The oldest block, as far as known. */
  private oldest: OldestBlock | undefined = undefined
  private compactFrom = 0
  /** Whether retention has left work for the next commit. */
  private retainsMore = false

  /** `reads` must show the applied state, otherwise the limits of the log would not match what is read. */
  constructor(reads: StoreReader, record: StreamRecord, stored = true) {
    this.record = record
    this.stored = stored
    this.blocks = new StreamBlocks(reads, record.id)
    this.topics = new NewestOffsets(reads, record.id)
    this.values = new LastValues(reads, record.id)
    this.cursors = new StreamCursors(reads, record.id)
    this.last = new LastMessages(this, this.blocks, this.topics, this.values)
    // Data of earlier versions has no count.
    this.record.cursors ??= [...this.cursors.list()].length
  }

  static create(reads: StoreReader, id: number, options: StreamOptions): StreamLog {
    const counts = { first: 0, next: 0, trimmedTo: 0, bytes: 0, entries: 0, superseded: 0, lastTime: 0, cursors: 0 }
    return new StreamLog(reads, { id, options, epoch: randomId(8), ...counts }, false)
  }

  get id(): number {
    return this.record.id
  }
  get options(): StreamOptions {
    return this.record.options
  }
  get epoch(): string {
    return this.record.epoch
  }
  get first(): number {
    return this.record.first
  }
  get next(): number {
    return this.record.next
  }
  get trimmedTo(): number {
    return this.record.trimmedTo
  }
  get bytes(): number {
    return this.record.bytes
  }
  get cursorCount(): number {
    return this.record.cursors
  }
  get messages(): number {
    return this.countMessages(0)
  }

  /** The offset that `reserve` returns next. */
  get nextStaged(): number {
    return (this.staged ?? this.record).next
  }

  /** The time of the newest message, staged ones included: no later message may be older, whatever the clock says. */
  get newestTime(): number {
    return (this.staged ?? this.record).lastTime
  }

  /** When retention has something to do independent of publishes. In a log that was just opened: immediately. */
  get retainAt(): number {
    const { bytes, options } = this.record
    if (this.hasMore) return 0
    if (bytes === 0) return Number.POSITIVE_INFINITY
    return this.oldest ? tooOldAt(this.oldest.time, options) : 0
  }

  /** Whether the last commit has left work for the next one. */
  get hasMore(): boolean {
    return this.retainsMore || this.compactFrom > 0 || !this.isIndexed
  }

  /** Whether all values are known; without `lastValue` there are none. */
  get isIndexed(): boolean {
    return this.record.unindexed === undefined
  }

  // Staging

  /** Reserves the next offset, for a message whose time is not before `newestTime`. */
  reserve(time: number): number {
    const record = this.stage()
    record.lastTime = time
    return record.next++
  }

  add(entry: Omit<Entry, 'back'>): void {
    const { topic, key, offset } = entry
    const before = this.topics.newestOf(topic)
    this.pending.push({ ...entry, back: before === undefined ? 0 : offset - before })
    this.topics.add(topic, offset)
    const record = this.stage()
    record.entries++
    if (!record.options.lastValue) return
    const replaced = this.values.newestOf(topic, key)
    // What is not indexed yet is counted when it is.
    if (replaced !== undefined && replaced < (record.unindexed?.from ?? offset)) record.superseded++
    this.values.add(topic, key, offset)
  }

  /** Replaces the options; the log stays. */
  setOptions(options: StreamOptions): void {
    const record = this.stage()
    const { lastValue } = record.options
    this.staged = { ...record, options }
    if (lastValue === options.lastValue) return
    this.compactFrom = 0
    this.staged.superseded = 0
    // Messages published so far are not among the values, or have outdated entries.
    this.staged.unindexed = options.lastValue ? { from: 0, to: record.next } : undefined
  }

  /** Stores a position. Throws `cursor_limit` if there are too many cursors and none is idle. */
  setCursor(name: string, offset: number, now: number, { max, idleMs }: CursorLimits, changes: Change[]): void {
    const record = this.stage()
    if (!this.cursors.get(name)) {
      if (record.cursors >= max) record.cursors -= this.cursors.removeIdle(now, idleMs, changes)
      if (record.cursors >= max) throw tooManyCursors(record.options.name, max)
      record.cursors++
    }
    this.cursors.set(name, { epoch: this.epoch, offset, at: now }, changes)
  }

  /** Marks a cursor as in use. */
  markCursor(name: string, now: number, changes: Change[]): void {
    const cursor = this.cursors.get(name)
    if (cursor) this.cursors.set(name, { ...cursor, at: now }, changes)
  }

  /** Throws `no_cursor`. */
  deleteCursor(name: string, changes: Change[]): void {
    if (!this.cursors.get(name)) throw noCursor(this.options.name, name)
    this.stage().cursors--
    this.cursors.set(name, undefined, changes)
  }

  trim(before: number): void {
    const record = this.stage()
    // Nothing is left to trim, because retention was first.
    if (before <= record.first) return
    record.first = Math.min(before, record.next)
    record.trimmedTo = record.first
  }

  /** Adds the staged changes to a commit, and the removals by retention. */
  finish(changes: Change[], now: number): void {
    const record = this.stage()
    const written = this.writeBlocks(changes)
    this.retain(changes, now, BLOCKS_PER_COMMIT + 2 * written)
    if (record.unindexed) this.index(record.unindexed, changes)
    else if (record.options.lastValue) this.compact(changes)
    const changed = (Object.keys(record) as (keyof StreamRecord)[]).some((name) => record[name] !== this.record[name])
    if (changed || !this.stored) changes.push({ key: streamKey(this.id), value: toJson(record) })
  }

  apply(): void {
    if (this.staged) this.record = this.staged
    this.staged = undefined
    this.stored = true
    this.values.settle()
    this.cursors.settle()
  }

  rollback(): void {
    this.staged = undefined
    this.pending = []
    this.values.settle()
    this.cursors.settle()
    this.oldest = undefined
    this.compactFrom = 0
    this.topics.rollback()
  }

  // Reading

  /** The block that contains an offset, or the next one; replaced values are hidden. */
  read(offset: number): StoredBlock | undefined {
    const block = this.blocks.at(offset)
    if (block && this.options.lastValue) this.values.hideSuperseded(block)
    return block
  }

  offsetAtTime(time: number): number {
    let low = this.first
    let high = this.next
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const block = this.blocks.at(middle)
      const at = block?.find(middle) ?? 0
      if (!block || at >= block.count || block.time(at) >= time) high = middle
      else low = block.offset(at) + 1
    }
    return Math.min(low, this.next)
  }

  /** Offsets of the newest messages before an offset, `count` for each matching topic, ascending. The values have to be indexed. */
  newest(pattern: readonly string[], count: number, before = this.next): Promise<number[]> {
    return this.last.find(pattern, count, before)
  }

  info(): StreamInfo {
    const { options, epoch, first, next, bytes, cursors: cursorCount } = this.record
    const oldest = first < next ? this.blocks.at(first) : undefined
    const oldestAt = oldest?.time(Math.min(oldest.find(first), oldest.count - 1))
    const newestAt = first < next ? this.record.lastTime : undefined
    const messages = this.countMessages(this.staleCount())
    const cursors = shownCursors(this.listCursors({ limit: SHOWN_CURSORS }))
    return { ...options, epoch, first, next, messages, bytes, oldestAt, newestAt, cursorCount, cursors }
  }

  /** The number of messages. `stale`: stored values before the first counting message. */
  private countMessages(stale: number): number {
    const { first, next, options, entries, superseded } = this.record
    return options.lastValue ? Math.max(0, Math.min(next - first, entries - superseded - stale)) : next - first
  }

  /** Values in the oldest block that are stored but can no longer be read, although no newer one has replaced them. */
  private staleCount(): number {
    const { first, options } = this.record
    const oldest = options.lastValue && first > 0 ? this.blocks.at(first) : undefined
    return oldest && oldest.firstOffset < first ? this.values.countStanding(oldest, oldest.find(first)) : 0
  }

  cursor(name: string): Position | undefined {
    const cursor = this.cursors.get(name)
    return cursor && { epoch: cursor.epoch, offset: cursor.offset }
  }

  /** Whether reading the cursor has to be recorded with `markCursor`. */
  cursorNeedsMark(name: string, now: number): boolean {
    return this.cursors.needsMark(name, now)
  }

  listCursors(range: CursorRange): CursorInfo[] {
    return this.record.cursors === 0 ? [] : this.cursors.page(range)
  }

  private stage(): StreamRecord {
    this.staged ??= { ...this.record }
    return this.staged
  }

  /** Returns the number of blocks. */
  private writeBlocks(changes: Change[]): number {
    let written = 0
    for (const entries of inBlocks(this.pending)) {
      this.putBlock(entries, changes)
      written++
    }
    this.topics.finish(changes)
    this.values.finish(this.pending, changes)
    this.pending = []
    return written
  }

  private putBlock(entries: readonly Entry[], changes: Change[]): void {
    const value = encodeBlock(entries)
    this.stage().bytes += value.length
    changes.push({ key: blockKey(this.id, (entries[0] as Entry).offset), value })
  }

  private removeBlock(block: StoredBlock, changes: Change[]): void {
    this.stage().bytes -= block.bytes
    changes.push({ key: blockKey(this.id, block.firstOffset), value: undefined })
  }

  /** Applies retention by age, bytes and count: removes blocks without any remaining message, and skips parts of others. */
  private retain(changes: Change[], now: number, most: number): void {
    const record = this.stage()
    const { options } = record
    record.first = firstByCount(record, options)
    const stays = ({ lastOffset, time }: OldestBlock) =>
      !isTooOld(time, now, options) && !isBlockOver(lastOffset, record, options)
    this.retainsMore = false
    // Blocks that this commit removes are still in the store.
    for (let removed = 0, from = 0; removed < most; removed++) {
      if (this.oldest && stays(this.oldest)) return
      const block = this.blocks.oldestFrom(from)
      if (!block) return
      const { lastOffset } = block
      if (stays({ lastOffset, time: block.time(block.count - 1) })) return this.skipInto(block, now)
      this.removeOldest(block, changes)
      from = lastOffset + 1
    }
    this.retainsMore = true
  }

  private removeOldest(block: StoredBlock, changes: Change[]): void {
    const record = this.stage()
    this.removeBlock(block, changes)
    this.topics.forget(block, changes)
    if (record.options.lastValue) {
      const superseded = this.values.forget(block, changes)
      // Messages that are not indexed have not been counted.
      if (!record.unindexed || block.lastOffset < record.unindexed.from) record.superseded -= superseded
    }
    record.entries -= block.count
    record.first = Math.max(record.first, block.lastOffset + 1)
    this.oldest = undefined
  }

  /** The oldest block stays, but its messages that are too old no longer count. */
  private skipInto(block: StoredBlock, now: number): void {
    const record = this.stage()
    const start = block.find(record.first)
    let at = start
    while (isTooOld(block.time(at), now, record.options)) at++
    if (at > start) record.first = block.offset(at)
    this.oldest = { lastOffset: block.lastOffset, time: block.time(at) }
  }

  /** After `lastValue` was switched on for an existing log: finds the current values in some of its blocks. */
  private index({ from, to }: { from: number; to: number }, changes: Change[]): void {
    const record = this.stage()
    const { blocks, scanned, end } = this.blocks.between(from, to, BLOCKS_PER_COMMIT)
    for (const block of blocks) {
      if (block.lastOffset >= record.first) record.superseded += this.values.index(block, record.first, changes)
    }
    record.unindexed = scanned < BLOCKS_PER_COMMIT ? undefined : { from: end, to }
  }

  /** Rewrites some blocks without the replaced values. */
  private compact(changes: Change[]): void {
    const record = this.stage()
    if (!isWorthCompacting(record.entries, record.superseded) && this.compactFrom === 0) return
    // Blocks that retention removed in this commit are still in the store.
    const from = Math.max(this.compactFrom, record.first)
    const { blocks, scanned, end } = this.blocks.between(from, this.next, BLOCKS_PER_COMMIT)
    const kept: Entry[] = []
    for (const block of blocks) {
      this.values.hideSuperseded(block)
      this.removeBlock(block, changes)
      for (let at = 0; at < block.count; at++) if (!block.isHidden(at)) kept.push(block.entry(at))
    }
    const dropped = blocks.reduce((sum, block) => sum + block.count, 0) - kept.length
    record.entries -= dropped
    record.superseded -= dropped
    for (const entries of inBlocks(kept)) this.putBlock(entries, changes)
    this.oldest = undefined
    this.compactFrom = scanned < BLOCKS_PER_COMMIT ? 0 : end
  }
}
