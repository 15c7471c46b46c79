import { RecentMap } from '../../../../shared/recent-map.ts'
import { matchesPattern } from '../../../../shared/topic.ts'
import { fromJson, newestFrom, newestKey, toJson } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'
import type { StoredBlock } from '../stored-block.ts'

/** Number of most recently used topics whose newest offset is cached, at least. */
const REMEMBERED_TOPICS = 5_000

/** Topics processed before yielding. */
const TOPICS_AT_ONCE = 2000

interface MatchingTopics {
  readonly found: readonly (readonly [topic: string, newest: number])[]
  readonly end: string | undefined
}

/** The offset of the newest message of each topic of a stream. Additions of a commit are known here immediately. */
export class NewestOffsets {
  private readonly store: StoreReader
  private readonly id: number
  private readonly remembered = new RecentMap<string, number>(REMEMBERED_TOPICS)
  /** Additions of this commit, which are not in the store yet. */
  private readonly staged = new Map<string, number>()

  constructor(store: StoreReader, id: number) {
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

  /** The newest offsets of the matching topics after a topic, as stored, this many topics at a time. `end`: where to continue. */
  matching(pattern: readonly string[], after: string): MatchingTopics {
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

  /** Adds the staged changes to a commit. */
  finish(changes: Change[]): void {
    for (const [topic, offset] of this.staged) changes.push({ key: newestKey(this.id, topic), value: toJson(offset) })
    this.staged.clear()
  }

  /** Entries that point to messages of a deleted block are removed too, otherwise topics that were used once would be stored forever. */
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
