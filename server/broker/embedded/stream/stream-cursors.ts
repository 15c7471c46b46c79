import { FORBIDDEN_KEY } from '../../../../shared/forbidden-keys.ts'
import type { CursorInfo, Position } from '../../../../shared/streams.ts'
import type { CursorRange } from '../../broker.ts'
import { cursorKey, cursorsFrom, fromJson, toJson } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'

/** The maximum number of cursors per stream, and how long an unused cursor is kept when another needs its place. */
export interface CursorLimits {
  readonly max: number
  readonly idleMs: number
}

interface StoredCursor extends Position {
  /** When it was last used, in milliseconds since 1970; absent in data of earlier versions. */
  readonly at?: number
}

/** Maximum number of cursors in the status of a stream; there may be thousands. */
export const SHOWN_CURSORS = 100
/** Interval of the search for idle cursors, which reads all cursors of the stream. */
const SWEEP_MS = 60_000
/** A cursor that is read but not moved is marked as used if its mark is older than this. */
const MARK_MS = 86_400_000

/** The cursors of a stream. */
export class StreamCursors {
  private readonly reads: StoreReader
  private readonly id: number
  /** Cursors changed by the commit in progress; undefined for a deleted cursor. */
  private readonly staged = new Map<string, StoredCursor | undefined>()
  private sweptAt = Number.NEGATIVE_INFINITY

  constructor(reads: StoreReader, id: number) {
    this.reads = reads
    this.id = id
  }

  get(name: string): StoredCursor | undefined {
    if (this.staged.has(name)) return this.staged.get(name)
    const value = this.reads.get(cursorKey(this.id, name))
    return value && (fromJson(value) as StoredCursor)
  }

  /** The cursors whose names begin with `prefix`, in the order of names, after the name `after`. */
  *list(after = '', prefix = ''): Iterable<CursorInfo> {
    for (const [key, value] of this.reads.range(cursorsFrom(this.id, after > prefix ? after : prefix))) {
      const name = key[2] as string
      if (!name.startsWith(prefix)) return
      if (name === after) continue
      const { epoch, offset, at } = fromJson(value) as StoredCursor
      yield { name, epoch, offset, usedAt: at }
    }
  }

  page({ after, prefix, limit }: CursorRange): CursorInfo[] {
    const cursors: CursorInfo[] = []
    for (const cursor of this.list(after, prefix)) if (cursors.push(cursor) >= limit) break
    return cursors
  }

  set(name: string, cursor: StoredCursor | undefined, changes: Change[]): void {
    this.staged.set(name, cursor)
    changes.push({ key: cursorKey(this.id, name), value: cursor && toJson(cursor) })
  }

  /** Removes idle cursors and returns how many. Searches at most once a minute. */
  removeIdle(now: number, idleMs: number, changes: Change[]): number {
    if (now < this.sweptAt + SWEEP_MS) return 0
    this.sweptAt = now
    let removed = 0
    for (const { name, usedAt } of this.list()) {
      if (this.staged.has(name) || (usedAt ?? now) > now - idleMs) continue
      this.set(name, undefined, changes)
      removed++
    }
    return removed
  }

  /** Whether reading the cursor has to be recorded as a use. */
  needsMark(name: string, now: number): boolean {
    const cursor = this.get(name)
    return cursor !== undefined && (cursor.at ?? 0) < now - MARK_MS
  }

  /** The commit has ended, whether or not it succeeded. */
  settle(): void {
    this.staged.clear()
  }
}

/** Cursors in the form that the status of a stream shows. */
export function shownCursors(cursors: readonly CursorInfo[]): Record<string, Position> {
  const shown: Record<string, Position> = Object.create(null)
  for (const { name, epoch, offset } of cursors) {
    // A cursor with that name, stored by an earlier version, could not be sent.
    if (name !== FORBIDDEN_KEY) shown[name] = { epoch, offset }
  }
  return shown
}
