import { Buffer } from 'node:buffer'
import {
  type ArchivedFailure,
  type ArchivedLetter,
  type Content,
  type QueuedContent,
  type QueueMessage,
  wellFormed,
} from '../../archive.ts'
import { compose } from '../../compose.ts'
import type { Identities } from '../../rules/identity.ts'
import { DEFAULT_PRIORITY } from '../../rules/order.ts'
import type { Note } from '../queue-letters.ts'
import {
  decodeBody,
  encodeAttributes,
  type QueuedMessage,
  storedAttributes,
  storedTimes,
  TIME_BYTES,
} from '../queue-record.ts'
import { encodeRecord } from '../record.ts'

// What the scripts store of a message in a queue, and of a dead letter: see `queue-record.ts` and `q.bury`.

/** Where a failure has its parts: attempts, when the message is due, whether there is an error, and the error. */
const FAILURE_DUE_AT = 4
const FAILURE_ERROR_AT = 13

/** `ahead`: how much later its times are than those of the clock. */
export function messageIn(seq: number, header: Buffer, body: Buffer, failure: Buffer, ahead: number): QueueMessage {
  const { enteredAt, priority, expiresAt, dueAt } = storedTimes(header)
  const { key } = storedAttributes(header)
  const message = contentIn(decodeBody(body), key, expiresAt)
  const due = dueAt === 0 ? 0 : dueAt - ahead
  return { ...message, seq, enteredAt, priority, dueAt: due, failure: failureIn(failure, ahead) }
}

function failureIn(failure: Buffer, ahead: number): ArchivedFailure | undefined {
  if (failure.length === 0) return undefined
  const hasError = failure[FAILURE_ERROR_AT - 1] === 1
  return {
    attempts: failure.readUInt32BE(0),
    error: hasError ? failure.toString('utf8', FAILURE_ERROR_AT) : undefined,
    dueAt: failure.readDoubleBE(FAILURE_DUE_AT) - ahead,
  }
}

export function letterIn(letter: number, json: Buffer, body: Buffer): ArchivedLetter {
  const { seq, reason, error, attempts, publishedAt, diedAt } = JSON.parse(String(json)) as Note
  const message = decodeBody(body)
  return {
    letter,
    seq: seq < 0 ? undefined : seq,
    note: { reason, error: error === undefined ? undefined : wellFormed(error), attempts, publishedAt, diedAt },
    message: contentIn(message, message.parts.key, undefined),
  }
}

function contentIn(message: QueuedMessage, key: string | undefined, expiresAt: number | undefined): QueuedContent {
  const { id, topic, rest, payload } = message.parts
  return { ...message.placement, content: { id, topic, key, expiresAt, rest, payload } }
}

/** Header, body and failure of a message, as `q.restore` takes them. */
export function partsOfMessage(message: QueueMessage, identities: Identities): [Buffer, Buffer, Buffer] {
  const { enteredAt, priority, dueAt, failure } = message
  return [headerOf(message, enteredAt, priority, dueAt), bodyOf(message, identities), failureBytes(failure)]
}

/** Note, header and body of a dead letter. */
export function partsOfLetter(
  { seq = -1, note, message }: ArchivedLetter,
  identities: Identities,
): [string, Buffer, Buffer] {
  const header = headerOf(message, note.publishedAt, DEFAULT_PRIORITY, 0)
  return [JSON.stringify({ seq, ...note }), header, bodyOf(message, identities)]
}

function headerOf(message: QueuedContent, enteredAt: number, priority: number, dueAt: number): Buffer {
  const { content, scope } = message
  const time = Buffer.alloc(TIME_BYTES)
  time.writeDoubleBE(enteredAt)
  const attributes = encodeAttributes({
    key: content.key,
    isScoped: scope !== undefined,
    priority,
    bytes: bytesOf(message),
    length: recordOf(content).length,
    expiresAt: content.expiresAt,
    dueAt: dueAt === 0 ? undefined : dueAt,
  })
  return Buffer.concat([time, attributes])
}

/** Of its wire form, with what follows it in a list. */
function bytesOf({ content, publishedAt, offsets, scope }: QueuedContent): number {
  const wire = compose(content, { publishedAt, offsets, scope })
  return typeof wire === 'string' ? Buffer.byteLength(wire) + 1 : wire.length
}

function bodyOf({ content, publishedAt, offsets, scope }: QueuedContent, identities: Identities): Buffer {
  const { id, topic } = content
  // If the hub chose the id, it is not among the remembered ones, and nothing looks for it.
  const identity = scope === undefined ? identities.of({ publisher: undefined, topic, id }) : scope + id
  const places = JSON.stringify(offsets).slice(1, -1)
  const about = [publishedAt, scope === undefined ? 0 : 1, places, identity, ''].join('\n')
  return Buffer.concat([Buffer.from(about), recordOf(content)])
}

export function recordOf(content: Content): Buffer {
  // Whether there are headers: they are looked for once, also if there are none.
  const headers = content.rest.includes('"headers":') ? {} : undefined
  return encodeRecord({ ...content, headers, bytes: 0 })
}

function failureBytes(failure: ArchivedFailure | undefined): Buffer {
  if (!failure) return Buffer.alloc(0)
  const head = Buffer.alloc(FAILURE_ERROR_AT)
  head.writeUInt32BE(failure.attempts)
  head.writeDoubleBE(failure.dueAt, FAILURE_DUE_AT)
  head[FAILURE_ERROR_AT - 1] = failure.error === undefined ? 0 : 1
  return Buffer.concat([head, Buffer.from(failure.error ?? '')])
}
