import { Buffer } from 'node:buffer'
import type { LiveMessage } from '../bus.ts'

/**
 * Messages on their way to a node, in one piece: a letter that no JSON begins with, the node they come from with the number of its link and the
 * number of the batch, then the messages. Numbers are big-endian.
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

export function isBatch(bytes: Uint8Array): boolean {
  return bytes[0] === LETTER
}

export function encodeBatch({ from, link, number }: BatchHead, messages: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(HEAD_BYTES + from.length)
  head[0] = LETTER
  head[1] = from.length
  head.writeDoubleBE(link, 2)
  head.writeDoubleBE(number, 10)
  head.write(from, HEAD_BYTES, 'latin1')
  return Buffer.concat([head, ...messages])
}

/** A message for `encodeBatch`; the same bytes do for every node. */
export function encodeMessage({ id, topic, key, headers, expiresAt, wire }: LiveMessage): Buffer {
  const hasMore = key !== undefined || headers !== undefined || expiresAt !== undefined
  const more = hasMore ? JSON.stringify({ key, headers, expiresAt }) : ''
  const idBytes = Buffer.byteLength(id)
  const moreBytes = Buffer.byteLength(more)
  const { text, record } = wire
  const wireBytes = text === undefined ? (record as Uint8Array).length : Buffer.byteLength(text)
  const isAscii = wireBytes === text?.length
  const bytes = Buffer.allocUnsafe(FIELDS_BYTES + idBytes + topic.length + moreBytes + wireBytes)
  bytes[0] = (record ? RECORD : 0) | (isAscii ? ASCII : 0) | (hasMore ? MORE : 0)
  bytes[1] = topic.length
  bytes.writeUInt16BE(idBytes, 2)
  bytes.writeUInt32BE(moreBytes, 4)
  bytes.writeUInt32BE(wireBytes, 8)
  let at = FIELDS_BYTES
  at += bytes.write(id, at)
  at += bytes.write(topic, at, 'latin1')
  at += bytes.write(more, at)
  if (record) bytes.set(record, at)
  else bytes.write(text as string, at, isAscii ? 'latin1' : 'utf8')
  return bytes
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
    wire: { text: record ? undefined : text, record },
  }
}
