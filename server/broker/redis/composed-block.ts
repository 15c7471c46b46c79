import { Buffer } from 'node:buffer'
import type { Block } from '../broker.ts'
import { compose, composeHead } from '../compose.ts'
import { valueName } from '../rules/last-value.ts'
import type { RawBlock } from './raw-block.ts'
import { messagesOf } from './raw-block.ts'

const COMMA = ','
const END = '},'
/** What composing adds to a record of usual length; if it is more, the buffer grows. */
const ADDED_BYTES = 128
/** Memory of a message besides its wire form, and of a block. */
const MESSAGE_BYTES = 32
const KEY_BYTES = 64
const BLOCK_BYTES = 1024

/**
 * Some consecutive stored blocks of a stream, put together: what a message is stored as does not say its offsets, so the wire forms are composed here, once
 * for all who read them.
 */
export class ComposedBlock implements Block {
  readonly count: number
  readonly bytes: number
  readonly topics: readonly string[]
  /** About what it takes in memory. */
  readonly size: number
  private readonly offsets: Float64Array
  private readonly times: Float64Array
  private readonly topicsAt: Uint32Array
  /** How far back the previous message of the same topic lies; 0: there is none. */
  private readonly backs: Float64Array
  /** Where each wire form begins in `body`, and the last one ends. */
  private readonly starts: Uint32Array
  private readonly expiries = new Map<number, number>()
  private readonly keys = new Map<number, string>()
  private readonly binary = new Set<number>()
  private readonly body: Buffer
  private hidden: Set<number> | undefined = undefined

  constructor(stream: string, blocks: readonly RawBlock[]) {
    this.bytes = blocks.reduce((sum, { bytes }) => sum + bytes, 0)
    this.count = blocks.reduce((sum, { count }) => sum + count, 0)
    this.offsets = new Float64Array(this.count)
    this.times = new Float64Array(this.count)
    this.topicsAt = new Uint32Array(this.count)
    this.backs = new Float64Array(this.count)
    this.starts = new Uint32Array(this.count + 1)
    const topics = new Map<string, number>()
    const wires = new Wires(this.bytes + ADDED_BYTES * this.count)
    let at = 0
    for (const { parts, offset, time, back, offsets } of messagesOf(stream, blocks)) {
      const { id, topic, key, expiresAt, payload } = parts
      this.offsets[at] = offset
      this.times[at] = time
      this.backs[at] = back
      this.topicsAt[at] = numberOf(topics, topic)
      if (expiresAt !== undefined) this.expiries.set(at, expiresAt)
      if (key !== undefined) this.keys.set(at, key)
      const placement = { publishedAt: time, offsets, scope: undefined }
      if (payload === undefined) wires.addText(composeHead(id, topic, placement), parts.restBytes)
      else {
        this.binary.add(at)
        wires.add(compose(parts, placement) as Uint8Array)
      }
      this.starts[++at] = wires.length
    }
    this.topics = [...topics.keys()]
    this.body = wires.bytes
    this.size = BLOCK_BYTES + this.body.length + MESSAGE_BYTES * this.count + KEY_BYTES * this.keys.size
  }

  get firstOffset(): number {
    return this.offset(0)
  }

  get lastOffset(): number {
    return this.offset(this.count - 1)
  }

  offset(at: number): number {
    return this.offsets[at] as number
  }

  time(at: number): number {
    return this.times[at] as number
  }

  topicAt(at: number): number {
    return this.topicsAt[at] as number
  }

  back(at: number): number {
    return this.backs[at] as number
  }

  /** What its messages are values of, in a stream that keeps the last ones. */
  get valueNames(): string[] {
    return Array.from(this.topicsAt, (topic, at) => valueName(this.topics[topic] as string, this.keys.get(at)))
  }

  expiresAt(at: number): number | undefined {
    return this.expiries.get(at)
  }

  isBinary(at: number): boolean {
    return this.binary.has(at)
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

/** Wire forms, back to back; a comma follows each text. */
class Wires {
  length = 0
  private buffer: Buffer

  constructor(size: number) {
    this.buffer = Buffer.allocUnsafe(size)
  }

  get bytes(): Buffer {
    return this.buffer.subarray(0, this.length)
  }

  /** `head` is ASCII; the rest is as it is stored. */
  addText(head: string, rest: Uint8Array): void {
    this.reserve(head.length + rest.length + END.length)
    this.length += this.buffer.write(head, this.length, 'latin1')
    this.buffer.set(rest, this.length)
    this.length += rest.length
    this.length += this.buffer.write(END, this.length, 'latin1')
  }

  add(wire: Uint8Array): void {
    this.reserve(wire.length)
    this.buffer.set(wire, this.length)
    this.length += wire.length
  }

  private reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(2 * (this.length + bytes))
    larger.set(this.bytes)
    this.buffer = larger
  }
}

function numberOf(topics: Map<string, number>, topic: string): number {
  const known = topics.get(topic)
  if (known !== undefined) return known
  topics.set(topic, topics.size)
  return topics.size - 1
}
