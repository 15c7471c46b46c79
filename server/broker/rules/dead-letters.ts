import { encodeRecord } from '../../../shared/codec.ts'
import type { DeadLetter, DeadLetterFilter, QueueOptions } from '../../../shared/queues.ts'
import { matchesPattern, parsePattern } from '../../../shared/topic.ts'
import type { Death } from './fate.ts'
import { DEFAULT_PRIORITY } from './order.ts'
import { splitRecord } from './record.ts'

/** The fields of a dead letter besides its message. Topic and key are those of the message. */
export interface DeathNote extends Omit<DeadLetter, 'letter' | 'message' | 'origin'> {
  readonly topic: string
  readonly key: string | undefined
}

/** A message that is being dead-lettered. */
interface Dying {
  readonly topic: string
  readonly key: string | undefined
  readonly publishedAt: number
  /** The error of its last failed attempt, if there is one. */
  readonly lastError: string | undefined
}

/** The fields of a message's dead letter. */
export function deathNote(
  { topic, key, publishedAt, lastError }: Dying,
  { reason, error = lastError, attempts }: Omit<Death, 'kind'>,
  now: number,
): DeathNote {
  return { topic, key, reason, error, attempts, publishedAt, diedAt: now }
}

/** Whether the rest of a message's group is parked after it was dead-lettered. */
export function parksGroup({ onDeadLetter }: Pick<QueueOptions, 'onDeadLetter'>, key: string | undefined): boolean {
  return onDeadLetter === 'park' && key !== undefined
}

/** How many of the oldest dead letters are dropped, counting new ones. */
export function excessLetters(count: number, { maxDeadLetters }: Pick<QueueOptions, 'maxDeadLetters'>): number {
  return Math.max(0, count - maxDeadLetters)
}

/** The numbers that a filter selects, from one number up to another: exactly these, ascending, or all numbers lower than `to`. */
export function lettersMeant({ letters, through }: DeadLetterFilter, from: number, end: number): LettersMeant {
  const to = through === undefined ? end : Math.min(end, through + 1)
  const only = letters && [...new Set(letters)].filter((letter) => letter >= from && letter < to).sort((a, b) => a - b)
  return { only, to }
}

interface LettersMeant {
  readonly only: readonly number[] | undefined
  readonly to: number
}

/** The condition of a filter apart from numbers; undefined if there is none, so that all match. */
export function letterCondition({
  topic,
  key,
  reason,
  error,
}: DeadLetterFilter): ((note: DeathNote) => boolean) | undefined {
  if (topic === undefined && key === undefined && reason === undefined && error === undefined) return undefined
  const pattern = topic === undefined ? undefined : parsePattern(topic)
  return (note) =>
    (!pattern || matchesPattern(pattern, note.topic.split('.'))) &&
    (key === undefined || key === note.key) &&
    (reason === undefined || reason === note.reason) &&
    (error === undefined || (note.error?.includes(error) ?? false))
}

/** The message that a dead letter becomes when it is redriven: last in the queue, with default priority and without expiry. */
export function redriven({ topic, key }: Pick<DeathNote, 'topic' | 'key'>, wire: string | Uint8Array, now: number) {
  return { time: now, topic, key, expiresAt: undefined, priority: DEFAULT_PRIORITY, wire: withoutExpiry(wire) }
}

const EXPIRES_AT = /,"expiresAt":\d+/

function withoutExpiry(wire: string | Uint8Array): string | Uint8Array {
  if (typeof wire === 'string') return headWithoutExpiry(wire)
  const { header, payload } = splitRecord(wire)
  return encodeRecord(headWithoutExpiry(header), payload)
}

/** The same for the fields of a message that follow its places: see `MessageParts`. */
export function restWithoutExpiry(rest: string): string {
  const head = '{"":0'
  return headWithoutExpiry(`${head}${rest}}`).slice(head.length, -'}'.length)
}

/**
 * Otherwise the text of a message stays unchanged, because its numbers are the publisher's. The first match that looks like the
 * field is the field, if there is one: it comes before the data, and values of headers and keys are strings.
 */
function headWithoutExpiry(json: string): string {
  if (!EXPIRES_AT.test(json) || (JSON.parse(json) as { expiresAt?: number }).expiresAt === undefined) return json
  return json.replace(EXPIRES_AT, '')
}
