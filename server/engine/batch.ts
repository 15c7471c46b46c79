import { Buffer } from 'node:buffer'
import { joinText } from '../../shared/codec.ts'
import { Encoded } from '../topic/encoded.ts'

/** One WebSocket message of a batch. */
export interface Part {
  readonly payload: Uint8Array
  readonly binary: boolean
}

/**
 * What goes out in one write: some WebSocket messages, already framed (RFC 6455, section 5.2: server frames are not
 * masked, so the same bytes do for every connection). `framed` is for an engine that writes to the socket itself,
 * `parts` for one that frames by itself; they share their memory.
 */
export class Batch {
  readonly framed: Buffer
  readonly parts: readonly Part[]

  constructor(framed: Buffer, parts: readonly Part[]) {
    this.framed = framed
    this.parts = parts
  }

  followedBy(other: Batch): Batch {
    return new Batch(Buffer.concat([this.framed, other.framed]), [...this.parts, ...other.parts])
  }
}

const TEXT = 0x81
const BINARY = 0x82

/**
 * A WebSocket message takes no further frame beyond this. Small enough for the buffer of 16 kB in which uWebSockets.js
 * puts header and payload together; see `uws-engine.ts` for what it does with larger ones.
 */
export const PART_BYTES = 15_000

/** Joins frames to WebSocket messages: neighbours of one kind go into one, up to `PART_BYTES`. */
export class BatchBuilder {
  private readonly groups: Group[] = []
  private group: Group | undefined = undefined
  private only: number | undefined = undefined

  add(frame: Encoded): void {
    const binary = frame.record !== undefined
    const full = this.group !== undefined && this.group.bytes + this.group.frames.length + frame.bytes > PART_BYTES
    if (this.group?.binary !== binary || full) this.startMessage(binary)
    const group = this.group as Group
    group.frames.push(frame)
    group.bytes += frame.bytes
  }

  /** What follows is for this subscription alone, or with undefined for all that it matches: see the frame `only`. */
  scope(sub: number | undefined): void {
    if (sub === this.only) return
    this.only = sub
    this.group = undefined
  }

  build(): Batch {
    for (const group of this.groups) {
      // The brackets and commas of a batch.
      if (!group.binary && group.frames.length > 1) group.bytes += group.frames.length + 1
    }
    const total = this.groups.reduce((sum, group) => sum + headerBytes(group.bytes) + group.bytes, 0)
    const framed = Buffer.allocUnsafe(total)
    let at = 0
    const parts: Part[] = []
    for (const group of this.groups) {
      at = writeHeader(framed, at, group)
      const payload = framed.subarray(at, at + group.bytes)
      writePayload(payload, group)
      parts.push({ payload, binary: group.binary })
      at += group.bytes
    }
    return new Batch(framed, parts)
  }

  private startMessage(binary: boolean): void {
    this.group = { binary, frames: [], bytes: 0 }
    this.groups.push(this.group)
    if (this.only === undefined) return
    const scope = JSON.stringify({ type: 'only', sub: this.only })
    const frame = binary ? new Encoded(scope, new Uint8Array()) : new Encoded(scope)
    this.group.frames.push(frame)
    this.group.bytes += frame.bytes
  }
}

interface Group {
  readonly binary: boolean
  readonly frames: Encoded[]
  bytes: number
}

function headerBytes(length: number): number {
  if (length < 126) return 2
  return length < 65_536 ? 4 : 10
}

function writeHeader(target: Buffer, at: number, { binary, bytes }: Group): number {
  target[at] = binary ? BINARY : TEXT
  if (bytes < 126) {
    target[at + 1] = bytes
  } else if (bytes < 65_536) {
    target[at + 1] = 126
    target.writeUInt16BE(bytes, at + 2)
  } else {
    target[at + 1] = 127
    target.writeBigUInt64BE(BigInt(bytes), at + 2)
  }
  return at + headerBytes(bytes)
}

function writePayload(target: Buffer, { binary, frames }: Group): void {
  if (!binary) {
    target.write(joinText(frames.map((frame) => frame.text as string)))
    return
  }
  let at = 0
  for (const { record } of frames) {
    target.set(record as Uint8Array, at)
    at += (record as Uint8Array).length
  }
}
