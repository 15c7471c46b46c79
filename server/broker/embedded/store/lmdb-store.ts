import { constants } from 'node:os'
import { type Database, open, type Transaction } from 'lmdb'
import { sentence } from '../../../../shared/error-text.ts'
import { FanfareError } from '../../../../shared/errors.ts'
import type { Purpose } from '../../rules/storage-full.ts'
import { pagesNeeded, placesOf } from './commit-size.ts'
import { type DataDirectory, type DirectoryOptions, openDataDirectory } from './data-directory.ts'
import { PAGE_BYTES } from './database-file.ts'
import { countFreePages } from './free-pages.ts'
import type { Change, Key, Range, Snapshot, Store } from './store.ts'

/**
 * Two defaults of the package lmdb are turned off.
 *
 * With `overlappingSync` a commit is shown to readers before it is synced. Where the sync then fails, what was refused
 * stays in the store, and `close` waits for ever. It would save nothing here: a commit's promise resolves behind the
 * sync with and without it, as a trace of the system calls shows. Without it LMDB syncs the pages, then writes and
 * syncs the one that makes them count: what resolved is on disk, and what failed has left nothing.
 *
 * `eventTurnBatching` makes a second promise for each batch, which nobody holds. When the commit fails, that one is
 * rejected unheard, and Node ends the process.
 */
const OPTIONS = { noSubdir: true, encoding: 'binary', overlappingSync: false, eventTurnBatching: false } as const

const { ENOSPC, EDQUOT } = constants.errno
const MDB_MAP_FULL = -30792
const FULL: readonly unknown[] = [ENOSPC, EDQUOT, MDB_MAP_FULL]
/** Codes by which LMDB says that a file is not as it should be: page not found, corrupted, version, invalid. */
const DAMAGE: readonly unknown[] = [-30797, -30796, -30794, -30793]

/** How much of the tail a commit leaves for those whose purpose comes first. */
const KEPT_BYTES: Readonly<Record<Purpose, number>> = { message: 1024 * 1024, failure: 512 * 1024, room: 0 }
/** The tail that a hub begins with: enough for the largest trim, and for some messages. */
const FIRST_TAIL_BYTES = 2 * KEPT_BYTES.message
/** The tail grows by an eighth of the file, within these bounds: each growth is a sync. */
const GROWTH_BYTES = { least: 1024 * 1024, most: 8 * 1024 * 1024 } as const
/** The small commits, acks and trims, for which the tail keeps room even when there seem to be enough free pages. */
const COMMITS_TO_FREE_PAGES = 3

/** How often readers are looked for whose process is gone: a backup that was killed would keep every page from reuse. */
const READER_CHECK_MS = 5_000

/** The statistics of LMDB; the package has no type for them. */
interface Stats {
  readonly lastPageNumber: number
  readonly lastTxnId: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly free: { treeBranchPageCount: number; treeLeafPageCount: number; overflowPages: number }
}

/** Keeps everything in LMDB, in a data directory of which this process is the only owner. */
export class LmdbStore implements Store {
  failure: string | undefined = undefined
  private readonly directory: DataDirectory
  private database: Database<Uint8Array, Key>
  /** The disk has refused to give the tail what it should have. */
  private isFull = false
  /** How to release the snapshots that are in use. */
  private readonly snapshots = new Set<() => void>()
  private readersCheckedAt = 0

  private constructor(directory: DataDirectory, database: Database<Uint8Array, Key>) {
    this.directory = directory
    this.database = database
  }

  /** Throws `data_locked`, `data_foreign`, `data_damaged`, `data_unusable`. */
  static async open(path: string, options: DirectoryOptions = {}): Promise<LmdbStore> {
    const directory = await openDataDirectory(path, options)
    try {
      return new LmdbStore(directory, open({ path: directory.databaseFile, ...OPTIONS }))
    } catch (error) {
      await directory.release()
      const { code, message } = error as Error & { code?: unknown }
      throw new FanfareError(
        DAMAGE.includes(code) ? 'data_damaged' : 'data_unusable',
        `The data in ${path} cannot be opened: ${sentence(message)}`,
      )
    }
  }

