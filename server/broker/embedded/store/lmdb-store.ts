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
 * With `overlappingSync` a commit becomes visible to readers before it is synced. If the sync then fails, the refused data stays in
 * the store, and `close` waits forever. It would save nothing here: a trace of the system calls shows that a commit's promise
 * resolves after the sync with and without it. Without it LMDB syncs the pages, then writes and syncs the page that makes them
 * valid: resolved commits are on disk, and failed ones have left nothing.
 *
 * `eventTurnBatching` creates a second promise for each batch without a handler. If the commit fails, that promise is an unhandled
 * rejection, and Node ends the process.
 */
const OPTIONS = { noSubdir: true, encoding: 'binary', overlappingSync: false, eventTurnBatching: false } as const

const { ENOSPC, EDQUOT } = constants.errno
const MDB_MAP_FULL = -30792
const FULL: readonly unknown[] = [ENOSPC, EDQUOT, MDB_MAP_FULL]
/** LMDB's error codes for a damaged file: page not found, corrupted, version, invalid. */
const DAMAGE: readonly unknown[] = [-30797, -30796, -30794, -30793]

/** How much of the tail a commit leaves for commits with a more important purpose. */
const KEPT_BYTES: Readonly<Record<Purpose, number>> = { message: 1024 * 1024, failure: 512 * 1024, room: 0 }
/** Initial size of the tail: enough for the largest trim, and for some messages. */
const FIRST_TAIL_BYTES = 2 * KEPT_BYTES.message
/** The tail grows by an eighth of the file, within these limits, because each growth is a sync. */
const GROWTH_BYTES = { least: 1024 * 1024, most: 8 * 1024 * 1024 } as const
/** Number of small commits, acks and trims, for which the tail keeps space even if there seem to be enough free pages. */
const COMMITS_TO_FREE_PAGES = 3

/** Interval at which readers of dead processes are removed: a killed backup would otherwise keep every page from being reused. */
const READER_CHECK_MS = 5_000

/** The statistics of LMDB; the package has no type for them. */
interface Stats {
  readonly lastPageNumber: number
  readonly lastTxnId: number
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly free: { treeBranchPageCount: number; treeLeafPageCount: number; overflowPages: number }
}

/** Stores everything in LMDB, in a data directory that this process owns exclusively. */
export class LmdbStore implements Store {
  failure: string | undefined = undefined
  private readonly directory: DataDirectory
  private database: Database<Uint8Array, Key>
  /** The disk refused to extend the tail to its intended size. */
  private isFull = false
  /** Functions that release the snapshots in use. */
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

  /** Allocates the initial space. Call once everything has been read, so that a database that turns out to be damaged stays unchanged. */
  async allocate(): Promise<void> {
    await this.grow(FIRST_TAIL_BYTES)
  }

  /** Whether the directory is a copy made by `backup` on which no hub has started yet. */
  get isCopy(): boolean {
    return this.directory.isCopy
  }

  /** Marks the directory as no longer a copy. */
  adopt(): Promise<void> {
    return this.directory.adopt()
  }

  /** The number of the last transaction: it increases with each commit. */
  get lastTransaction(): number {
    return this.stats.lastTxnId
  }

  get commitBytes(): number {
    if (!this.isFull) return Number.POSITIVE_INFINITY
    // Half of the tail, because a commit needs space for more than its messages.
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
    // LMDB reuses a page only in the second commit after the one that freed it; on a full disk there might be no other
    // commit. The first one has succeeded, whatever happens to this one.
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
   * LMDB never writes beyond the tail: a commit whose worst case does not fit is refused. Free pages that LMDB reuses do not reduce
   * the tail, so it can continue on a full disk as long as it finds some.
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
    // LMDB may find its free pages too scattered, and use the tail after all.
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

  /** Always synced: an unsynced commit could leave a file that LMDB cannot read after a failure of the machine. */
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
      // The commit is, or may be, in the file, because the write itself failed.
      if (this.failure !== undefined) throw new FanfareError('outcome_unknown', this.failure)
      throw new FanfareError(
        FULL.includes(code) ? 'storage_full' : 'storage_failed',
        `Nothing was stored: ${sentence(message)}`,
      )
    }
    // Reads in this turn may still use an older snapshot.
    this.database.resetReadTxn()
  }

  /**
   * Call after a commit has failed. Once LMDB could not write the page that makes a commit valid, it refuses everything, and the
   * package holds a lock that it never releases. A new environment has neither problem. Continuing is only allowed if nothing of
   * the failed commit is in the file, because the commit was refused. Snapshots of the old environment end and read from the new
   * one, which shows the same.
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

/** A failed commit rejects with an error that only says that there is a cause, which arrives later. */
async function causeOf(error: Error & { commitError?: Promise<never> }): Promise<Error & { code?: unknown }> {
  try {
    await error.commitError
    return error
  } catch (cause) {
    return cause as Error
  }
}
