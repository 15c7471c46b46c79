import { fromJson, idsKey, toJson, under } from './keys.ts'
import type { Change, Store } from './store.ts'

/** Where a message went. */
export interface Placed {
  readonly streams: readonly { readonly log: Numbered; readonly offset: number }[]
  readonly queues: readonly Numbered[]
}

/** A stream or a queue, by its number: a name may come to mean another. */
interface Numbered {
  readonly id: number
}

/** The same by numbers alone. */
export interface StoredPlaces {
  /** Offsets by stream. */
  readonly offsets: ReadonlyMap<number, number>
  readonly queues: readonly number[]
}

interface Route {
  readonly streams: readonly number[]
  readonly queues: readonly number[]
}

/**
 * The ids of one commit, and where their messages went, in columns: there may be a million of them, and an object for
 * each would be most of their memory, and of the work of collecting it.
 */
interface Chapter {
  readonly ids: string[]
  readonly routes: Route[]
  /** Of each id, which of `routes`. */
  readonly routeAt: number[]
  /** One for each stream of each id, in their order. */
  readonly offsets: number[]
}

interface StoredChapter extends Chapter {
  readonly time: number
}

/**
 * The ids published within a window of time, so that a second publish with one of them is known. Bounded: when there
 * are `limit` ids, the oldest leave before their time.
 */
export class DedupWindow {
  private readonly windowMs: number
  private readonly limit: number
  private readonly chapterOf = new Map<string, Chapter>()
  private chapters: { readonly commit: number; readonly time: number; readonly chapter: Chapter }[] = []
  private nextCommit = 0
  private staged = newChapter()
  /** Commits of which the ids are forgotten here and not in the store yet. */
  private leaving: number[] = []

  constructor(store: Store, windowMs: number, limit: number) {
    this.windowMs = windowMs
    this.limit = limit
    for (const [key, value] of store.range(under('i'))) {
      const { time, ...chapter } = fromJson(value) as StoredChapter
      const commit = key[1] as number
      this.chapters.push({ commit, time, chapter })
      for (const id of chapter.ids) this.chapterOf.set(id, chapter)
      this.nextCommit = commit + 1
    }
  }

  /** Forgets what has had its time, and what is more than the limit. */
  expire(now: number): void {
    let expired = 0
    for (const { commit, time, chapter } of this.chapters) {
      if (time > now - this.windowMs && this.chapterOf.size <= this.limit) break
      for (const id of chapter.ids) this.chapterOf.delete(id)
      this.leaving.push(commit)
      expired++
    }
    if (expired > 0) this.chapters = this.chapters.slice(expired)
  }

  has(id: string): boolean {
    return this.chapterOf.has(id)
  }

  /** Where the message of an id went. Seldom asked, and therefore allowed to search. */
  find(id: string): StoredPlaces | undefined {
    const chapter = this.chapterOf.get(id)
    if (!chapter) return undefined
    const at = chapter.ids.indexOf(id)
    const routeOf = (n: number) => chapter.routes[chapter.routeAt[n] as number] as Route
    let first = 0
    for (let n = 0; n < at; n++) first += routeOf(n).streams.length
    const { streams, queues } = routeOf(at)
    const offsets = new Map(streams.map((stream, n) => [stream, chapter.offsets[first + n] as number]))
    return { offsets, queues }
  }

  add(id: string, placed: Placed): void {
    const { ids, routeAt, offsets } = this.staged
    this.chapterOf.set(id, this.staged)
    ids.push(id)
    routeAt.push(this.routeFor(placed))
    for (const { offset } of placed.streams) offsets.push(offset)
  }

  private routeFor(placed: Placed): number {
    const { routes, routeAt } = this.staged
    // Mostly the messages of one topic come together.
    const last = routeAt.at(-1)
    if (last !== undefined && isRouteOf(routes[last] as Route, placed)) return last
    const known = routes.findIndex((route) => isRouteOf(route, placed))
    if (known >= 0) return known
    const { streams, queues } = placed
    return routes.push({ streams: streams.map(({ log }) => log.id), queues: queues.map((queue) => queue.id) }) - 1
  }

  /** Adds to a commit what is new, and removes what was forgotten. */
  finish(changes: Change[], now: number): void {
    for (const commit of this.leaving) changes.push({ key: idsKey(commit), value: undefined })
    if (this.staged.ids.length === 0) return
    const stored: StoredChapter = { time: now, ...this.staged }
    changes.push({ key: idsKey(this.nextCommit), value: toJson(stored) })
  }

  apply(now: number): void {
    if (this.staged.ids.length > 0) {
      this.chapters.push({ commit: this.nextCommit++, time: now, chapter: this.staged })
      this.staged = newChapter()
    }
    this.leaving = []
  }

  rollback(): void {
    for (const id of this.staged.ids) this.chapterOf.delete(id)
    this.staged = newChapter()
  }
}

function newChapter(): Chapter {
  return { ids: [], routes: [], routeAt: [], offsets: [] }
}

function isRouteOf(route: Route, { streams, queues }: Placed): boolean {
  return (
    route.streams.length === streams.length &&
    route.queues.length === queues.length &&
    streams.every(({ log }, at) => log.id === route.streams[at]) &&
    queues.every(({ id }, at) => id === route.queues[at])
  )
}
