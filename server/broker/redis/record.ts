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

/** The message at a place in some bytes. */
export class RecordParts implements MessageParts {
  readonly topic: string
  readonly expiresAt: number | undefined
  readonly payload: Uint8Array | undefined
  /** Where the next one begins. */
  readonly end: number
  // A message that is not used is not decoded further.
  private readonly source: Buffer
  private readonly from: number
  private readonly topicAt: number
  private readonly keyAt: number
  private readonly restAt: number
  private readonly payloadAt: number

  constructor(source: Buffer, from: number) {
    const flags = source[from] as number
    this.source = source
    this.from = from
    this.topicAt = from + HEAD_BYTES + source.readUInt16BE(from + ID_LENGTH_AT)
    this.keyAt = this.topicAt + (source[from + TOPIC_LENGTH_AT] as number)
    this.restAt = this.keyAt + source.readUInt16BE(from + KEY_LENGTH_AT)
    this.payloadAt = this.restAt + source.readUInt32BE(from + REST_LENGTH_AT)
    this.end = this.payloadAt + source.readUInt32BE(from + PAYLOAD_LENGTH_AT)
    this.topic = source.toString('latin1', this.topicAt, this.keyAt)
    this.expiresAt = flags & EXPIRES ? source.readDoubleBE(from + EXPIRES_AT) : undefined
    this.payload = flags & PAYLOAD ? source.subarray(this.payloadAt, this.end) : undefined
  }

  private get flags(): number {
    return this.source[this.from] as number
  }

  get id(): string {
    return this.source.toString('utf8', this.from + HEAD_BYTES, this.topicAt)
  }

  get key(): string | undefined {
    return this.flags & KEY ? this.source.toString('utf8', this.keyAt, this.restAt) : undefined
  }

  /** `rest`, as it is stored. */
  get restBytes(): Buffer {
    return this.source.subarray(this.restAt, this.payloadAt)
  }

  /** The whole message, as it is stored. */
  get record(): Buffer {
    return this.source.subarray(this.from, this.end)
  }

  get rest(): string {
    return this.source.toString('utf8', this.restAt, this.payloadAt)
  }

  get headers(): MessageHeaders | undefined {
    if (!(this.flags & HEADERS)) return undefined
    return (JSON.parse(`{${this.rest.slice(1)}}`) as { headers?: MessageHeaders }).headers
  }

  get bytes(): number {
    const restBytes = this.payloadAt - this.restAt
    return restBytes + (this.payload ? '}'.length + LENGTHS_BYTES + this.payload.length : END_BYTES)
  }
}
