import { constants } from 'node:os'
import { type Database, open } from 'lmdb'
import { FanfareError } from '../../../shared/errors.ts'
import { type DataDirectory, openDataDirectory } from './data-directory.ts'
import type { Change, Key, Range, Store } from './store.ts'

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
/** Where less is left on the disk, a write that was cut short has met its end. */
const FULL_BELOW_BYTES = 64 * 1024

/** Keeps everything in LMDB, in a data directory of which this process is the only owner. */
export class LmdbStore implements Store {
  private readonly directory: DataDirectory
  private readonly database: Database<Uint8Array, Key>

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

  *range({ from, to, limit, reverse = false }: Range): Iterable<readonly [Key, Uint8Array]> {
    const options = reverse
      ? { start: to, end: from, reverse, inclusiveEnd: true, exclusiveStart: true }
      : { start: from, end: to }
    for (const { key, value } of this.database.getRange({ ...options, ...(limit !== undefined && { limit }) })) {
      yield [key, value]
    }
  }

  async commit(changes: readonly Change[], _durable: boolean, makesRoom: boolean): Promise<void> {
    if (!makesRoom) return this.write(changes)
    await this.writeWithReserve(changes)
    // LMDB uses a page again only in the second commit behind the one that let go of it: on a full disk there would be
    // no other. The first has succeeded, whatever becomes of this one.
    const puts = changes.filter(({ value }) => value !== undefined)
    if (puts.length < changes.length) await this.writeWithReserve(puts).catch(() => {})
  }

  async close(): Promise<void> {
    await this.database.close()
    await this.directory.release()
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

  /** LMDB never changes a page in its place, so that to remove something it has to write first. */
  private async writeWithReserve(changes: readonly Change[]): Promise<void> {
    try {
      await this.write(changes)
    } catch (error) {
      if ((error as FanfareError).code !== 'storage_full') throw error
      await this.directory.releaseReserve()
      try {
        await this.write(changes)
      } finally {
        await this.directory.makeReserve()
      }
    }
  }

  private async storageError(error: Error & { commitError?: Promise<never> }): Promise<FanfareError> {
    const { code, message } = await causeOf(error)
    // LMDB calls a write that was cut short an input/output error: the end of the disk, or its death.
    const full = code === EIO ? (await this.directory.freeBytes()) < FULL_BELOW_BYTES : FULL.includes(code)
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
