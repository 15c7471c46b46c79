import { Buffer } from 'node:buffer'
import type { Offsets } from '../../../shared/streams.ts'
import type { Draft, MessageParts, Placement } from '../broker.ts'
import { compose, composedBytes } from '../compose.ts'
import { DEFAULT_PRIORITY } from '../rules/order.ts'
import type { ClusterTime } from './cluster-time.ts'
import { RecordParts } from './record.ts'

/**
 * A message in a queue is in two parts. Its attributes are what the scripts go by: flags, priority, bytes, length of the record, when it
 * expires and is due, and its key. Its body is where else it is (a line each: when it was published, whether its id has a scope, its
 * offsets, its identity), and the record. In a batch, see `queue-batch.ts`, many have what is the same of them once.
 */
export const ATTRIBUTE_BYTES = 26
const PRIORITY_AT = 1
const BYTES_AT = 2
const LENGTH_AT = 6
const EXPIRES_AT = 10
const DUE_AT = 18
const KEYED = 1
const SCOPED = 2
/** Of where else a message is. */
const ABOUT_LINES = 4
const NEWLINE = 10
/** Before the attributes, a message that is stored has the time at which it came. */
export const TIME_BYTES = 8

export interface Attributes {
  readonly key: string | undefined
  readonly isScoped: boolean
  readonly priority: number
  readonly bytes: number
  /** Of the record. */
  readonly length: number
  readonly expiresAt: number | undefined
  readonly dueAt: number | undefined
}

export function encodeAttributes({ key, isScoped, priority, bytes, length, expiresAt, dueAt }: Attributes): Buffer {
  const keyBytes = key === undefined ? 0 : Buffer.byteLength(key)
  const attributes = Buffer.allocUnsafe(ATTRIBUTE_BYTES + keyBytes)
  attributes[0] = (key === undefined ? 0 : KEYED) | (isScoped ? SCOPED : 0)
  attributes[PRIORITY_AT] = priority
  attributes.writeUInt32BE(bytes, BYTES_AT)
  attributes.writeUInt32BE(length, LENGTH_AT)
  attributes.writeDoubleBE(expiresAt ?? 0, EXPIRES_AT)
  attributes.writeDoubleBE(dueAt ?? 0, DUE_AT)
  if (key !== undefined) attributes.write(key, ATTRIBUTE_BYTES)
  return attributes
}

/** `bytes`: what it takes in the queue. `time`: that of the cluster, by which queues wait. */
export function attributesOf(draft: Draft, bytes: number, length: number, time: ClusterTime): Buffer {
  const { key, priority = DEFAULT_PRIORITY } = draft
  const expiresAt = draft.expiresAt === undefined ? undefined : time.ofPeer(draft.expiresAt)
  const dueAt = draft.dueAt === undefined ? undefined : time.ofHub(draft.dueAt)
  return encodeAttributes({ key, isScoped: isScoped(draft), priority, bytes, length, expiresAt, dueAt })
}

/** Whether nothing but its place decides when a message may go. */
export function isPlain({ key, priority = DEFAULT_PRIORITY, expiresAt, dueAt }: Draft): boolean {
  return key === undefined && priority === DEFAULT_PRIORITY && expiresAt === undefined && dueAt === undefined
}

function isScoped({ ownId, publisher }: Draft): boolean {
  return ownId && publisher !== undefined
}

/** What a draft takes in a queue if it is published now, with these offsets: the digits of the places that it will get are not known. */
export function bytesInQueue(draft: Draft, identity: string | undefined, offsets: Offsets, now: number): number {
  const scope = identity !== undefined && isScoped(draft) ? scopeIn(identity, draft.id) : undefined
  return composedBytes(draft, { publishedAt: now, offsets, scope })
}

/** A message as it is stored in a queue. */
export interface QueuedMessage {
  readonly parts: RecordParts
  readonly about: Buffer
  readonly placement: Placement
  readonly wire: string | Uint8Array
}

/** Throws an error if it is damaged. */
export function decodeBody(body: Buffer): QueuedMessage {
  let recordAt = 0
  for (let line = 0; line < ABOUT_LINES; line++) recordAt = body.indexOf(NEWLINE, recordAt) + 1
  const lines = body.toString('utf8', 0, recordAt).split('\n')
  const [publishedAt, scoped, offsets, identity] = lines as [string, string, string, string]
  const parts = new RecordParts(body, recordAt)
  if (lines.length !== ABOUT_LINES + 1 || parts.end !== body.length) throw new RangeError('a damaged message')
  const placement: Placement = {
    publishedAt: Number(publishedAt),
    offsets: JSON.parse(`{${offsets}}`) as Offsets,
    scope: scoped === '1' ? scopeIn(identity, parts.id) : undefined,
  }
  return { parts, about: body.subarray(0, recordAt), placement, wire: compose(parts, placement) }
}

/** Nothing if it is gone, or damaged. */
export function readBody(body: Buffer | null | undefined): QueuedMessage | undefined {
  try {
    return body ? decodeBody(body) : undefined
  } catch {
    return undefined
  }
}

/** An identity is a scope and an id. */
export function scopeIn(identity: string, id: MessageParts['id']): string {
  return identity.slice(0, identity.length - id.length)
}

/** Of a stored message: bytes in the queue, key, and whether its id has a scope. `at`: where its attributes begin. */
export function storedAttributes(stored: Buffer, at = TIME_BYTES): Pick<Attributes, 'bytes' | 'key' | 'isScoped'> {
  const flags = stored[at] as number
  return {
    bytes: stored.readUInt32BE(at + BYTES_AT),
    key: flags & KEYED ? stored.toString('utf8', at + ATTRIBUTE_BYTES) : undefined,
    isScoped: (flags & SCOPED) !== 0,
  }
}

/** Of a stored message: when it came, and what decides when it may go. */
export function storedTimes(header: Buffer): Pick<Attributes, 'priority' | 'expiresAt'> & {
  readonly enteredAt: number
  readonly dueAt: number
} {
  const attributes = header.subarray(TIME_BYTES)
  return {
    enteredAt: header.readDoubleBE(0),
    priority: attributes[PRIORITY_AT] as number,
    expiresAt: attributes.readDoubleBE(EXPIRES_AT) || undefined,
    dueAt: attributes.readDoubleBE(DUE_AT),
  }
}
