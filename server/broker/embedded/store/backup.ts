import { open as openFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { open } from 'lmdb'
import { sentence } from '../../../../shared/error-text.ts'
import { FanfareError } from '../../../../shared/errors.ts'
import { DATABASE, isDataDirectory, strangersIn, syncDirectory, writeCopyMarker } from './data-directory.ts'
import { prepareLockFile } from './database-file.ts'
import { makeDirectory } from './make-directory.ts'

/**
 * Copies a data directory into a new one, whether or not a hub is running on it: everything that was committed when the copy began,
 * and nothing later. A hub can be started on the copy. Resolves with the size in bytes after the copy was synced.
 *
 * LMDB copies like any other reader, so that the hub neither waits nor notices. Pages that the copy still needs are not reused in
 * the meantime, so the hub's file grows by what is written until the copy ends. See mdb_env_copy2,
 * http://www.lmdb.tech/doc/group__mdb.html
 *
 * Rejects with `data_unusable`, and with `data_foreign` if `from` is not a data directory or `to` is not empty.
 */
export async function backup(from: string, to: string): Promise<number> {
  if (!(await isDataDirectory(from))) throw new FanfareError('data_foreign', `${from} is not a Fanfare data directory.`)
  await makeEmpty(to)
  const copy = join(to, DATABASE)
  try {
    await copyDatabase(join(from, DATABASE), copy)
    await syncFile(copy)
    // Last: an interrupted copy has no marker, so no hub takes it for data.
    await writeCopyMarker(to)
    await syncDirectory(dirname(to))
    return (await stat(copy)).size
  } catch (error) {
    throw new FanfareError('data_unusable', `The backup to ${to} failed: ${sentence((error as Error).message)}`)
  }
}

async function makeEmpty(path: string): Promise<void> {
  let names: string[]
  try {
    await makeDirectory(path)
    names = await strangersIn(path)
  } catch (error) {
    throw new FanfareError('data_unusable', `${path} cannot be used: ${sentence((error as Error).message)}`)
  }
  if (names.length > 0)
    throw new FanfareError(
      'data_foreign',
      `${path} is not empty: it holds ${names.slice(0, 3).join(', ')}. Choose an empty directory.`,
    )
}

async function copyDatabase(from: string, to: string): Promise<void> {
  // A directory without write permission is read without a lock.
  await prepareLockFile(`${from}-lock`).catch(() => {})
  const database = open({ path: from, noSubdir: true, readOnly: true })
  try {
    await database.backup(to, true)
  } finally {
    await database.close()
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await openFile(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
