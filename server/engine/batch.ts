import { Buffer } from 'node:buffer'
import { constants, deflateRawSync } from 'node:zlib'
import { Encoded } from '../topic/encoded.ts'

/** One WebSocket message of a batch. */
export interface Part {
  readonly payload: Uint8Array
  readonly binary: boolean
}

/**
 * The content of one write: WebSocket messages, already framed (RFC 6455, section 5.2: server frames are not masked, so the same
 * bytes work for every connection). `framed` is for an engine that writes to the socket itself, `parts` for one that does its own
 * framing; they share their memory.
 */
export class Batch {
  readonly parts: readonly Part[]
  private readonly made: readonly Batch[]
  private joined: Buffer | undefined
  private deflated: Buffer | undefined = undefined

  /** `made`: the batches that it was joined from, if it is not framed yet. */
  constructor(framed: Buffer | undefined, parts: readonly Part[], made: readonly Batch[] = []) {
    this.joined = framed
    this.parts = parts
    this.made = made
  }

  get framed(): Buffer {
    this.joined ??= Buffer.concat(this.made.map(({ framed }) => framed))
    return this.joined
  }

  /** `framed`, compressed once for all connections that need it (RFC 7692, no context takeover). */
  get compressed(): Buffer {
    this.deflated ??= Buffer.concat(
      this.made.length > 0 ? this.made.map(({ compressed }) => compressed) : this.parts.map(compress),
    )
    return this.deflated
  }

  followedBy(other: Batch): Batch {
    return new Batch(undefined, [...this.parts, ...other.parts], [this, other])
  }
}

const TEXT = 0x81
const BINARY = 0x82
/** The RSV1 bit marks a compressed message. */
const COMPRESSED = 0x40
/** Smaller messages gain nothing. */
export const COMPRESSED_FROM_BYTES = 1024
/** The end of a flush, which the receiver adds again (RFC 7692, section 7.2.1). */
const FLUSH_BYTES = 4

/** One framed message; uncompressed if compression does not make it smaller. */
function compress({ payload, binary }: Part): Buffer {
  const large = payload.length >= COMPRESSED_FROM_BYTES
  const deflated = large ? deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }) : payload
  const smaller = deflated.length - FLUSH_BYTES < payload.length && large
  const sent = smaller ? deflated.subarray(0, -FLUSH_BYTES) : payload
  const framed = Buffer.allocUnsafe(headerBytes(sent.length) + sent.length)
  const at = writeHeader(framed, 0, { binary, bytes: sent.length })
  if (smaller) framed[0] = (framed[0] as number) | COMPRESSED
  framed.set(sent, at)
  return framed
}

/**
 * A WebSocket message of this size accepts no further frame. Small enough for the 16 kB buffer in which uWebSockets.js puts header
 * and payload together; see `uws-engine.ts` for what it does with larger ones.
 */
export const PART_BYTES = 15_000

/** Joins frames into WebSocket messages: adjacent frames of one kind share one, up to `PART_BYTES`. */
export class BatchBuilder {
  private readonly groups: Group[] = []
  private group: Group | undefined = undefined
  private only: number | undefined = undefined

  add(frame: Encoded): void {
    const binary = frame.record !== undefined
    const full = this.group !== undefined && this.group.bytes + this.group.pieces.length + frame.bytes > PART_BYTES
    if (this.group?.binary !== binary || full) this.startMessage(binary)
    this.push(frame)
  }

  /** Adds stored frames that are already joined, as one WebSocket message. */
  addJoined(bytes: Uint8Array, binary: boolean): void {
    this.startMessage(binary)
    const group = this.group as Group
    group.pieces.push(bytes)
    group.bytes += bytes.length
    group.isList = true
    group.isText = false
    this.group = undefined
  }

  /** What follows is for this subscription only, or with undefined for all that match: see the frame `only`. */
  scope(sub: number | undefined): void {
    if (sub === this.only) return
    this.only = sub
    this.group = undefined
  }

  build(): Batch {
    for (const group of this.groups) {
      // The brackets and commas of a batch.
      if (!group.binary && group.isList) group.bytes += group.pieces.length + 1
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
    this.group = { binary, pieces: [], bytes: 0, isList: false, isText: !binary, isAscii: true }
    this.groups.push(this.group)
    if (this.only === undefined) return
    const scope = JSON.stringify({ type: 'only', sub: this.only })
    this.push(binary ? new Encoded(scope, new Uint8Array()) : new Encoded(scope))
  }

  private push(frame: Encoded): void {
    const group = this.group as Group
    if (frame.receipts > 1 || group.pieces.length > 0) group.isList = true
    group.pieces.push(frame.text ?? (frame.record as Uint8Array))
    group.bytes += frame.bytes
    group.isAscii &&= frame.isAscii
  }
}

interface Group {
  readonly binary: boolean
  readonly pieces: (string | Uint8Array)[]
  bytes: number
  /** Whether it consists of several frames; text then has brackets. */
  isList: boolean
  /** Whether all pieces are text, and with `isAscii` whether all text is ASCII. */
  isText: boolean
  isAscii: boolean
}

function headerBytes(length: number): number {
  if (length < 126) return 2
  return length < 65_536 ? 4 : 10
}

function writeHeader(target: Buffer, at: number, { binary, bytes }: Pick<Group, 'binary' | 'bytes'>): number {
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

function writePayload(target: Buffer, { binary, pieces, isList, isText, isAscii }: Group): void {
  const hasBrackets = isList && !binary
  let at = 0
  if (hasBrackets) target[at++] = BRACKET
  if (isText) {
    // As latin1 they are copied without looking at each character.
    target.write(pieces.join(','), at, isAscii ? 'latin1' : 'utf8')
  } else {
    for (const [n, piece] of pieces.entries()) {
      if (n > 0 && !binary) target[at++] = COMMA
      at += writePiece(target, at, piece)
    }
  }
  if (hasBrackets) target[target.length - 1] = END_BRACKET
}

const BRACKET = 0x5b
const COMMA = 0x2c
const END_BRACKET = 0x5d

function writePiece(target: Buffer, at: number, piece: string | Uint8Array): number {
  if (typeof piece === 'string') return target.write(piece, at)
  target.set(piece, at)
  return piece.length
}
