import { Buffer } from 'node:buffer'
import { RecordParts } from './record.ts'

/** How many messages, when they were published, and the offset of the first of them in each stream that captured them. */
type Segment = readonly [count: number, time: number, offsets: Readonly<Record<string, number>>]

/** What a block says of its records. */
interface BlockHead {
  readonly s: readonly Segment[]
  /** Of each topic in it, the newest offset before it; -1 if there was none. */
  readonly p: Readonly<Record<string, number>>
}

/** A block as it is stored. */
export class RawBlock {
  /** Its place in the index. */
  readonly member: string
  readonly head: BlockHead
  readonly records: Buffer
  readonly bytes: number
  readonly count: number

  constructor(member: string, head: Buffer, records: Buffer) {
    this.member = member
    this.head = JSON.parse(head.toString()) as BlockHead
    if (!Array.isArray(this.head.s) || typeof this.head.p !== 'object') throw new RangeError('not the head of a block')
    this.records = records
    this.bytes = head.length + records.length
    this.count = this.head.s.reduce((sum, [count]) => sum + count, 0)
  }
}

/** A message of a block, valid until the next one: its offsets change then. */
export interface BlockMessage {
  readonly parts: RecordParts
  readonly offset: number
  readonly time: number
  /** How far back the previous message of the same topic lies; 0: there is none. */
  readonly back: number
  /** In each stream that captured it. */
  readonly offsets: Record<string, number>
}

/** A message that is kept when its block is rewritten. */
export interface KeptMessage {
  readonly offset: number
  readonly time: number
  readonly topic: string
  readonly record: Buffer
  readonly offsets: Readonly<Record<string, number>>
}

/** The messages of consecutive blocks of a stream. Throws an error if their records are damaged. */
export function* messagesOf(stream: string, blocks: readonly RawBlock[]): Iterable<BlockMessage> {
  const newest = new Map<string, number>()
  for (const { head, records } of blocks) {
    let at = 0
    for (const [count, time, bases] of head.s) {
      // One for all of them: an object for each message would be most of the work.
      const offsets: Record<string, number> = Object.create(null)
      const names = Object.keys(bases)
      for (let n = 0; n < count; n++) {
        for (const name of names) offsets[name] = (bases[name] as number) + n
        const parts = new RecordParts(records, at)
        const offset = offsets[stream] as number
        if (!(offset >= 0)) throw new RangeError('a block of another stream')
        const before = newest.get(parts.topic) ?? head.p[parts.topic] ?? -1
        newest.set(parts.topic, offset)
        yield { parts, offset, time, back: before < 0 ? 0 : offset - before, offsets }
        at = parts.end
      }
    }
    if (at !== records.length) throw new RangeError('the records of a block do not have its length')
  }
}

/** A block in the form in which it is stored, with its last offset. */
export interface StoredBlock {
  readonly last: number
  readonly member: string
  readonly head: string
  readonly records: Buffer
}

/** Puts messages that are kept into a block again. There is at least one. Topics keep no chain. */
export function encodeBlock(stream: string, messages: readonly KeptMessage[]): StoredBlock {
  return storedBlock(stream, messages, () => -1)
}

/** `before`: the newest offset of a topic before the block, or -1. */
export function storedBlock(
  stream: string,
  messages: readonly KeptMessage[],
  before: (topic: string) => number,
): StoredBlock {
  const topics = Object.fromEntries(messages.map(({ topic }) => [topic, before(topic)]))
  const head = JSON.stringify({ s: segmentsOf(messages), p: topics } satisfies BlockHead)
  const records = Buffer.concat(messages.map(({ record }) => record))
  const [first, last] = [messages[0] as KeptMessage, messages.at(-1) as KeptMessage]
  const bytes = Buffer.byteLength(head) + records.length
  const place = [first.offsets[stream], bytes, first.time, last.time, messages.length]
  return { last: last.offset, member: place.join(':'), head, records }
}

/** Runs of messages of one time whose offsets follow each other in all streams. */
function segmentsOf(messages: readonly KeptMessage[]): Segment[] {
  const segments: Segment[] = []
  for (const { time, offsets } of messages) {
    const last = segments.at(-1)
    if (last && continues(last, time, offsets)) segments[segments.length - 1] = [last[0] + 1, time, last[2]]
    else segments.push([1, time, offsets])
  }
  return segments
}

function continues([count, time, bases]: Segment, next: number, offsets: Segment[2]): boolean {
  const names = Object.keys(offsets)
  return (
    time === next &&
    names.length === Object.keys(bases).length &&
    names.every((name) => offsets[name] === (bases[name] ?? Number.NaN) + count)
  )
}
