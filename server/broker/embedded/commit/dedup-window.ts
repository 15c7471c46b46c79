import type { Logger } from 'pino'
import type { ArchivedId, IdChapter } from '../../archive.ts'
import type { Draft } from '../../broker.ts'
import { Identities, isForgotten } from '../../rules/identity.ts'
import type { Logs } from '../logs.ts'
import type { QueueLog } from '../queue/queue-log.ts'
import { fromJson, idsKey, legacyIds, toJson, under } from '../store/keys.ts'
import type { Change, Store } from '../store/store.ts'
import type { StreamLog } from '../stream/stream-log.ts'
import { type Acts, OperatorActs, type QueuePlace, rangesOf } from './operator-acts.ts'

/** A message's places in streams and queues. */
export interface Places {
  readonly streams: readonly { readonly log: StreamLog; readonly offset: number }[]
  readonly queues: readonly { readonly log: QueueLog; readonly offset: number }[]
}

/** A stream or a queue. Its number shows whether the name still stands for the same one. */
interface Named {
  readonly id: number
  readonly name: string
}

interface StoredRoute {
  readonly streams: readonly Named[]
  readonly queues: readonly Named[]
}

/**
 * The ids of one commit, and where their messages were stored, in columns: there may be a million ids, and an object for each would
 * account for most of their memory and of the garbage collection.
 */
export interface StoredChapter extends Acts {
  readonly time: number
  readonly identities: string[]
  readonly routes: StoredRoute[]
  /** For each identity, the index of its route in `routes`. */
  readonly routeAt: number[]
  /** For each identity, one offset per stream, then one per queue, in the order of its route. */
  readonly offsets: number[]
}

interface Chapter extends StoredChapter {
  readonly commit: number
  /** How many of its ids have been forgotten, counted from the first. */
  forgotten: number
}

/** Number of recent routes of a commit that a message's route is compared with. */
const COMPARED_ROUTES = 32

/**
 * The ids published within a window of time, to detect a second publish with the same id. The number of ids is limited: if there
 * are more than `limit`, the oldest leave early, and the newest `limit` are always known.
 *
 * An id belongs to one publisher (the authenticated subject; all anonymous clients are one publisher) and one destination (the
 * topic or the queue). The same id from another subject, on another topic or queue, or after everything stored for it has been
 * deleted or purged, is another message. Whether something is left is checked when the id comes again: deleting and purging do not
 * touch ids.
 */
export class DedupWindow {
  private readonly logs: Logs
  private readonly windowMs: number
  private readonly limit: number
  private readonly identities = new Identities()
  private readonly chapterOf = new Map<string, Chapter>()
  private readonly acts = new OperatorActs()
  private chapters: Chapter[] = []
  private staged: Chapter & { time: number }
  /** Where identities of the commit in preparation were known before, if they were. */
  private readonly replaced = new Map<string, Chapter>()
  /** Keys of what has been forgotten here but not in the store yet. */
  private leaving: Change['key'][] = []

  constructor(store: Store, logs: Logs, windowMs: number, limit: number, log: Logger) {
    this.logs = logs
    this.windowMs = windowMs
    this.limit = limit
    let next = 0
    for (const [key, value] of store.range(under('w'))) {
      const commit = key[1] as number
      this.enter({ ...(fromJson(value) as StoredChapter), commit, forgotten: 0 })
      next = commit + 1
    }
    this.staged = newChapter(next)
    for (const [key] of store.range(legacyIds)) this.leaving.push(key)
    if (this.leaving.length > 0) {
      const commits = this.leaving.length
      log.warn(
        { commits },
        'deduplication ids of an earlier version were discarded: a publish repeated across this start is stored twice',
      )
    }
  }

  private enter(chapter: Chapter): void {
    this.chapters.push(chapter)
    for (const identity of chapter.identities) this.chapterOf.set(identity, chapter)
    this.acts.add(chapter)
  }

