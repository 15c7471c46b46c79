import { Buffer } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { FanfareError } from '../../../shared/errors.ts'
import type { Block } from '../broker.ts'
import { DEFAULT_PRIORITY } from '../rules/order.ts'

/** What a block stores of a message besides its wire form. */
export interface Entry {
  readonly offset: number
  /** When it was published, in milliseconds; never earlier than the entry before. */
  readonly time: number
  readonly topic: string
  readonly key: string | undefined
  readonly expiresAt: number | undefined
  /** For queues: priority 0 to 9, higher first, and when it is due, in milliseconds since 1970. */
  readonly priority?: number | undefined
  readonly dueAt?: number | undefined
  /** Distance back to the previous message of the same topic; 0 if there is none. */
  readonly back: number
  /** The frame as text, or as a binary record. */
  readonly wire: string | Uint8Array
}

/** The columns of a block, as JSON. A column with default values only is left out. */
interface Columns {
  /** Offset and time of the first entry; the lists contain the differences from one entry to the next. */
  readonly first: number
  readonly time: number
  readonly count: number
  readonly lengths: number[]
  readonly topics: string[]
  readonly topicAt?: number[]
  readonly offsets?: number[]
  readonly times?: number[]
  readonly back?: number[]
  readonly keys?: (string | null)[]
  readonly expires?: (number | null)[]
  readonly priorities?: number[]
  readonly due?: number[]
  /** 1 if the wire form is a binary record. */
  readonly binary?: number[]
}

/** A block with this many bytes of wire forms accepts no further entry. */
const BLOCK_BYTES = 64 * 1024

const PREFIX_BYTES = 8
const COMMA = 0x2c

/**
 * Consecutive messages of a stream in stored form: a checksum, the columns, and a body with the wire forms back to back. Texts are
 * followed by a comma, records by nothing, so that any sequence of one kind is the content of a WebSocket message as it is: replay
 * only copies bytes.
 */
export class StoredBlock implements Block {
  readonly count: number
  readonly bytes: number
  private readonly columns: Columns
  private readonly body: Buffer
  private readonly offsets: number[]
  private readonly starts: number[]
  private times: number[] | undefined = undefined
  private hidden: Set<number> | undefined = undefined

  /** Throws `data_damaged` if the bytes are not what was written. */
  constructor(bytes: Uint8Array) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (buffer.length < PREFIX_BYTES || crc32(buffer.subarray(4)) !== buffer.readUInt32LE(0)) {
      throw new FanfareError(
        'data_damaged',
        'The data is damaged: the checksum of a block of messages is wrong. Restore a backup.',
      )
    }
    const bodyAt = PREFIX_BYTES + buffer.readUInt32LE(4)
    this.columns = JSON.parse(buffer.toString('utf8', PREFIX_BYTES, bodyAt)) as Columns
    this.body = buffer.subarray(bodyAt)
    this.bytes = buffer.length
    this.count = this.columns.count
    this.offsets = accumulate(this.columns.first, this.columns.offsets, this.count, 1)
    this.starts = accumulate(0, this.columns.lengths, this.count + 1, 0)
  }

  get firstOffset(): number {
    return this.columns.first
  }

  get lastOffset(): number {
    return this.offset(this.count - 1)
  }

  get topics(): readonly string[] {
    return this.columns.topics
  }

  offset(at: number): number {
    return this.offsets[at] as number
  }

  time(at: number): number {
    this.times ??= accumulate(this.columns.time, this.columns.times, this.count, 0)
    return this.times[at] as number
  }

  /** Index of the entry's topic in `topics`. */
  topicAt(at: number): number {
    return this.columns.topicAt?.[at] ?? 0
  }

  topic(at: number): string {
    return this.columns.topics[this.topicAt(at)] as string
  }

  key(at: number): string | undefined {
    return this.columns.keys?.[at] ?? undefined
  }

  expiresAt(at: number): number | undefined {
    return this.columns.expires?.[at] ?? undefined
  }

  back(at: number): number {
    return this.columns.back?.[at] ?? 1
  }

  priority(at: number): number {
    return this.columns.priorities?.[at] ?? DEFAULT_PRIORITY
  }

  dueAt(at: number): number {
    return this.columns.due?.[at] ?? 0
  }

  isBinary(at: number): boolean {
    return this.columns.binary?.[at] === 1
  }

  /** Marks an entry that is stored but no longer counts. */
  hide(at: number): void {
    this.hidden ??= new Set()
    this.hidden.add(at)
  }

  isHidden(at: number): boolean {
    return this.hidden?.has(at) ?? false
  }

  /** The wire forms from one entry up to another, all of one kind; texts are joined by commas. */
  wires(from: number, to: number): Buffer {
    const end = this.starts[to] as number
    return this.body.subarray(this.starts[from], this.isBinary(to - 1) ? end : end - 1)
  }

  /** Size of `wires(from, to)` in bytes. */
  wireBytes(from: number, to: number): number {
    return (this.starts[to] as number) - (this.starts[from] as number)
  }

  /** The index of the first entry at or after an offset; `count` if there is none. */
  find(offset: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.offset(middle) < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  wire(at: number): string | Uint8Array {
    const wire = this.wires(at, at + 1)
    return this.isBinary(at) ? wire : wire.toString()
  }

  entry(at: number): Entry {
    return {
      offset: this.offset(at),
      time: this.time(at),
      topic: this.topic(at),
      key: this.key(at),
      expiresAt: this.expiresAt(at),
      back: this.back(at),
      wire: this.wire(at),
    }
  }
}

