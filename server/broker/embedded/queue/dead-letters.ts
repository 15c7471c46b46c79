import { Buffer } from 'node:buffer'
import type { DeadLetter, DeadLetterFilter, QueueOptions } from '../../../../shared/queues.ts'
import { jsonMessage } from '../../json-message.ts'
import { type DeathNote, excessLetters, letterCondition, lettersMeant, redriven } from '../../rules/dead-letters.ts'
import { fromJson, letterKey, toJson, under } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'
import type { Entry } from '../stored-block.ts'

/** A dead letter in stored form: with the wire form as text, or as base64 of a record. */
export interface StoredLetter extends DeathNote {
  /**
   * Its sequence number in the queue. It comes first, so that a purge need not parse the payload to find it. Dead letters stored by
   * earlier versions have none.
   */
  readonly seq?: number
  readonly wire: string
  readonly binary: boolean
}

/** A stored dead letter that has not been parsed yet. */
export interface FoundLetter {
  readonly letter: number
  readonly value: Uint8Array
}

/** Maximum dead letters read per step: a step must stay short, however large they are. */
const STEP_LETTERS = 500
const STEP_BYTES = 1024 * 1024
/** Maximum bytes of new dead letters per commit: they are read from the queue and held until it ends. */
const BURIED_BYTES = 4 * 1024 * 1024

/** The dead letters of one queue, by number. What a commit adds and removes is staged, as in the queue's log. */
export class DeadLetters {
  count = 0
  /** Dead letters dropped because of the limit, since the hub started. */
  droppedTotal = 0
  private readonly store: StoreReader
  private readonly id: number
  private buried: FoundLetter[] = []
  private buriedBytes = 0
  private removed = new Set<number>()

  constructor(store: StoreReader, id: number) {
    this.store = store
    this.id = id
  }

  /** Loads what is stored. */
  load(): void {
    for (const _ of this.store.keys(under('d', this.id))) this.count++
  }

  /**
   * Some of the dead letters that match a filter, from one number up to another, and where the next step begins. A step is limited
   * in the dead letters and bytes that it reads.
   */
  step(
    filter: DeadLetterFilter,
    from: number,
    to: number,
    limit: number,
    bytes: number,
  ): { found: FoundLetter[]; next: number | undefined } {
    const found: FoundLetter[] = []
    const meets = condition(filter)
    let letters = STEP_LETTERS
    let left = Math.min(bytes, STEP_BYTES)
    for (const { letter, value } of this.between(filter, from, to)) {
      if (letters <= 0 || left <= 0 || found.length >= limit) return { found, next: letter }
      letters--
      left -= value.length
      if (!this.removed.has(letter) && meets(value)) found.push({ letter, value })
    }
    return { found, next: undefined }
  }

  /** The dead letters with these numbers, without those that this commit removes. */
  of(letters: readonly number[]): FoundLetter[] {
    const found = [...this.between({ letters }, 0, Number.MAX_SAFE_INTEGER)]
    return found.filter(({ letter }) => !this.removed.has(letter))
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

  /** Whether new dead letters should wait for the next commit. */
  get isFull(): boolean {
    return this.buriedBytes >= BURIED_BYTES
  }

  bury(letter: number, stored: StoredLetter): void {
    const value = toJson(stored)
    this.buried.push({ letter, value })
    this.buriedBytes += value.length
  }

  remove(letters: readonly FoundLetter[]): void {
    for (const { letter } of letters) this.removed.add(letter)
  }

  /**
   * Adds the staged changes to a commit; returns a function that applies them here once the commit has succeeded. Beyond the limit
   * the oldest are dropped, including new ones of this commit.
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

  /** Discards the staged changes. */
  rollback(): void {
    this.buried = []
    this.buriedBytes = 0
    this.removed = new Set()
  }
}

/** A dead letter in the form in which it is shown. */
export function shownLetter({ letter, value }: FoundLetter, origin: string): DeadLetter {
  const { wire, binary, topic: _, key: __, seq: ___, ...rest } = storedLetter(value)
  return { letter, message: jsonMessage(binary ? Buffer.from(wire, 'base64') : wire), ...rest, origin }
}

/** The entry that a dead letter becomes when it is redriven. */
export function entryOf({ value }: FoundLetter, now: number): Omit<Entry, 'offset' | 'back'> {
  const { wire, binary, topic, key } = storedLetter(value)
  return redriven({ topic, key }, binary ? Buffer.from(wire, 'base64') : wire, now)
}

/** The sequence number that a dead letter had as a message of the queue. */
export function seqOf({ value }: FoundLetter): number | undefined {
  const head = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, 30)).toString('latin1')
  const [, seq] = /^\{"seq":(\d+)/.exec(head) ?? []
  return seq === undefined ? undefined : Number(seq)
}

function storedLetter(value: Uint8Array): StoredLetter {
  return fromJson(value) as StoredLetter
}

/** Most of a dead letter is its payload, so it is parsed only if something has to be compared. */
function condition(filter: DeadLetterFilter): (value: Uint8Array) => boolean {
  const meets = letterCondition(filter)
  return meets ? (value) => meets(storedLetter(value)) : () => true
}