  /** Forgets ids whose time is over, and the oldest ids beyond the limit. */
  expire(now: number): void {
    let expired = 0
    for (const chapter of this.chapters) {
      const isOver = isForgotten(chapter.time, now, this.windowMs)
      if (!isOver && this.chapterOf.size <= this.limit) break
      while (chapter.forgotten < chapter.identities.length && (isOver || this.chapterOf.size > this.limit)) {
        const identity = chapter.identities[chapter.forgotten++] as string
        // The id may have been published again, if nothing was left of the first publish.
        if (this.chapterOf.get(identity) === chapter) this.chapterOf.delete(identity)
      }
      if (chapter.forgotten < chapter.identities.length) break
      // Operators' acts in a commit affect only the ids of earlier commits.
      this.acts.remove(chapter)
      this.leaving.push(idsKey(chapter.commit))
      expired++
    }
    if (expired > 0) this.chapters = this.chapters.slice(expired)
  }

  /**
   * Where an earlier publish of the same message is stored; undefined if there was none, or nothing is left of it. A hit is rare,
   * so it may search.
   */
  find(draft: Draft): Places | undefined {
    if (!draft.ownId) return undefined
    const identity = this.identities.of(draft)
    const chapter = this.chapterOf.get(identity)
    return chapter && this.placesIn(chapter, chapter.identities.indexOf(identity))
  }

  /** All ids with the places that are left of their messages, oldest first; ids without any are left out. */
  *chaptersLeft(): Iterable<IdChapter> {
    for (const chapter of this.chapters) {
      const ids: ArchivedId[] = []
      for (const [at, places] of this.allPlaces(chapter)) {
        const identity = chapter.identities[at] as string
        if (this.chapterOf.get(identity) === chapter && places) ids.push({ identity, ...namesOf(places) })
      }
      if (ids.length > 0) yield { time: chapter.time, ids }
    }
  }

  /** What distinguishes messages with the same id in a queue; undefined if their topic does. */
  scopeOf({ ownId, publisher, topic, route }: Draft): string | undefined {
    return ownId && publisher !== undefined && route.queues.length > 0
      ? this.identities.scopeOf(publisher, topic)
      : undefined
  }

  add(draft: Draft, places: Places): void {
    // A message that no stream and no queue stores, because they were deleted since, may be published again.
    if (!draft.ownId || (places.streams.length === 0 && places.queues.length === 0)) return
    const identity = this.identities.of(draft)
    const { identities, routeAt, offsets } = this.staged
    const before = this.chapterOf.get(identity)
    if (before) this.replaced.set(identity, before)
    this.chapterOf.set(identity, this.staged)
    identities.push(identity)
    routeAt.push(this.routeFor(places))
    for (const { offset } of places.streams) offsets.push(offset)
    for (const { offset } of places.queues) offsets.push(offset)
  }

  /** Messages of a queue were purged: their ids may come again. */
  purged({ id }: QueueLog, seqs: readonly number[]): void {
    if (seqs.length > 0) this.act({ purged: [rangesOf(id, seqs)], moved: [] })
  }

  /** A message of a queue has moved to another place. */
  moved(from: { readonly id: number; readonly seq: number }, to: QueuePlace): void {
    this.act({ purged: [], moved: [{ from, to }] })
  }

  /** Adds new ids to a commit, and removes forgotten ones. */
  finish(changes: Change[], now: number): void {
    for (const key of this.leaving) changes.push({ key, value: undefined })
    const { identities, routes, routeAt, offsets, purged, moved } = this.staged
    if (!hasContent(this.staged)) return
    const stored: StoredChapter = { time: now, identities, routes, routeAt, offsets, purged, moved }
    changes.push({ key: idsKey(this.staged.commit), value: toJson(stored) })
  }

  apply(now: number): void {
    this.leaving = []
    this.replaced.clear()
    if (!hasContent(this.staged)) return
    this.staged.time = now
    this.chapters.push(this.staged)
    this.staged = newChapter(this.staged.commit + 1)
  }

  rollback(): void {
    for (const identity of this.staged.identities) this.chapterOf.delete(identity)
    for (const [identity, chapter] of this.replaced) this.chapterOf.set(identity, chapter)
    this.replaced.clear()
    this.acts.remove(this.staged)
    this.staged = newChapter(this.staged.commit)
  }