  /** Allocates what a hub begins with. Call once all has been read: a database that turns out to be damaged stays as it is. */
  async allocate(): Promise<void> {
    await this.grow(FIRST_TAIL_BYTES)
  }

  /** Whether the directory is a copy that `backup` has made, and no hub has started on it yet. */
  get isCopy(): boolean {
    return this.directory.isCopy
  }

  /** Marks the directory as no longer a copy. */
  adopt(): Promise<void> {
    return this.directory.adopt()
  }

  get commitBytes(): number {
    if (!this.isFull) return Number.POSITIVE_INFINITY
    // Half of it, for what a commit needs besides its messages.
    return this.directory.tail.bytes(this.stats.lastPageNumber) / 2
  }

  get(key: Key): Uint8Array | undefined {
    return this.database.get(key)
  }

  range(range: Range): Iterable<readonly [Key, Uint8Array]> {
    return this.rangeIn(range, undefined)
  }

  snapshot(): Snapshot {
    let transaction: Transaction | undefined = this.database.useReadTransaction()
    const within = () => (transaction ? { transaction } : {})
    const release = () => {
      this.snapshots.delete(release)
      transaction?.done()
      transaction = undefined
    }
    this.snapshots.add(release)
    return {
      get: (key) => this.database.get(key, within()),
      range: (range) => this.rangeIn(range, transaction),
      keys: ({ from, to, limit }) =>
        this.database.getKeys({ start: from, end: to, ...within(), ...(limit !== undefined && { limit }) }),
      release,
    }
  }

  keys({ from, to, limit }: Omit<Range, 'reverse'>): Iterable<Key> {
    return this.database.getKeys({ start: from, end: to, ...(limit !== undefined && { limit }) })
  }

  async commit(changes: readonly Change[], purpose: Purpose): Promise<void> {
    if (this.failure !== undefined) throw new FanfareError('storage_failed', this.failure)
    this.checkReaders()
    if (!(await this.hasRoom(changes, purpose))) {
      throw new FanfareError(
        'storage_full',
        'The disk is full, and nothing was stored. Free some space, then try again.',
      )
    }
    await this.write(changes)
    if (purpose !== 'room' || !this.isFull) return
    // LMDB reuses a page only in the second commit after the one that freed it: on a full disk there might be
    // no other. The first has succeeded, whatever becomes of this one.
    const puts = changes.filter(({ value }) => value !== undefined)
    if (await this.hasRoom(puts, purpose)) await this.write(puts).catch(() => {})
  }

  async close(): Promise<void> {
    await this.database.close()
    await this.directory.release()
  }

  private *rangeIn(
    { from, to, limit, reverse = false }: Range,
    transaction: Transaction | undefined,
  ): Iterable<readonly [Key, Uint8Array]> {
    const options = {
      ...(reverse
        ? { start: to, end: from, reverse, inclusiveEnd: true, exclusiveStart: true }
        : { start: from, end: to }),
      ...(limit !== undefined && { limit }),
      ...(transaction && { transaction }),
    }
    for (const { key, value } of this.database.getRange(options)) yield [key, value]
  }

  private get stats(): Stats {
    return this.database.getStats() as Stats
  }

