import { nanoid } from 'nanoid'
import { FORBIDDEN_KEY } from '../../../shared/codec.ts'
import type { Position, StreamInfo, StreamOptions } from '../../../shared/streams.ts'
import { type Block, type Entry, encodeBlock, inBlocks } from '../block.ts'
import type { StreamState } from '../broker.ts'
import { blockKey, cursorKey, fromJson, streamKey, toJson, under } from './keys.ts'
import { LastValues } from './last-values.ts'
import { NewestOffsets } from './newest-offsets.ts'
import type { Change, Store } from './store.ts'
import { StreamBlocks } from './stream-blocks.ts'

/** What is stored of a stream beside its messages; replaced as a whole by every commit that changes it. */
export interface StreamRecord {
  readonly id: number
  readonly options: StreamOptions
  readonly epoch: string
  first: number
  next: number
  trimmedTo: number
  bytes: number
  /** Messages stored, and how many of them a newer value has replaced. */
  entries: number
  superseded: number
  lastTime: number
}

/** Where and when a message goes into the log. */
export interface Place {
  readonly offset: number
  readonly time: number
}

/** Blocks that one commit removes or compacts at most: a commit has to stay short. */
const BLOCKS_PER_COMMIT = 256
/** A last-value stream is compacted when so many messages, and more than half, have been replaced. */
const WORTH_COMPACTING = 1000

/**
 * The log of one stream. Changes are *staged* on a copy of its record and take effect when the commit has succeeded
 * (`apply`) or never (`rollback`); there is one commit at a time.
 */
export class StreamLog implements StreamState {
  private readonly store: Store
  private record: StreamRecord
  private stored: boolean
  private staged: StreamRecord | undefined = undefined
  private pending: Entry[] = []
  private readonly blocks: StreamBlocks
  private readonly topics: NewestOffsets
  /** Of a last-value stream. */
  private readonly values: LastValues
  private oldest: Block | undefined = undefined
  /** When retention or compaction has something to do that no message brings about. In a log that was just opened: at once. */
  retainAt = 0
  private compactFrom = 0

  constructor(store: Store, record: StreamRecord, stored = true) {
    this.store = store
    this.record = record
    this.stored = stored
    this.blocks = new StreamBlocks(store, record.id)
    this.topics = new NewestOffsets(store, record.id)
    this.values = new LastValues(store, record.id)
  }