/** Encodes one or more entries in the order of their offsets. */
export function encodeBlock(entries: readonly Entry[]): Buffer {
  const lengths = entries.map(({ wire }) => bytesInBody(wire))
  const header = Buffer.from(JSON.stringify(columnsOf(entries, lengths)))
  const bodyBytes = lengths.reduce((sum, length) => sum + length, 0)
  const block = Buffer.allocUnsafe(PREFIX_BYTES + header.length + bodyBytes)
  block.writeUInt32LE(header.length, 4)
  block.set(header, PREFIX_BYTES)
  let at = PREFIX_BYTES + header.length
  for (const { wire } of entries) {
    if (typeof wire === 'string') {
      at += block.write(wire, at)
      block[at++] = COMMA
    } else {
      block.set(wire, at)
      at += wire.length
    }
  }
  block.writeUInt32LE(crc32(block.subarray(4)), 0)
  return block
}

/** Splits entries into blocks for storage. */
export function* inBlocks(entries: readonly Entry[]): Iterable<Entry[]> {
  let block: Entry[] = []
  let bytes = 0
  for (const entry of entries) {
    block.push(entry)
    bytes += entry.wire.length
    if (bytes < BLOCK_BYTES) continue
    yield block
    block = []
    bytes = 0
  }
  if (block.length > 0) yield block
}

/** A single pass over the entries for all columns, because this is the hot path of every stored publish. */
function columnsOf(entries: readonly Entry[], lengths: number[]): Columns {
  const first = entries[0] as Entry
  const topics = new Map<string, number>()
  const columns = {
    topicAt: new Column(0),
    offsets: new Column(1),
    times: new Column(0),
    back: new Column(1),
    keys: new Column<string | null>(null),
    expires: new Column<number | null>(null),
    priorities: new Column(DEFAULT_PRIORITY),
    due: new Column(0),
    binary: new Column(0),
  }
  let before: Entry | undefined
  for (const entry of entries) {
    let topic = topics.get(entry.topic)
    if (topic === undefined) {
      topic = topics.size
      topics.set(entry.topic, topic)
    }
    columns.topicAt.add(topic)
    if (before) {
      columns.offsets.add(entry.offset - before.offset)
      columns.times.add(entry.time - before.time)
    }
    columns.back.add(entry.back)
    columns.keys.add(entry.key ?? null)
    columns.expires.add(entry.expiresAt ?? null)
    columns.priorities.add(entry.priority ?? DEFAULT_PRIORITY)
    columns.due.add(entry.dueAt ?? 0)
    columns.binary.add(typeof entry.wire === 'string' ? 0 : 1)
    before = entry
  }
  const said = Object.entries(columns).flatMap(([name, { values }]) => (values ? [[name, values] as const] : []))
  const { offset, time } = first
  const count = entries.length
  return { first: offset, time, count, lengths, topics: [...topics.keys()], ...Object.fromEntries(said) }
}

/** Size of a wire form in a block. */
export function bytesInBody(wire: string | Uint8Array): number {
  return typeof wire === 'string' ? Buffer.byteLength(wire) + 1 : wire.length
}

/** A list that is stored only once a value differs from the default. */
class Column<Value = number> {
  values: Value[] | undefined = undefined
  private readonly usual: Value
  private count = 0

  constructor(usual: Value) {
    this.usual = usual
  }

  add(value: Value): void {
    if (value !== this.usual) this.values ??= new Array<Value>(this.count).fill(this.usual)
    this.values?.push(value)
    this.count++
  }
}

function accumulate(start: number, list: readonly number[] | undefined, count: number, step: number): number[] {
  const sums = new Array<number>(count)
  let sum = start
  for (let at = 0; at < count; at++) {
    sums[at] = sum
    sum += list?.[at] ?? step
  }
  return sums
}