  private act(acts: Acts): void {
    // There is no id that could belong to them.
    if (this.chapterOf.size === 0) return
    this.staged.purged.push(...acts.purged)
    this.staged.moved.push(...acts.moved)
    this.acts.add(acts)
  }

  private routeFor({ streams, queues }: Places): number {
    const { routes, routeAt } = this.staged
    // Usually the messages of one topic come together.
    const last = routeAt.at(-1)
    if (last !== undefined && isRouteOf(routes[last] as StoredRoute, streams, queues)) return last
    // A route that came earlier is stored twice: a commit to thousands of queues must not compare each with all others.
    for (let at = routes.length - 1; at >= Math.max(0, routes.length - COMPARED_ROUTES); at--) {
      if (isRouteOf(routes[at] as StoredRoute, streams, queues)) return at
    }
    return routes.push({ streams: streams.map(nameOf), queues: queues.map(nameOf) }) - 1
  }

  private placesIn(chapter: Chapter, at: number): Places | undefined {
    let first = 0
    for (let n = 0; n < at; n++) first += widthOf(routeOf(chapter, n))
    return this.placesFrom(chapter, at, first)
  }

  /** For each identity of a chapter, the places that are left. */
  private *allPlaces(chapter: Chapter): Iterable<readonly [number, Places | undefined]> {
    let first = 0
    for (let at = 0; at < chapter.identities.length; at++) {
      yield [at, this.placesFrom(chapter, at, first)]
      first += widthOf(routeOf(chapter, at))
    }
  }

  /** `first`: where the offsets of the identity begin. */
  private placesFrom(chapter: Chapter, at: number, first: number): Places | undefined {
    const { offsets } = chapter
    const { streams, queues } = routeOf(chapter, at)
    const places = {
      streams: streams.flatMap((stream, n) => this.inStream(stream, offsets[first + n] as number)),
      queues: queues.flatMap((queue, n) =>
        this.inQueue({ ...queue, seq: offsets[first + streams.length + n] as number }),
      ),
    }
    return places.streams.length + places.queues.length > 0 ? places : undefined
  }

  /** A message removed by retention still counts as stored. */
  private inStream({ id, name }: Named, offset: number): Places['streams'] {
    const log = this.logs.streams.get(name)
    return log?.id === id && offset >= log.trimmedTo ? [{ log, offset }] : []
  }

  /** The same applies to acked, dropped and dead-lettered messages. */
  private inQueue(place: QueuePlace): Places['queues'] {
    const now = this.acts.placeOf(place)
    const log = now && this.logs.queues.get(now.name)
    return log && log.id === now.id ? [{ log, offset: now.seq }] : []
  }
}

function newChapter(commit: number): Chapter & { time: number } {
  return {
    commit,
    time: 0,
    forgotten: 0,
    identities: [],
    routes: [],
    routeAt: [],
    offsets: [],
    purged: [],
    moved: [],
  }
}

function hasContent({ identities, purged, moved }: Chapter): boolean {
  return identities.length > 0 || purged.length > 0 || moved.length > 0
}

function nameOf({ log }: { readonly log: StreamLog | QueueLog }): Named {
  return { id: log.id, name: log.options.name }
}

function routeOf({ routes, routeAt }: StoredChapter, at: number): StoredRoute {
  return routes[routeAt[at] as number] as StoredRoute
}

/** Number of offsets that belong to an identity with this route. */
function widthOf({ streams, queues }: StoredRoute): number {
  return streams.length + queues.length
}

function namesOf({ streams, queues }: Places): Omit<ArchivedId, 'identity'> {
  const nameAndOffset = ({ log, offset }: { readonly log: StreamLog | QueueLog; readonly offset: number }) =>
    [log.options.name, offset] as const
  return { streams: streams.map(nameAndOffset), queues: queues.map(nameAndOffset) }
}

function isRouteOf(route: StoredRoute, streams: Places['streams'], queues: Places['queues']): boolean {
  return (
    route.streams.length === streams.length &&
    route.queues.length === queues.length &&
    streams.every(({ log }, at) => log.id === route.streams[at]?.id) &&
    queues.every(({ log }, at) => log.id === route.queues[at]?.id)
  )
}