  /**
   * LMDB never writes beyond the tail: a commit whose worst case does not fit is refused. What LMDB takes from its free
   * pages leaves the tail as it is, so that on a full disk it can go on as long as it finds some.
   */
  private async hasRoom(changes: readonly Change[], purpose: Purpose): Promise<boolean> {
    const { stats } = this
    const most = pagesNeeded(changes, stats) * PAGE_BYTES + KEPT_BYTES.message
    if (this.directory.tail.bytes(stats.lastPageNumber) < most) await this.grow(most)
    const tail = this.directory.tail.bytes(stats.lastPageNumber)
    if (tail >= most) return true
    const pages = pagesNeeded(
      changes,
      stats,
      placesOf(changes, (...keys) => this.countKeys(...keys)),
    )
    const need = pages * PAGE_BYTES
    if (tail >= need + KEPT_BYTES[purpose]) return true
    // LMDB may find its free pages too scattered, and take from the tail nevertheless.
    const kept = COMMITS_TO_FREE_PAGES * pagesNeeded([], stats) * PAGE_BYTES
    if (purpose === 'room' || tail < need + kept) return false
    const longest = changes.reduce((most, { value }) => Math.max(most, value?.length ?? 0), 0)
    const run = Math.ceil(longest / PAGE_BYTES) + 1
    return countFreePages(this.directory.tail.descriptor, this.oldestReader(stats.lastTxnId), run) >= 2 * pages
  }

  private countKeys(from: Key, to: Key, limit: number): number {
    return this.database.getKeysCount({ start: from, end: to, inclusiveEnd: true, limit })
  }

  private async grow(bytes: number): Promise<void> {
    const { lastPageNumber } = this.stats
    const { least, most } = GROWTH_BYTES
    const growth = Math.min(Math.max((lastPageNumber * PAGE_BYTES) / 8, least), most)
    try {
      await this.directory.tail.grow(lastPageNumber, bytes + growth)
    } catch (error) {
      throw new FanfareError('storage_failed', `The database file cannot grow: ${sentence((error as Error).message)}`)
    }
    this.isFull = this.directory.tail.bytes(lastPageNumber) < bytes
  }

  private checkReaders(): void {
    if (performance.now() - this.readersCheckedAt < READER_CHECK_MS) return
    this.readersCheckedAt = performance.now()
    this.database.readerCheck()
  }

  /** The oldest transaction that still has a reader, such as a backup; the newest if there is no reader. */
  private oldestReader(newest: number): number {
    const lines = this.database.readerList().split('\n').slice(1)
    return lines.reduce((oldest, line) => {
      const transaction = Number(line.trim().split(/\s+/)[2])
      return transaction < oldest ? transaction : oldest
    }, newest)
  }

  /** Synced always: a commit that is not could leave a file that LMDB cannot read, when the machine fails. */
  private async write(changes: readonly Change[]): Promise<void> {
    const { lastTxnId } = this.stats
    try {
      await this.database.batch(() => {
        for (const { key, value } of changes) {
          if (value === undefined) void this.database.remove(key)
          else void this.database.put(key, value)
        }
      })
    } catch (error) {
      const { code, message } = await causeOf(error as Error)
      await this.openAgain(lastTxnId)
      // It is in the file, or may be: it failed when it was written already.
      if (this.failure !== undefined) throw new FanfareError('outcome_unknown', this.failure)
      throw new FanfareError(
        FULL.includes(code) ? 'storage_full' : 'storage_failed',
        `Nothing was stored: ${sentence(message)}`,
      )
    }
    // Reads of this turn may hold a snapshot from before.
    this.database.resetReadTxn()
  }

  /**
   * Call after a commit has failed. LMDB refuses everything once it could not write the page that makes a commit count,
   * and the package then holds a lock that it never gives back. A new environment is free of both. It may go on only
   * where nothing of the failed commit is in the file, since it was refused. Snapshots end with the old one, and read the new one:
   * it shows the same.
   */
  private async openAgain(lastTransaction: number): Promise<void> {
    for (const release of this.snapshots) release()
    try {
      await this.database.close()
      this.database = open({ path: this.directory.databaseFile, ...OPTIONS })
      if (this.stats.lastTxnId === lastTransaction) return
      this.failure = 'A commit failed, but is in the database. Restart the hub.'
    } catch (error) {
      this.failure = `The database cannot be opened again: ${sentence((error as Error).message)} Restart the hub.`
    }
  }
}

/** What a failed commit rejects with says only that there is a cause, which comes later. */
async function causeOf(error: Error & { commitError?: Promise<never> }): Promise<Error & { code?: unknown }> {
  try {
    await error.commitError
    return error
  } catch (cause) {
    return cause as Error
  }
}
