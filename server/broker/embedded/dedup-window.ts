import { fromJson, idsKey, toJson, under } from './keys.ts'
import type { Change, Store } from './store.ts'

/** Where a message went. By numbers: a name may come to mean another stream or queue. */
export interface StoredPlaces {
  /** Offsets by stream. */
  readonly offsets: Readonly<Record<number, number>>
  readonly queues: readonly number[]
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
  readonly places: readonly StoredPlaces[]
}

/**
 * The ids published within a window of time, so that a second publish with one of them is known. Bounded: when there
 * are `limit` ids, the oldest leave before their time.
 */
export class DedupWindow {
  private readonly windowMs: number
  private readonly limit: number
  private readonly placesById = new Map<string, StoredPlaces>()
  private chapters: Chapter[] = []
  private nextCommit = 0
  private staged: { ids: string[]; places: StoredPlaces[] } = { ids: [], places: [] }
  /** Commits of which the ids are forgotten here and not in the store yet. */
  private leaving: number[] = []

  constructor(store: Store, windowMs: number, limit: number) {
    this.windowMs = windowMs
    this.limit = limit
    for (const [key, value] of store.range(under('i'))) {
      const { time, ids, places } = fromJson(value) as StoredChapter
      const commit = key[1] as number
      this.chapters.push({ commit, time, ids })
      for (const [at, id] of ids.entries()) this.placesById.set(id, places[at] as StoredPlaces)
      this.nextCommit = commit + 1
    }
  }

  /** Forgets what has had its time, and what is more than the limit. */
  expire(now: number): void {
    let expired = 0
    for (const { commit, time, ids } of this.chapters) {
      if (time > now - this.windowMs && this.placesById.size <= this.limit) break
      for (const id of ids) this.placesById.delete(id)
      this.leaving.push(commit)
      expired++
    }
    if (expired > 0) this.chapters = this.chapters.slice(expired)
  }

  find(id: string): StoredPlaces | undefined {
    return this.placesById.get(id)
  }

  add(id: string, places: StoredPlaces): void {
    this.placesById.set(id, places)
    this.staged.ids.push(id)
    this.staged.places.push(places)
  }

  /** Adds to a commit what is new, and removes what was forgotten. */
  finish(changes: Change[], now: number): void {
    for (const commit of this.leaving) changes.push({ key: idsKey(commit), value: undefined })
    const { ids } = this.staged
    if (ids.length > 0) changes.push({ key: idsKey(this.nextCommit), value: toJson({ time: now, ...this.staged }) })
  }

  apply(now: number): void {
    const { ids } = this.staged
    if (ids.length > 0) this.chapters.push({ commit: this.nextCommit++, time: now, ids })
    this.staged = { ids: [], places: [] }
    this.leaving = []
  }

  rollback(): void {
    for (const id of this.staged.ids) this.placesById.delete(id)
    this.staged = { ids: [], places: [] }
  }
}
