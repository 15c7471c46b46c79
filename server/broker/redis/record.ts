import { Buffer } from 'node:buffer'
import { LENGTHS_BYTES } from '../../../shared/codec.ts'
import type { MessageHeaders } from '../../../shared/frames.ts'
import type { MessageParts } from '../broker.ts'

/**
 * A message without its places, as calls, blocks and events have it: flags, the lengths of topic, id, key, rest and payload, when it expires; then these,
 * back to back. Numbers are big-endian. The scripts read it, too (`lua/prelude.ts`).
 */
const HEAD_BYTES = 22
const TOPIC_LENGTH_AT = 1
const ID_LENGTH_AT = 2
const KEY_LENGTH_AT = 4
const REST_LENGTH_AT = 6
const PAYLOAD_LENGTH_AT = 10
const EXPIRES_AT = 14

/** Flags. */
const PAYLOAD = 1
const KEY = 2
const EXPIRES = 4
const HEADERS = 8

/** What ends a message as JSON, and what follows it in a list. */
const END_BYTES = '},'.length

export function encodeRecord({ id, topic, key, headers, rest, payload, expiresAt }: MessageParts): Buffer {
  const idBytes = Buffer.byteLength(id)
  const keyBytes = key === undefined ? 0 : Buffer.byteLength(key)
  const restBytes = Buffer.byteLength(rest)
  const payloadBytes = payload?.length ?? 0
  const record = Buffer.allocUnsafe(HEAD_BYTES + idBytes + topic.length + keyBytes + restBytes + payloadBytes)
  record[0] =
    (payload ? PAYLOAD : 0) |
    (key === undefined ? 0 : KEY) |
    (expiresAt === undefined ? 0 : EXPIRES) |
    (headers ? HEADERS : 0)
  record[TOPIC_LENGTH_AT] = topic.length
  record.writeUInt16BE(idBytes, ID_LENGTH_AT)
  record.writeUInt16BE(keyBytes, KEY_LENGTH_AT)
  record.writeUInt32BE(restBytes, REST_LENGTH_AT)
  record.writeUInt32BE(payloadBytes, PAYLOAD_LENGTH_AT)
  record.writeDoubleBE(expiresAt ?? 0, EXPIRES_AT)
  let at = HEAD_BYTES
  at += record.write(id, at)
  at += record.write(topic, at, 'latin1')
  if (key !== undefined) at += record.write(key, at)
  at += record.write(rest, at)
  if (payload) record.set(payload, at)
  return record
}

/** Messages from a place in some bytes on; the second value is where the next one begins. */
export function decodeRecord(bytes: Buffer, from: number): [RecordParts, number] {
  const flags = bytes[from] as number
  const topicAt = from + HEAD_BYTES + bytes.readUInt16BE(from + ID_LENGTH_AT)
  const keyAt = topicAt + (bytes[from + TOPIC_LENGTH_AT] as number)
  const restAt = keyAt + bytes.readUInt16BE(from + KEY_LENGTH_AT)
  const payloadAt = restAt + bytes.readUInt32BE(from + REST_LENGTH_AT)
  const end = payloadAt + bytes.readUInt32BE(from + PAYLOAD_LENGTH_AT)
  const parts = new RecordParts(
    bytes.toString('utf8', from + HEAD_BYTES, topicAt),
    bytes.toString('latin1', topicAt, keyAt),
    flags & KEY ? bytes.toString('utf8', keyAt, restAt) : undefined,
    flags & EXPIRES ? bytes.readDoubleBE(from + EXPIRES_AT) : undefined,
    bytes.toString('utf8', restAt, payloadAt),
    flags & PAYLOAD ? bytes.subarray(payloadAt, end) : undefined,
    (flags & HEADERS) !== 0,
    payloadAt - restAt,
  )
  return [parts, end]
}

/** The parts of a stored message. Its headers are looked for only if a filter asks. */
export class RecordParts implements MessageParts {
  readonly id: string
  readonly topic: string
  readonly key: string | undefined
  readonly expiresAt: number | undefined
  readonly rest: string
  readonly payload: Uint8Array | undefined
  private readonly hasHeaders: boolean
  private readonly restBytes: number

  constructor(
    id: string,
    topic: string,
    key: string | undefined,
    expiresAt: number | undefined,
    rest: string,
    payload: Uint8Array | undefined,
    hasHeaders: boolean,
    restBytes: number,
  ) {
    this.id = id
    this.topic = topic
    this.key = key
    this.expiresAt = expiresAt
    this.rest = rest
    this.payload = payload
    this.hasHeaders = hasHeaders
    this.restBytes = restBytes
  }

  get headers(): MessageHeaders | undefined {
    if (!this.hasHeaders) return undefined
    return (JSON.parse(`{${this.rest.slice(1)}}`) as { headers?: MessageHeaders }).headers
  }

  get bytes(): number {
    return this.restBytes + (this.payload ? '}'.length + LENGTHS_BYTES + this.payload.length : END_BYTES)
  }
}
