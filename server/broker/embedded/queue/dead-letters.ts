import { Buffer } from 'node:buffer'
import { encodeRecord } from '../../../../shared/codec.ts'
import type { DeadLetter, DeadLetterFilter } from '../../../../shared/queues.ts'
import { matchesPattern, parsePattern } from '../../../../shared/topic.ts'
import { DEFAULT_PRIORITY, type Entry } from '../../block.ts'
import { jsonMessage } from '../../json-message.ts'
import { fromJson, letterKey, toJson, under } from '../store/keys.ts'
import type { Change, Reader } from '../store/store.ts'

/** A dead letter as it is stored: the wire form, as text or as base64 of a record. */
export interface StoredLetter extends Omit<DeadLetter, 'letter' | 'message' | 'origin'> {
  /**
   * Its sequence number in the queue. It comes first, so that a purge need not parse the payload to know it. Those that
   * earlier versions stored have none.
   */
  readonly seq?: number
  readonly topic: string
  readonly key: string | undefined
  readonly wire: string
  readonly binary: boolean
}

/** A dead letter in the store, not parsed yet. */
export interface FoundLetter {
  readonly letter: number
  readonly value: Uint8Array
}

/** What one look into the store may read: what it takes must stay short, however large the letters are. */
const STEP_LETTERS = 500
const STEP_BYTES = 1024 * 1024
/** Maximum bytes of new dead letters per commit: they are read from the queue and held until it ends. */
const BURIED_BYTES = 4 * 1024 * 1024

/** The dead letters of one queue, by number. What a commit buries and removes is staged, as in the queue's log. */
export class DeadLetters {
  count = 0
  /** Those that exceeded the bound, since the hub started. */
  droppedTotal = 0
  private readonly store: Reader
  private readonly id: number
  private buried: FoundLetter[] = []
  private buriedBytes = 0
  private removed = new Set<number>()

  constructor(store: Reader, id: number) {
    this.store = store
    this.id = id
  }

  /** Takes in what is stored from before. */
  load(): void {
    for (const _ of this.store.keys(under('d', this.id))) this.count++
  }

  /**
   * Some of the letters that match a filter, from one number up to another, and where the next step begins. A step is bounded by
   * the letters and bytes that it reads.
   */
  step(filter: DeadLetterFilter, from: number, to: number): { found: FoundLetter[]; next: number | undefined } {
    const found: FoundLetter[] = []
    const meets = condition(filter)
    let looked = 0
    let bytes = 0
    for (const { letter, value } of this.between(filter, from, to)) {
      if (looked >= STEP_LETTERS || bytes >= STEP_BYTES) return { found, next: letter }
      looked++
      bytes += value.length
      if (!this.removed.has(letter) && meets(value)) found.push({ letter, value })
    }
    return { found, next: undefined }
  }

  /** Those that meet a filter, one at a time, without what this commit removes. */
  *matching(filter: DeadLetterFilter): Iterable<FoundLetter> {
    const meets = condition(filter)
    for (const found of this.between(filter, 0, Number.MAX_SAFE_INTEGER)) {
      if (!this.removed.has(found.letter) && meets(found.value)) yield found
    }
  }

  private *between({ letters: only, through }: DeadLetterFilter, from: number, end: number): Iterable<FoundLetter> {
    const to = through === undefined ? end : Math.min(end, through + 1)
    if (!only) {
      for (const [key, value] of this.store.range({ from: letterKey(this.id, from), to: letterKey(this.id, to) })) {
        yield { letter: key[2] as number, value }
      }
      return
    }
    for (const letter of [...new Set(only)].sort((a, b) => a - b)) {
      const value = letter >= from && letter < to ? this.store.get(letterKey(this.id, letter)) : undefined
      if (value) yield { letter, value }
    }
  }

  /** Whether what dies now should wait for the next commit. */
  get isFull(): boolean {
    return this.buriedBytes >= BURIED_BYTES
  }

  bury(letter: number, stored: StoredLetter): void {
    const value = toJson(stored)
    this.buried.push({ letter, value })
    this.buriedBytes += value.length
  }

