import type { Offsets } from '../../../shared/streams.ts'
import { fromJson, idsKey, toJson, under } from './keys.ts'
import type { Change, Store } from './store.ts'

/** Where a message went. */
export interface Places {
  readonly offsets: Offsets
  readonly queues: readonly string[]
}

/** The ids that one commit brought, and where their messages went. */
interface Chapter {
  readonly commit: number
  readonly time: number
  readonly ids: readonly string[]
}

interface StoredChapter {
  readonly time: number
  readonly ids: readonly string[]
  readonly places: readonly Places[]
}

/**
 * The ids published within a window of time, so that a second publish with one of them is known. Bounded: when there
 * are `limit` ids, the oldest leave before their time.
 */
export class DedupWindow {
  private readonly windowMs: number
  private readonly limit: number
  private readonly placesById = new Map<string, Places>()
  private chapters: Chapter[] = []
  private nextCommit = 0
  private staged: { ids: string[]; places: Places[] } = { ids: [], places: [] }
  private expired = 0

  constructor(store: Store, windowMs: number, limit: number) {
    this.windowMs = windowMs
    this.limit = limit
    for (const [key, value] of store.range(under('i'))) {
      const { time, ids, places } = fromJson(value) as StoredChapter
      const commit = key[1] as number
      this.chapters.push({ commit, time, ids })
      for (const [at, id] of ids.entries()) this.placesById.set(id, places[at] as Places)
      this.nextCommit = commit + 1
    }
  }

  find(id: string): Places | undefined {
    return this.placesById.get(id)
  }

  add(id: string, places: Places): void {
    this.placesById.set(id, places)
    this.staged.ids.push(id)
    this.staged.places.push(places)
  }

  /** Adds to a commit what is new, and removes what has had its time. */
  finish(changes: Change[], now: number): void {
    const { ids, places } = this.staged
    let left = this.placesById.size
    this.expired = 0
    for (const chapter of this.chapters) {
      if (chapter.time > now - this.windowMs && left <= this.limit) break
      changes.push({ key: idsKey(chapter.commit), value: undefined })
      left -= chapter.ids.length
      this.expired++
    }
    if (ids.length > 0)
      changes.push({ key: idsKey(this.nextCommit), value: toJson({ time: now, ids, places } satisfies StoredChapter) })
  }

  apply(now: number): void {
    for (const { ids } of this.chapters.slice(0, this.expired)) for (const id of ids) this.placesById.delete(id)
    if (this.expired > 0) this.chapters = this.chapters.slice(this.expired)
    const { ids } = this.staged
    if (ids.length > 0) this.chapters.push({ commit: this.nextCommit++, time: now, ids })
    this.staged = { ids: [], places: [] }
  }

  rollback(): void {
    for (const id of this.staged.ids) this.placesById.delete(id)
    this.staged = { ids: [], places: [] }
  }
}
