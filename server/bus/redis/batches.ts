import { Buffer } from 'node:buffer'
import type { LiveMessage } from '../bus.ts'

/**
 * Messages on their way to a node, in one piece: a letter that no JSON begins with, the node they come from with the number of its link and the
 * number of the batch, then the messages. Numbers are big-endian.
 *
 * A batch is composed as text in which each character is a byte, because V8 joins strings several times as fast as Node writes into buffers.
 */
export interface BatchHead {
  readonly from: string
  readonly link: number
  readonly number: number
}

const LETTER = 0x4d
const HEAD_BYTES = 18
/** Of a message: flags, and how long what follows is. */
const FIELDS_BYTES = 12
/** Flags of a message. */
const RECORD = 1
const ASCII = 2
const MORE = 4

const BYTE = 0xff

export function isBatch(bytes: Uint8Array): boolean {
  return bytes[0] === LETTER
}

export function encodeBatch({ from, link, number }: BatchHead, messages: string): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + from.length + messages.length)
  bytes[0] = LETTER
  bytes[1] = from.length
  bytes.writeDoubleBE(link, 2)
  bytes.writeDoubleBE(number, 10)
  bytes.write(from + messages, HEAD_BYTES, 'latin1')
  return bytes
}

/** A message for `encodeBatch`, which takes several one after the other; the same text does for every node. */
export function encodeMessage({ id, topic, key, headers, expiresAt, wire }: LiveMessage): string {
  const hasMore = key !== undefined || headers !== undefined || expiresAt !== undefined
  const more = hasMore ? bytesOf(JSON.stringify({ key, headers, expiresAt })) : ''
  const { text, record, bytes } = wire
  const isAscii = bytes === text?.length
  const content = isAscii ? text : bytesOf(text ?? (record as Uint8Array))
  const flags = (record ? RECORD : 0) | (isAscii ? ASCII : 0) | (hasMore ? MORE : 0)
  const fields = String.fromCharCode(flags, topic.length) + uint16(id.length) + uint32(more.length) + uint32(bytes)
  return fields + id + topic + more + content
}

/** A character for each byte. */
function bytesOf(content: string | Uint8Array): string {
  const { buffer, byteOffset, length } = typeof content === 'string' ? Buffer.from(content) : content
  return Buffer.from(buffer, byteOffset, length).toString('latin1')
}

function uint16(value: number): string {
  return String.fromCharCode(value >>> 8, value & BYTE)
}

function uint32(value: number): string {
  return uint16(value >>> 16) + uint16(value & 0xffff)
}

export function decodeBatch(bytes: Buffer): BatchHead & { readonly messages: LiveMessage[] } {
  const end = HEAD_BYTES + (bytes[1] as number)
  const messages: LiveMessage[] = []
  for (let at = end; at < bytes.length; ) {
    const flags = bytes[at] as number
    const idAt = at + FIELDS_BYTES
    const topicAt = idAt + bytes.readUInt16BE(at + 2)
    const moreAt = topicAt + (bytes[at + 1] as number)
    const wireAt = moreAt + bytes.readUInt32BE(at + 4)
    at = wireAt + bytes.readUInt32BE(at + 8)
    messages.push(decodeMessage(bytes, flags, { idAt, topicAt, moreAt, wireAt, end: at }))
  }
  return {
    from: bytes.toString('latin1', HEAD_BYTES, end),
    link: bytes.readDoubleBE(2),
    number: bytes.readDoubleBE(10),
    messages,
  }
}

interface Places {
  readonly idAt: number
  readonly topicAt: number
  readonly moreAt: number
  readonly wireAt: number
  readonly end: number
}

function decodeMessage(bytes: Buffer, flags: number, { idAt, topicAt, moreAt, wireAt, end }: Places): LiveMessage {
  const more = flags & MORE ? JSON.parse(bytes.toString('utf8', moreAt, wireAt)) : undefined
  // A copy: the rest of what arrived with it is not kept for it.
  const record = flags & RECORD ? new Uint8Array(bytes.subarray(wireAt, end)) : undefined
  const text = flags & ASCII ? bytes.toString('latin1', wireAt, end) : bytes.toString('utf8', wireAt, end)
  return {
    id: bytes.toString('utf8', idAt, topicAt),
    topic: bytes.toString('latin1', topicAt, moreAt),
    key: more?.key,
    headers: more?.headers,
    expiresAt: more?.expiresAt,
    wire: { text: record ? undefined : text, record, bytes: end - wireAt },
  }
}
