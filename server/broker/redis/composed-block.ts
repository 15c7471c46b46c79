import { Buffer } from 'node:buffer'
import type { Block } from '../broker.ts'
import { compose } from '../compose.ts'
import { decodeRecord } from './record.ts'

/** How many messages, when they were published, and the offset of the first of them in each stream that captured them. */
export type Segment = readonly [count: number, time: number, offsets: Readonly<Record<string, number>>]

/** What a block says of its records. */
export interface BlockHead {
  readonly s: readonly Segment[]
  /** Of each topic in it, the newest offset before it; -1 if there was none. */
  readonly p: Readonly<Record<string, number>>
}

/** A block as it is stored: its place in the index, and its bytes. */
export interface RawBlock {
  readonly member: string
  readonly bytes: Buffer
}

export interface BlockEntry {
  readonly offset: number
  readonly time: number
  readonly topic: string
  readonly key: string | undefined
  readonly expiresAt: number | undefined
  /** How far back the previous message of the same topic lies; 0: there is none. */
  readonly back: number
  readonly binary: boolean
  /** Of the record in the block. */
  readonly record: Buffer
  /** In each stream that captured it. */
  readonly offsets: Readonly<Record<string, number>>
}

const COMMA = ','

export function headOf(bytes: Buffer): { readonly head: BlockHead; readonly at: number } {
  const at = 4 + bytes.readUInt32BE(0)
  return { head: JSON.parse(bytes.toString('utf8', 4, at)) as BlockHead, at }
}

/**
 * Some consecutive stored blocks of a stream, put together: what a message is stored as does not say its offsets, so the wire forms are composed here, once
 * for all who read them.
 */
export class ComposedBlock implements Block {
  readonly bytes: number
  readonly topics: readonly string[]
  readonly entries: readonly BlockEntry[]
  private readonly topicsAt: readonly number[]
  private readonly starts: readonly number[]
  private readonly body: Buffer
  private hidden: Set<number> | undefined = undefined

  constructor(stream: string, blocks: readonly RawBlock[]) {
    this.bytes = blocks.reduce((sum, { bytes }) => sum + bytes.length, 0)
    const entries: BlockEntry[] = []
    const topics = new Map<string, number>()
    const wires: (Uint8Array | Buffer)[] = []
    const topicsAt: number[] = []
    const starts = [0]
    for (const block of blocks) {
      for (const { entry, wire } of entriesOf(stream, block.bytes)) {
        let topic = topics.get(entry.topic)
        if (topic === undefined) {
          topic = topics.size
          topics.set(entry.topic, topic)
        }
        topicsAt.push(topic)
        entries.push(entry)
        const bytes = typeof wire === 'string' ? Buffer.from(wire + COMMA) : wire
        wires.push(bytes)
        starts.push((starts.at(-1) as number) + bytes.length)
      }
    }
    this.entries = entries
    this.topics = [...topics.keys()]
    this.topicsAt = topicsAt
    this.starts = starts
    this.body = Buffer.concat(wires)
  }

  get count(): number {
    return this.entries.length
  }

  get firstOffset(): number {
    return this.offset(0)
  }

  get lastOffset(): number {
    return this.offset(this.count - 1)
  }

  /** What it takes in memory, about. */
  get size(): number {
    return this.body.length + this.bytes + 200 * this.count
  }

  private entry(at: number): BlockEntry {
    return this.entries[at] as BlockEntry
  }

  offset(at: number): number {
    return this.entry(at).offset
  }

  time(at: number): number {
    return this.entry(at).time
  }

  topicAt(at: number): number {
    return this.topicsAt[at] as number
  }

  expiresAt(at: number): number | undefined {
    return this.entry(at).expiresAt
  }

  isBinary(at: number): boolean {
    return this.entry(at).binary
  }

  hide(at: number): void {
    this.hidden ??= new Set()
    this.hidden.add(at)
  }

  isHidden(at: number): boolean {
    return this.hidden?.has(at) ?? false
  }

  wire(at: number): string | Uint8Array {
    const wire = this.wires(at, at + 1)
    return this.isBinary(at) ? wire : wire.toString()
  }

  wires(from: number, to: number): Buffer {
    const end = this.starts[to] as number
    return this.body.subarray(this.starts[from], this.isBinary(to - 1) ? end : end - COMMA.length)
  }

  wireBytes(from: number, to: number): number {
    return (this.starts[to] as number) - (this.starts[from] as number)
  }

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
}

function* entriesOf(stream: string, bytes: Buffer): Iterable<{ entry: BlockEntry; wire: string | Uint8Array }> {
  const { head, at: recordsAt } = headOf(bytes)
  const newest = new Map<string, number>()
  let at = recordsAt
  for (const [count, time, bases] of head.s) {
    for (let n = 0; n < count; n++) {
      const [parts, end] = decodeRecord(bytes, at)
      const { topic, key, expiresAt, payload } = parts
      const offsets: Record<string, number> = Object.create(null)
      for (const name of Object.keys(bases)) offsets[name] = (bases[name] as number) + n
      const offset = offsets[stream] as number
      const before = newest.get(topic) ?? head.p[topic] ?? -1
      newest.set(topic, offset)
      const entry: BlockEntry = {
        offset,
        time,
        topic,
        key,
        expiresAt,
        back: before < 0 ? 0 : offset - before,
        binary: payload !== undefined,
        record: bytes.subarray(at, end),
        offsets,
      }
      yield { entry, wire: compose(parts, { publishedAt: time, offsets, scope: undefined }) }
      at = end
    }
  }
}

/** Puts entries that are kept into a block again. There is at least one. Topics keep no chain. */
export function encodeBlock(stream: string, entries: readonly BlockEntry[]): StoredBlock {
  const segments = entries.map(({ time, offsets }): Segment => [1, time, offsets])
  const topics = Object.fromEntries(entries.map(({ topic }) => [topic, -1]))
  return storedBlock(
    stream,
    { s: segments, p: topics },
    entries.map(({ record }) => record),
  )
}

/** A block as it is stored; its first and last message are those of its first and last segment. */
export function storedBlock(stream: string, blockHead: BlockHead, records: readonly Buffer[]): StoredBlock {
  const head = Buffer.from(JSON.stringify(blockHead))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(head.length)
  const bytes = Buffer.concat([length, head, ...records])
  const [[, firstTime, bases], [count, lastTime, lastBases]] = [blockHead.s[0], blockHead.s.at(-1)] as [
    Segment,
    Segment,
  ]
  const last = (lastBases[stream] as number) + count - 1
  return { member: [bases[stream], bytes.length, firstTime, lastTime, records.length].join(':'), bytes, last }
}

interface StoredBlock {
  readonly member: string
  readonly bytes: Buffer
  readonly last: number
}
