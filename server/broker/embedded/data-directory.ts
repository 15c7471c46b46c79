import { statfsSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { FanfareError } from '../../../shared/errors.ts'
import { isDatabaseIntact } from './database-check.ts'

/** A directory that belongs to this process until it is released. */
export interface DataDirectory {
  readonly databaseFile: string
  /** What is left on its disk. */
  freeBytes(): number
  /** Keeps some room back, as far as there is any. */
  makeReserve(): Promise<void>
  releaseReserve(): Promise<void>
  /** Makes the names of new files outlive a failure of the machine. */
  sync(): Promise<void>
  release(): Promise<void>
}

/** Says that a directory is a hub's, and in which form. */
const MARKER = 'fanfare.json'
const FORMAT = 1
export const DATABASE = 'data.mdb'
const LOCK = 'lock.sock'
/** Stands for room on the disk, of as much as the largest trim needs. */
const RESERVE = 'reserve'
const RESERVE_BYTES = 1024 * 1024
/** What fits into the address of a socket on every system, with room for the name of a stale lock. */
const MOST_SOCKET_BYTES = 90

/** Makes or takes a data directory. Never writes into one that it does not recognise. */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  try {
    await mkdir(path, { recursive: true })
  } catch (error) {
    throw new FanfareError('data_unusable', `${path}: ${(error as Error).message}`)
  }
  await checkMarker(path)
  const lock = await takeLock(path)
  try {
    checkDatabase(path)
  } catch (error) {
    await releaseLock(lock)
    throw error
  }
  return {
    databaseFile: join(path, DATABASE),
    freeBytes() {
      // At once: it takes some microseconds, and waiting would let others in between.
      const { bavail, bsize } = statfsSync(path)
      return bavail * bsize
    },
    makeReserve: () => makeReserve(join(path, RESERVE)),
    releaseReserve: () => rm(join(path, RESERVE), { force: true }),
    sync: () => syncDirectory(path),
    release: () => releaseLock(lock),
  }
}

async function checkMarker(path: string): Promise<void> {
  const marker = join(path, MARKER)
  const text = await readFile(marker, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new FanfareError('data_unusable', `${marker}: ${error.message}`)
  })
  if (text === undefined) return takeEmpty(path)
  const format = formatOf(text)
  if (format === undefined) throw new FanfareError('data_damaged', `${marker} cannot be read`)
  if (format !== FORMAT)
    throw new FanfareError('data_foreign', `${path} has format ${format}, this hub knows ${FORMAT}`)
}

/** Whether a hub that knows this format has made it. */
export async function isDataDirectory(path: string): Promise<boolean> {
  const text = await readFile(join(path, MARKER), 'utf8').catch(() => '')
  return formatOf(text) === FORMAT
}

async function takeEmpty(path: string): Promise<void> {
  const names = await readdir(path)
  // Another starter has been quicker; the lock decides between the two.
  if (names.includes(MARKER)) return checkMarker(path)
  const strangers = names.filter((name) => !name.startsWith(`${MARKER}.`))
  if (strangers.length > 0) throw new FanfareError('data_foreign', `${path} holds ${strangers.slice(0, 3).join(', ')}`)
  try {
    await writeMarker(path)
  } catch (error) {
    throw new FanfareError('data_unusable', `${path}: ${(error as Error).message}`)
  }
}

/** Whole or not at all: half a marker would look like damage at the next start. */
export async function writeMarker(path: string): Promise<void> {
  const draft = join(path, `${MARKER}.${process.pid}`)
  const file = await open(draft, 'w')
  try {
    await file.writeFile(`${JSON.stringify({ format: FORMAT })}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, join(path, MARKER))
  // Before there is data: a directory that has data and no marker is a stranger's.
  await syncDirectory(path)
}

async function makeReserve(name: string): Promise<void> {
  const there = await stat(name).catch(() => undefined)
  if (there?.size === RESERVE_BYTES) return
  // On a full disk it stays as small as it has become.
  await writeFile(name, Buffer.alloc(RESERVE_BYTES)).catch(() => {})
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function formatOf(marker: string): number | undefined {
  try {
    const { format } = JSON.parse(marker) as { format?: unknown }
    return typeof format === 'number' ? format : undefined
  } catch {
    return undefined
  }
}

interface Lock {
  readonly server: Server
  /** Held open as long as the lock: its path may lead through here. */
  readonly directory: FileHandle
}

/**
 * The lock is a socket that its owner listens on: when the process dies, however it dies, nobody answers there, and
 * the next owner can tell. A file with a process number could not be trusted across containers or restarts.
 */
async function takeLock(path: string): Promise<Lock> {
  const directory = await open(path, 'r')
  try {
    const lock = socketPath(path, directory)
    for (let attempt = 0; attempt < 3; attempt++) {
      const server = await listenOn(lock)
      if (server) return { server, directory }
      if (await answers(lock)) break
      await removeStale(lock)
    }
    throw new FanfareError('data_locked', path)
  } catch (error) {
    await directory.close()
    throw error
  }
}

async function removeStale(lock: string): Promise<void> {
  // Moved aside and asked again: another starter may have made it his in between.
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
 * An address of a socket has room for 107 bytes, and Node cuts off what is longer: the lock would lie in another
 * directory, and be that of several. Linux gives every open directory a short path.
 */
function socketPath(path: string, directory: FileHandle): string {
  const whole = join(path, LOCK)
  if (Buffer.byteLength(whole) <= MOST_SOCKET_BYTES) return whole
  if (process.platform === 'linux') return join(`/proc/self/fd/${directory.fd}`, LOCK)
  throw new FanfareError('data_unusable', `${path} is longer than ${MOST_SOCKET_BYTES - LOCK.length - 1} bytes`)
}

function listenOn(lock: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(new FanfareError('data_unusable', `${lock}: ${error.message}`))
    })
    server.listen(lock, () => resolve(server.unref()))
  })
}

function answers(lock: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(lock)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

async function releaseLock({ server, directory }: Lock): Promise<void> {
  await new Promise((resolve) => server.close(resolve))
  await directory.close()
}

function checkDatabase(path: string): void {
  const name = join(path, DATABASE)
  let intact: boolean
  try {
    intact = isDatabaseIntact(name)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return
    throw new FanfareError('data_unusable', `${name}: ${message}`)
  }
  if (!intact) throw new FanfareError('data_damaged', name)
}