  remove(letters: readonly number[]): void {
    for (const letter of letters) this.removed.add(letter)
  }

  /**
   * Adds to a commit what was staged; what it returns makes it so here, once the commit has succeeded. Beyond the bound the
   * oldest go, also of those that come with this commit.
   */
  finish(changes: Change[], most: number): () => void {
    const { buried, removed } = this
    let excess = Math.max(0, this.count - removed.size + buried.length - most)
    const dropped = excess
    if (excess > 0) {
      for (const key of this.store.keys({ ...under('d', this.id), limit: excess + removed.size })) {
        if (excess <= 0) break
        const letter = key[2] as number
        if (removed.has(letter)) continue
        removed.add(letter)
        excess--
      }
    }
    const kept = excess > 0 ? buried.slice(excess) : buried
    for (const letter of removed) changes.push({ key: letterKey(this.id, letter), value: undefined })
    for (const { letter, value } of kept) changes.push({ key: letterKey(this.id, letter), value })
    return () => {
      this.count += kept.length - removed.size
      this.droppedTotal += dropped
      this.rollback()
    }
  }

  /** Forgets what was staged. */
  rollback(): void {
    this.buried = []
    this.buriedBytes = 0
    this.removed = new Set()
  }
}

/** A dead letter as it is shown. */
export function shownLetter({ letter, value }: FoundLetter, origin: string): DeadLetter {
  const { wire, binary, topic: _, key: __, seq: ___, ...rest } = storedLetter(value)
  return { letter, message: jsonMessage(binary ? Buffer.from(wire, 'base64') : wire), ...rest, origin }
}

/** The entry that a dead letter becomes when it is redriven: after all others, of the default priority, without expiry. */
export function entryOf({ value }: FoundLetter, now: number): Omit<Entry, 'offset' | 'back'> {
  const { wire, binary, topic, key } = storedLetter(value)
  const message = withoutExpiry(binary ? Buffer.from(wire, 'base64') : wire)
  return { time: now, topic, key, expiresAt: undefined, priority: DEFAULT_PRIORITY, wire: message }
}

/** The sequence number that a letter had as a message of the queue. */
export function seqOf({ value }: FoundLetter): number | undefined {
  const head = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, 30)).toString('latin1')
  const [, seq] = /^\{"seq":(\d+)/.exec(head) ?? []
  return seq === undefined ? undefined : Number(seq)
}

function storedLetter(value: Uint8Array): StoredLetter {
  return fromJson(value) as StoredLetter
}

/** Whether a letter meets a filter; what it says of numbers has been met already. */
function condition({ topic, key, reason, error }: DeadLetterFilter): (value: Uint8Array) => boolean {
  const pattern = topic === undefined ? undefined : parsePattern(topic)
  // Most of a letter is its payload: it is parsed only if something has to be compared.
  if (!pattern && key === undefined && reason === undefined && error === undefined) return () => true
  return (value) => {
    const stored = storedLetter(value)
    return (
      (!pattern || matchesPattern(pattern, stored.topic.split('.'))) &&
      (key === undefined || key === stored.key) &&
      (reason === undefined || reason === stored.reason) &&
      (error === undefined || (stored.error?.includes(error) ?? false))
    )
  }
}

const EXPIRES_AT = /,"expiresAt":\d+/
/** Of a binary record: see `shared/codec.ts`. */
const HEADER_AT = 8

function withoutExpiry(wire: string | Buffer): string | Uint8Array {
  if (typeof wire === 'string') return headWithoutExpiry(wire)
  const payloadAt = HEADER_AT + wire.readUInt32BE(0)
  return encodeRecord(headWithoutExpiry(wire.toString('utf8', HEADER_AT, payloadAt)), wire.subarray(payloadAt))
}

/**
 * The text of a message stays as it is otherwise: its numbers are the publisher's. The first place that looks like the
 * field is the field, if there is one: it stands before the data, and values of headers and keys are strings.
 */
function headWithoutExpiry(json: string): string {
  if (!EXPIRES_AT.test(json) || jsonMessage(json).expiresAt === undefined) return json
  return json.replace(EXPIRES_AT, '')
}
