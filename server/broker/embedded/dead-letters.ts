import { Buffer } from 'node:buffer'
import type { DeadLetter, DeadLetterFilter } from '../../../shared/queues.ts'
import { matchesPattern, parsePattern } from '../../../shared/topic.ts'
import { DEFAULT_PRIORITY, type Entry } from '../block.ts'
import { jsonMessage } from '../json-message.ts'
import { fromJson, letterKey, toJson, under } from './keys.ts'
import type { Change, Reader } from './store.ts'

/** A dead letter as it is stored: the wire form, as text or as base64 of a record. */
export interface StoredLetter extends Omit<DeadLetter, 'letter' | 'message' | 'origin'> {
  readonly topic: string
  readonly key: string | undefined
  readonly wire: string
  readonly binary: boolean
}

const READ_AT_ONCE = 1000

/** The dead letters of one queue, by number. What a commit buries and removes is staged, as in the queue's log. */
export class DeadLetters {
  count = 0
  private readonly store: Reader
  private readonly id: number
  private buried: { readonly letter: number; readonly value: Uint8Array }[] = []
  private removed = new Set<number>()

  constructor(store: Reader, id: number) {
    this.store = store
    this.id = id
  }

  /** Takes in what is stored from before. */
  load(): void {
    for (const _ of this.store.range(under('d', this.id))) this.count++
  }

  /** Those from a number on. */
  *list(filter: DeadLetterFilter, from: number, origin: string): Iterable<DeadLetter> {
    for (const [letter, stored] of this.stored(filter, from)) {
      const { wire, binary, topic: _, key: __, ...rest } = stored
      const message = jsonMessage(binary ? Buffer.from(wire, 'base64') : wire)
      yield { letter, message, ...rest, origin }
    }
  }

  *stored(filter: DeadLetterFilter, from = 0): Iterable<readonly [number, StoredLetter]> {
    const pattern = filter.topic === undefined ? undefined : parsePattern(filter.topic)
    const only = filter.letters && new Set(filter.letters)
    const { to } = under('d', this.id)
    let at = from
    for (;;) {
      const page = [...this.store.range({ from: letterKey(this.id, at), to, limit: READ_AT_ONCE })]
      for (const [key, value] of page) {
        const letter = key[2] as number
        at = letter + 1
        const stored = fromJson(value) as StoredLetter
        if (this.removed.has(letter)) continue
        if (only && !only.has(letter)) continue
        if (pattern && !matchesPattern(pattern, stored.topic.split('.'))) continue
        if (filter.key !== undefined && filter.key !== stored.key) continue
        if (filter.reason !== undefined && filter.reason !== stored.reason) continue
        if (filter.error !== undefined && !stored.error?.includes(filter.error)) continue
        yield [letter, stored]
      }
      if (page.length < READ_AT_ONCE) return
    }
  }

  bury(letter: number, stored: StoredLetter): void {
    this.buried.push({ letter, value: toJson(stored) })
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
    let excess = this.count - removed.size + buried.length - most
    if (excess > 0) {
      for (const [key] of this.store.range({ ...under('d', this.id), limit: excess + removed.size })) {
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
      this.rollback()
    }
  }

  /** Forgets what was staged. */
  rollback(): void {
    this.buried = []
    this.removed = new Set()
  }
}

/** The entry that a dead letter was. */
export function entryOf(stored: StoredLetter, now: number): Omit<Entry, 'offset' | 'back'> {
  const wire = stored.binary ? Buffer.from(stored.wire, 'base64') : stored.wire
  return { time: now, topic: stored.topic, key: stored.key, expiresAt: undefined, priority: DEFAULT_PRIORITY, wire }
}
