import { constants } from 'node:fs'
import { access, type FileHandle, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { sentence } from '../../../../shared/error-text.ts'
import { FanfareError } from '../../../../shared/errors.ts'
import { isDatabaseIntact } from './database-check.ts'
import { createDatabase, FileTail, prepareLockFile } from './database-file.ts'
import { makeDirectory } from './make-directory.ts'

/** A directory that belongs to this process until it is released. */
export interface DataDirectory {
  readonly databaseFile: string
  /** Space that LMDB may write to after its last page. */
  readonly tail: FileTail
  /** Whether it is a backup on which no hub has started yet. */
  readonly isCopy: boolean
  /** Marks it as no longer a copy. */
  adopt(): Promise<void>
  release(): Promise<void>
}

export interface DirectoryOptions {
  /** Maximum time to wait for another hub on the directory to stop; by default it fails at once. */
  readonly lockWaitMs?: number
  readonly log?: Logger
}

/** Identifies a directory as a hub's, with its format. */
interface Marker {
  readonly format: number
  /** Set by `backup`, until a hub has started on the copy. */
  readonly copy?: boolean
}

const MARKER = 'fanfare.json'
const FORMAT = 1
export const DATABASE = 'data.mdb'
const LOCK = 'lock.sock'
/** Earlier versions reserved disk space with a file of this name; now the database file does so itself. */
const FORMER_RESERVE = 'reserve'
/** Maximum length of a socket's address on every system, minus space for the name of a stale lock. */
const MOST_SOCKET_BYTES = 90
const LOCK_RETRY_MS = 200
/** Errors of a socket without a listener. Any other error may come from a live hub. */
const DEAD_LOCK: readonly unknown[] = ['ECONNREFUSED', 'ENOENT', 'ENOTSOCK']
/** Errors with which file systems and platforms report that they cannot sync directories. */
const NO_DIRECTORY_SYNC: readonly unknown[] = 'EACCES EBADF EINVAL EISDIR ENOSYS ENOTSUP EOPNOTSUPP EPERM'.split(' ')

/**
 * Names that contain no program's data: hidden files, files that file systems, desktops and storage devices put into each volume,
 * logs.
 */
const HARMLESS = [
  /^\./,
  /^(lost\+found|a?quota\.\w+|[@#$]?recycle(\.bin|r|d)?|[@#]\w+|\$recycle\.bin|system volume information)$/i,
  /^(desktop\.ini|thumbs\.db|network trash folder|temporary items)$/i,
  /\.(log|pid|out|err)([.-][\d-]+)?(\.gz)?$/i,
]

/** Creates or opens a data directory. Never writes into one that it does not recognise. */
export async function openDataDirectory(path: string, options: DirectoryOptions = {}): Promise<DataDirectory> {
  try {
    await makeDirectory(path)
  } catch (error) {
    throw new FanfareError(
      'data_unusable',
      `The data directory ${path} cannot be used: ${sentence((error as Error).message)}`,
    )
  }
  await checkMarker(path)
  const lock = await takeLock(path, options)
  try {
    const { copy = false } = await checkMarker(path)
    const tail = await openDatabase(path)
    return {
      databaseFile: join(path, DATABASE),
      tail,
      isCopy: copy,
      adopt: () => writeMarker(path, { format: FORMAT }),
      async release() {
        await tail.close()
        await releaseLock(lock)
      },
    }
  } catch (error) {
    await releaseLock(lock)
    throw error
  }
}

/** All space that LMDB will use there is already allocated on disk. */
async function openDatabase(path: string): Promise<FileTail> {
  const name = join(path, DATABASE)
  try {
    if (!(await isThere(name))) await createDatabase(name)
    else if (!isDatabaseIntact(name))
      throw new FanfareError(
        'data_damaged',
        `${name} is damaged; nothing was changed. Restore a backup, or choose another directory.`,
      )
    await rm(join(path, FORMER_RESERVE), { force: true })
    await prepareLockFile(`${name}-lock`)
    await syncDirectory(path)
    return new FileTail(await open(name, 'r+'))
  } catch (error) {
    if (error instanceof FanfareError) throw error
    throw new FanfareError('data_unusable', `${name} cannot be used: ${sentence((error as Error).message)}`)
  }
}

async function isThere(name: string): Promise<boolean> {
  return stat(name).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
}

async function checkMarker(path: string): Promise<Marker> {
  const name = join(path, MARKER)
  const text = await readFile(name, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new FanfareError('data_unusable', `${name} cannot be read: ${sentence(error.message)}`)
  })
  if (text === undefined) return takeEmpty(path)
  const marker = markerIn(text)
  if (marker === undefined)
    throw new FanfareError(
      'data_damaged',
      `${name} is damaged; nothing was changed. Restore a backup, or choose another directory.`,
    )
  const { format } = marker
  if (format === FORMAT) return marker
  throw new FanfareError(
    'data_foreign',
    `${path} has data of format ${format}, and this hub reads format ${FORMAT}. Choose another directory with --data.`,
  )
}

/** Whether a hub that knows this format has created it. */
export async function isDataDirectory(path: string): Promise<boolean> {
  const text = await readFile(join(path, MARKER), 'utf8').catch(() => '')
  return markerIn(text)?.format === FORMAT
}

async function takeEmpty(path: string): Promise<Marker> {
  const strangers = await strangersIn(path)
  // Another process was faster; the lock decides between the two.
  if (strangers.includes(MARKER)) return checkMarker(path)
  if (strangers.length > 0)
    throw new FanfareError(
      'data_foreign',
      `${path} is not a Fanfare data directory: it holds ${strangers.slice(0, 3).join(', ')}. Choose an empty one with --data.`,
    )
  const marker = { format: FORMAT }
  try {
    await writeMarker(path, marker)
  } catch (error) {
    throw new FanfareError(
      'data_unusable',
      `The data directory ${path} cannot be used: ${sentence((error as Error).message)}`,
    )
  }
  return marker
}

/** Entries of a directory that may be the data of another program or hub. Empty entries are not data. */
export async function strangersIn(path: string): Promise<string[]> {
  const strangers: string[] = []
  for (const name of await readdir(path)) {
    if (name.startsWith(`${MARKER}.`) || HARMLESS.some((harmless) => harmless.test(name))) continue
    if (!(await holdsNothing(join(path, name)))) strangers.push(name)
  }
  return strangers
}

async function holdsNothing(path: string): Promise<boolean> {
  try {
    const status = await stat(path)
    if (status.isDirectory()) return (await readdir(path)).length === 0
    return status.isFile() && status.size === 0
  } catch {
    return false
  }
}

/** Turns a copy into a hub's directory, so it comes last. */
export async function writeCopyMarker(path: string): Promise<void> {
  await writeMarker(path, { format: FORMAT, copy: true })
}

/** Atomically: half a marker would look like damage at the next start. */
async function writeMarker(path: string, marker: Marker): Promise<void> {
  const draft = join(path, `${MARKER}.${process.pid}`)
  try {
    const file = await open(draft, 'w')
    try {
      await file.writeFile(`${JSON.stringify(marker)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, join(path, MARKER))
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  // Before there is data, because a directory with data but without a marker counts as another program's.
  await syncDirectory(path)
}

/** Makes the names of new files survive a failure of the machine, on file systems that support it. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  } catch (error) {
    if (!NO_DIRECTORY_SYNC.includes((error as NodeJS.ErrnoException).code)) throw error
  }
}

function markerIn(text: string): Marker | undefined {
  try {
    const marker = JSON.parse(text) as Partial<Marker>
    return typeof marker.format === 'number' ? (marker as Marker) : undefined
  } catch {
    return undefined
  }
}

interface Lock {
  readonly server: Server
  /** Held open as long as the lock, because the lock's path may lead through it. */
  readonly directory: FileHandle
}

/**
 * The lock is a socket that its owner listens on. When the process dies, however it dies, there is no listener any more, and the
 * next owner can tell. A file with a process id could not be trusted across containers or restarts.
 */
async function takeLock(path: string, { lockWaitMs = 0, log }: DirectoryOptions): Promise<Lock> {
  const directory = await open(path, 'r')
  try {
    const lock = socketPath(path, directory)
    const until = performance.now() + lockWaitMs
    for (let waits = 0; ; waits++) {
      const server = await tryLock(path, lock)
      if (server) return { server, directory }
      if (performance.now() >= until) {
        throw new FanfareError(
          'data_locked',
          `Another hub uses ${path}. Stop it, or choose another directory with --data.`,
        )
      }
      if (waits === 0) log?.info({ data: path, lockWaitMs }, 'waiting for another hub on the data directory to stop')
      await sleep(LOCK_RETRY_MS)
    }
  } catch (error) {
    await directory.close()
    throw error
  }
}

async function tryLock(path: string, lock: string): Promise<Server | undefined> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const server = await listenOn(path, lock)
    if (server) return server
    if (await answers(lock)) return undefined
    await removeStale(lock)
  }
  return undefined
}

async function removeStale(lock: string): Promise<void> {
  // Moved aside and asked again, because another process may have taken the lock in between.
  const aside = `${lock}.${process.pid}`
  const moved = await rename(lock, aside).then(
    () => true,
    () => false,
  )
  if (!moved) return
  if (await answers(aside)) await rename(aside, lock)
  else await rm(aside, { force: true })
}

/**
 * A socket address has space for 107 bytes, and Node cuts off longer ones: the lock would be in another directory, and could be
 * shared by several hubs. Linux gives every open directory a short path.
 */
function socketPath(path: string, directory: FileHandle): string {
  const whole = join(path, LOCK)
  if (Buffer.byteLength(whole) <= MOST_SOCKET_BYTES) return whole
  if (process.platform === 'linux') return join(`/proc/self/fd/${directory.fd}`, LOCK)
  throw new FanfareError(
    'data_unusable',
    `The path ${path} may have at most ${MOST_SOCKET_BYTES - LOCK.length - 1} bytes on this system.`,
  )
}

function listenOn(path: string, lock: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else void noLock(path, lock, error).then(reject)
    })
    server.listen(lock, () => resolve(server.unref()))
  })
}

/** The file system may forbid this user to write, or may not support sockets. */
async function noLock(path: string, lock: string, { code, message }: NodeJS.ErrnoException): Promise<FanfareError> {
  const isWritable = await access(path, constants.W_OK).then(
    () => true,
    () => false,
  )
  if (!isWritable || code === 'ENOSPC')
    return new FanfareError('data_unusable', `${lock} cannot be created: ${sentence(message)}`)
  const why = `The file system of ${lock} refuses Unix sockets (${code}), and the hub locks its data directory with one.`
  const instead = 'Shared folders, such as SMB, 9p, vfat and bind mounts of Docker Desktop, often do'
  return new FanfareError('data_unusable', `${why} ${instead}: use a local disk or a volume.`)
}

function answers(lock: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(lock)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(!DEAD_LOCK.includes(code)))
  })
}

async function releaseLock({ server, directory }: Lock): Promise<void> {
  await new Promise((resolve) => server.close(resolve))
  await directory.close()
}