  static create(store: Store, id: number, options: StreamOptions): StreamLog {
    const counts = { first: 0, next: 0, trimmedTo: 0, bytes: 0, entries: 0, superseded: 0, lastTime: 0 }
    return new StreamLog(store, { id, options, epoch: nanoid(8), ...counts }, false)
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

  /** The offset that `reserve` gives next. */
  get nextStaged(): number {
    return (this.staged ?? this.record).next
  }

  // Staging

  /** Takes the next offset, and the time of a message that comes now: a clock that jumped back does not count. */
  reserve(now: number): Place {
    const record = this.stage()
    record.lastTime = Math.max(record.lastTime, now)
    return { offset: record.next++, time: record.lastTime }
  }

  add(entry: Omit<Entry, 'back'>): void {
    const { topic, key, offset } = entry
    const before = this.topics.newestOf(topic)
    this.pending.push({ ...entry, back: before === undefined ? 0 : offset - before })
    this.topics.add(topic, offset)
    const record = this.stage()
    record.entries++
    if (!record.options.lastValue) return
    if (this.values.newestOf(topic, key) !== undefined) record.superseded++
    this.values.add(topic, key, offset)
  }

  /** Replaces the options; the log stays. */
  setOptions(options: StreamOptions): void {
    this.staged = { ...this.stage(), options }
  }

  trim(before: number): void {
    const record = this.stage()
    // Nothing is left to trim there: retention was first.
    if (before <= record.first) return
    record.first = Math.min(before, record.next)
    record.trimmedTo = record.first
  }

  /** Adds to a commit what was staged, and what retention lets go of. */
  finish(changes: Change[], now: number): void {
    const record = this.stage()
    this.writeBlocks(changes)
    this.retain(changes, now)
    if (record.options.lastValue) this.compact(changes)
    const changed = (Object.keys(record) as (keyof StreamRecord)[]).some((name) => record[name] !== this.record[name])
    if (changed || !this.stored) changes.push({ key: streamKey(this.id), value: toJson(record) })
  }

  apply(): void {
    if (this.staged) this.record = this.staged
    this.staged = undefined
    this.stored = true
    this.values.settle()
  }

  rollback(): void {
    this.staged = undefined
    this.pending = []
    this.values.settle()
    this.oldest = undefined
    this.compactFrom = 0
    this.retainAt = 0
    this.topics.rollback()
  }

  /** Every key of the stream, to be removed with it. */
  *keys(): Iterable<Change> {
    for (const table of ['b', 'n', 'v', 'c']) {
      for (const key of this.store.keys(under(table, this.id))) yield { key, value: undefined }
    }
    yield { key: streamKey(this.id), value: undefined }
  }

  // Reading

  /** The block in which an offset lies, or the next one; values that have been replaced are hidden. */
  read(offset: number): Block | undefined {
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
    // The last block looked at may be one that is not safe yet.
    return Math.min(low, this.next)
  }

  newest(pattern: readonly string[], count: number): number[] {
    const offsets: number[] = []
    for (const [topic, newest] of this.topics.matching(pattern)) {
      if (this.options.lastValue) this.newestValues(topic, newest, count, offsets)
      else this.walkBack(newest, count, offsets)
    }
    return offsets.sort((a, b) => a - b)
  }

  info(): StreamInfo {
    const { options, epoch, first, next, bytes } = this.record
    const cursors: Record<string, Position> = Object.create(null)
    for (const [key, value] of this.store.range(under('c', this.id))) {
      // One of that name, of an earlier hub, could not be sent.
      if (key[2] !== FORBIDDEN_KEY) cursors[key[2] as string] = fromJson(value) as Position
    }
    const oldest = first < next ? this.read(first) : undefined
    const newestAt = first < next ? this.record.lastTime : undefined
    return { ...options, epoch, first, next, bytes, oldestAt: oldest?.time(oldest.find(first)), newestAt, cursors }
  }

  cursor(name: string): Position | undefined {
    const value = this.store.get(cursorKey(this.id, name))
    return value && (fromJson(value) as Position)
  }

  private stage(): StreamRecord {
    this.staged ??= { ...this.record }
    return this.staged
  }

  private writeBlocks(changes: Change[]): void {
    for (const entries of inBlocks(this.pending)) this.putBlock(entries, changes)
    this.topics.finish(changes)
    this.values.finish(this.pending, changes)
    this.pending = []
  }

  private putBlock(entries: readonly Entry[], changes: Change[]): void {
    const value = encodeBlock(entries)
    this.stage().bytes += value.length
    changes.push({ key: blockKey(this.id, (entries[0] as Entry).offset), value })
  }

  private removeBlock(block: Block, changes: Change[]): void {
    this.stage().bytes -= block.bytes
    changes.push({ key: blockKey(this.id, block.firstOffset), value: undefined })
  }

  /** Lets go of what is too old, too much or too many; blocks that hold nothing else go, others are skipped in part. */
  private retain(changes: Change[], now: number): void {
    const { maxAgeMs, maxBytes, maxMessages } = this.stage().options
    const record = this.stage()
    if (maxMessages !== undefined) record.first = Math.max(record.first, record.next - maxMessages)
    // What this commit removes is still in the store.
    for (let removed = 0, from = 0; removed < BLOCKS_PER_COMMIT; removed++) {
      this.oldest ??= this.blocks.oldestFrom(from)
      const block = this.oldest
      if (!block) {
        this.retainAt = Number.POSITIVE_INFINITY
        return
      }
      const tooOld = block.time(block.count - 1) < now - maxAgeMs
      // Blocks go whole. The newest one stays, or a stream smaller than a block would lose all that it has at once.
      const tooMuch = record.bytes > maxBytes && block.lastOffset + 1 < record.next
      if (block.lastOffset < record.first || tooMuch || tooOld) {
        this.removeBlock(block, changes)
        this.topics.forget(block, changes)
        if (record.options.lastValue) record.superseded -= this.values.forget(block, changes)
        record.entries -= block.count
        record.first = Math.max(record.first, block.lastOffset + 1)
        from = block.lastOffset + 1
        this.oldest = undefined
      } else {
        let at = 0
        while (block.time(at) < now - maxAgeMs) at++
        if (at > 0) record.first = Math.max(record.first, block.offset(at))
        this.retainAt = block.time(at) + maxAgeMs + 1
        return
      }
    }
    // There is more than one commit may remove.
    this.retainAt = 0
  }

  /** Rewrites some blocks without the values that have been replaced. */
  private compact(changes: Change[]): void {
    const record = this.stage()
    const worthIt = record.superseded > WORTH_COMPACTING && record.superseded * 2 > record.entries
    if (!worthIt && this.compactFrom === 0) return
    // What retention has let go of in this commit is still in the store.
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
    if (this.compactFrom > 0) this.retainAt = 0
  }

  /** Compaction leaves no chain to walk; and the values that stand are all that counts. */
  private newestValues(topic: string, newest: number, count: number, offsets: number[]): void {
    // Not all have an entry in that table where the stream has not been one of last values from the beginning.
    const standing = new Set([newest, ...this.values.offsetsOf(topic)])
    const kept = [...standing].filter((offset) => offset >= this.first && offset < this.next)
    offsets.push(...kept.sort((a, b) => b - a).slice(0, count))
  }

  private walkBack(newest: number, count: number, offsets: number[]): void {
    let block: Block | undefined
    let offset = newest
    for (let left = count; left > 0 && offset >= this.first && offset < this.next; left--) {
      if (!block || offset < block.firstOffset) block = this.blocks.at(offset)
      const at = block?.find(offset) ?? 0
      // The stream was one of last values, and compaction has removed it.
      if (!block || at >= block.count || block.offset(at) !== offset) return
      offsets.push(offset)
      const back = block.back(at)
      if (back === 0) return
      offset -= back
    }
  }
}
