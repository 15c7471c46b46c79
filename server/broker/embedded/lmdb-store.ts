import { type Database, open } from 'lmdb'
import { FanfareError } from '../../../shared/errors.ts'
import { type DataDirectory, openDataDirectory } from './data-directory.ts'
import type { Change, Key, Range, Store } from './store.ts'

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
      return new LmdbStore(directory, open({ path: directory.databaseFile, noSubdir: true, encoding: 'binary' }))
    } catch (error) {
      await directory.release()
      throw new FanfareError('data_damaged', `${path}: ${(error as Error).message}`)
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

  async commit(changes: readonly Change[], durable: boolean): Promise<void> {
    try {
      const committed = this.database.batch(() => {
        for (const { key, value } of changes) {
          if (value === undefined) void this.database.remove(key)
          else void this.database.put(key, value)
        }
      })
      await committed
      // A put's promise says that readers see it. Only this one says that it has been synced.
      if (durable) await this.database.flushed
      // Reads of this turn may hold a snapshot from before.
      this.database.resetReadTxn()
    } catch (error) {
      throw storageError(error as Error)
    }
  }

  async close(): Promise<void> {
    await this.database.close()
    await this.directory.release()
  }
}

function storageError(error: Error): FanfareError {
  const full = /ENOSPC|EDQUOT|No space left|quota exceeded|MDB_MAP_FULL/i.test(error.message)
  return new FanfareError(full ? 'storage_full' : 'storage_failed', error.message)
}
