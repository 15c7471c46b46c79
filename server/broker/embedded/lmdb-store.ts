import { constants } from 'node:os'
import { type Database, open, type Transaction } from 'lmdb'
import { FanfareError } from '../../../shared/errors.ts'
import { type DataDirectory, openDataDirectory } from './data-directory.ts'
import type { Change, Key, Purpose, Range, Snapshot, Store } from './store.ts'

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

const { ENOSPC, EDQUOT, EIO } = constants.errno
const MDB_MAP_FULL = -30792
const FULL: readonly unknown[] = [ENOSPC, EDQUOT, MDB_MAP_FULL]
/** Codes by which LMDB says that a file is not as it should be: page not found, corrupted, version, invalid. */
const DAMAGE: readonly unknown[] = [-30797, -30796, -30794, -30793]
/**
 * LMDB must never meet the end of the disk: for a write that the system refuses with ENOSPC it writes an error message
 * into memory that is too short for it, and the process dies of that a little later. So what a commit may need is
 * looked for before. So much stays free beside, for commits of the purposes that come first.
 */
const KEPT_FREE_BYTES = { message: 1024 * 1024, failure: 512 * 1024 } as const
/** With more than this, nobody has to look after single pages. */
const NEARLY_FULL_BYTES = 64 * 1024 * 1024
/** What a commit may need beside its values: the pages of the tree, all of them anew. */
const TREE_BYTES = 128 * 1024
const PAGE_BYTES = 4096
const REMOVAL_BYTES = 512

/** Keeps everything in LMDB, in a data directory of which this process is the only owner. */
export class LmdbStore implements Store {
  private readonly directory: DataDirectory
  private readonly database: Database<Uint8Array, Key>
  /** Roughly what commits of this process have removed and others have not filled again: room inside the file. */
  private reusable = 0

  private constructor(directory: DataDirectory, database: Database<Uint8Array, Key>) {
    this.directory = directory
    this.database = database
  }

  /** Throws `data_locked`, `data_foreign`, `data_damaged`, `data_unusable`. */
  static async open(path: string): Promise<LmdbStore> {
    const directory = await openDataDirectory(path)
    try {
      const store = new LmdbStore(directory, open({ path: directory.databaseFile, ...OPTIONS }))
      // LMDB syncs its file, and not the name of a file that it has just made.
      await directory.sync()
      await directory.makeReserve()
      return store
    } catch (error) {
      await directory.release()
      const { code, message } = error as Error & { code?: unknown }
      throw new FanfareError(DAMAGE.includes(code) ? 'data_damaged' : 'data_unusable', `${path}: ${message}`)
    }
  }

  get(key: Key): Uint8Array | undefined {
    return this.database.get(key)
  }

  range(range: Range): Iterable<readonly [Key, Uint8Array]> {
    return this.rangeIn(range, undefined)
  }

  snapshot(): Snapshot {
    const transaction = this.database.useReadTransaction()
    return {
      get: (key) => this.database.get(key, { transaction }),
      range: (range) => this.rangeIn(range, transaction),
      release: () => transaction.done(),
    }
  }

  async commit(changes: readonly Change[], purpose: Purpose): Promise<void> {
    if (purpose !== 'room') return this.commitIfRoom(changes, KEPT_FREE_BYTES[purpose])
    if (this.directory.freeBytes() > NEARLY_FULL_BYTES) return this.write(changes)
    const removed = this.bytesRemovedBy(changes)
    await this.commitWithReserve(changes)
    this.reusable += removed
    // LMDB uses a page again only in the second commit behind the one that let go of it: on a full disk there would be
    // no other. The first has succeeded, whatever becomes of this one.
    const puts = changes.filter(({ value }) => value !== undefined)
    if (removed > 0) await this.commitWithReserve(puts).catch(() => {})
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

  /** Synced always: a commit that is not could leave a file that LMDB cannot read, when the machine fails. */
  private async write(changes: readonly Change[]): Promise<void> {
    try {
      await this.database.batch(() => {
        for (const { key, value } of changes) {
          if (value === undefined) void this.database.remove(key)
          else void this.database.put(key, value)
        }
      })
    } catch (error) {
      throw await this.storageError(error as Error)
    } finally {
      // Reads of this turn may hold a snapshot from before.
      this.database.resetReadTxn()
    }
  }

  private async commitIfRoom(changes: readonly Change[], keptFree: number): Promise<void> {
    const free = this.directory.freeBytes()
    const need = bytesNeededFor(changes)
    const fits = free >= need + keptFree || (free >= need && this.reusable >= 2 * need)
    if (!fits) throw new FanfareError('storage_full', `${free} bytes are free`)
    await this.write(changes)
    this.reusable = Math.max(0, this.reusable - need)
  }

  /** LMDB never changes a page in its place, so that to remove something it has to write first. */
  private async commitWithReserve(changes: readonly Change[]): Promise<void> {
    const need = bytesNeededFor(changes)
    if (this.directory.freeBytes() >= need) return this.write(changes)
    await this.directory.releaseReserve()
    try {
      const free = this.directory.freeBytes()
      if (free < need) throw new FanfareError('storage_full', `${free} bytes are free`)
      await this.write(changes)
    } finally {
      await this.directory.makeReserve()
    }
  }

  private bytesRemovedBy(changes: readonly Change[]): number {
    let bytes = 0
    for (const { key, value } of changes) if (value === undefined) bytes += this.get(key)?.length ?? 0
    return bytes
  }

  private async storageError(error: Error & { commitError?: Promise<never> }): Promise<FanfareError> {
    const { code, message } = await causeOf(error)
    // Somebody else may fill the disk in between. A write that was cut short is an input/output error to LMDB, and so
    // is a disk that dies.
    const full = code === EIO ? this.directory.freeBytes() < KEPT_FREE_BYTES.message : FULL.includes(code)
    return new FanfareError(full ? 'storage_full' : 'storage_failed', message)
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

/** Each value in pages of its own, and each key in a page that has to be written anew; what is removed lies together. */
function bytesNeededFor(changes: readonly Change[]): number {
  const bytesOf = ({ value }: Change) => (value === undefined ? REMOVAL_BYTES : value.length + PAGE_BYTES)
  return changes.reduce((sum, change) => sum + bytesOf(change), TREE_BYTES)
}
