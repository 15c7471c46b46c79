import { RecentMap } from '../../../../shared/recent-map.ts'
import { matchesPattern } from '../../../../shared/topic.ts'
import { fromJson, newestFrom, newestKey, toJson } from '../store/keys.ts'
import type { Change, Reader } from '../store/store.ts'
import type { StoredBlock } from '../stored-block.ts'

/** Topics of which the newest offset is remembered at least, those that were used last. */
const REMEMBERED_TOPICS = 5_000

/** Topics that are looked at before others have their turn. */
const TOPICS_AT_ONCE = 2000

interface Matching {
  readonly found: readonly (readonly [topic: string, newest: number])[]
  readonly end: string | undefined
}

/** Where the newest message of each topic of a stream lies. What a commit adds is known here at once. */
export class NewestOffsets {
  private readonly store: Reader
  private readonly id: number
  private readonly remembered = new RecentMap<string, number>(REMEMBERED_TOPICS)
  /** What this commit has added: it is not in the store yet. */
  private readonly staged = new Map<string, number>()

  constructor(store: Reader, id: number) {
    this.store = store
    this.id = id
  }

  newestOf(topic: string): number | undefined {
    const known = this.staged.get(topic) ?? this.remembered.get(topic)
    if (known !== undefined) return known
    const stored = this.store.get(newestKey(this.id, topic))
    return stored && (fromJson(stored) as number)
  }

  add(topic: string, offset: number): void {
    this.staged.set(topic, offset)
    this.remembered.set(topic, offset)
  }

  /** The newest offsets of the matching topics after one, as stored, this many topics at once. `end`: where to continue. */
  matching(pattern: readonly string[], after: string): Matching {
    const found: [string, number][] = []
    let seen = 0
    for (const [key, value] of this.store.range(newestFrom(this.id, after))) {
      const topic = key[2] as string
      if (topic === after) continue
      if (matchesPattern(pattern, topic.split('.'))) found.push([topic, fromJson(value) as number])
      if (++seen === TOPICS_AT_ONCE) return { found, end: topic }
    }
    return { found, end: undefined }
  }

  /** Adds to a commit what was staged. */
  finish(changes: Change[]): void {
    for (const [topic, offset] of this.staged) changes.push({ key: newestKey(this.id, topic), value: toJson(offset) })
    this.staged.clear()
  }

  /** What points to messages of a block that is gone goes too, or topics that came once would be kept for ever. */
  forget(block: StoredBlock, changes: Change[]): void {
    for (const topic of block.topics) {
      if ((this.newestOf(topic) ?? 0) > block.lastOffset) continue
      this.remembered.delete(topic)
      changes.push({ key: newestKey(this.id, topic), value: undefined })
    }
  }

  rollback(): void {
    this.staged.clear()
    this.remembered.clear()
  }
}
