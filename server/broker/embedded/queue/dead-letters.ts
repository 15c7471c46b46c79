import { Buffer } from 'node:buffer'
import type { DeadLetter, DeadLetterFilter, QueueOptions } from '../../../../shared/queues.ts'
import { jsonMessage } from '../../json-message.ts'
import { type DeathNote, excessLetters, letterCondition, lettersMeant, redriven } from '../../rules/dead-letters.ts'
import { fromJson, letterKey, toJson, under } from '../store/keys.ts'
import type { Change, Reader } from '../store/store.ts'
import type { Entry } from '../stored-block.ts'

/** A dead letter as it is stored: the wire form, as text or as base64 of a record. */
export interface StoredLetter extends DeathNote {
  /**
   * Its sequence number in the queue. It comes first, so that a purge need not parse the payload to know it. Those that
   * earlier versions stored have none.
   */
  readonly seq?: number
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

  private *between(filter: DeadLetterFilter, from: number, end: number): Iterable<FoundLetter> {
    const { only, to } = lettersMeant(filter, from, end)
    if (!only) {
      for (const [key, value] of this.store.range({ from: letterKey(this.id, from), to: letterKey(this.id, to) })) {
        yield { letter: key[2] as number, value }
      }
      return
    }
    for (const letter of only) {
      const value = this.store.get(letterKey(this.id, letter))
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
  finish(changes: Change[], options: QueueOptions): () => void {
    const { buried, removed } = this
    let excess = excessLetters(this.count - removed.size + buried.length, options)
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

/** The entry that a dead letter becomes when it is redriven. */
export function entryOf({ value }: FoundLetter, now: number): Omit<Entry, 'offset' | 'back'> {
  const { wire, binary, topic, key } = storedLetter(value)
  return redriven({ topic, key }, binary ? Buffer.from(wire, 'base64') : wire, now)
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

/** Most of a letter is its payload: it is parsed only if something has to be compared. */
function condition(filter: DeadLetterFilter): (value: Uint8Array) => boolean {
  const meets = letterCondition(filter)
  return meets ? (value) => meets(storedLetter(value)) : () => true
}
