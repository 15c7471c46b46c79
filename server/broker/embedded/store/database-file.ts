import { Buffer } from 'node:buffer'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { constants } from 'node:os'

/*
 * LMDB must never meet the end of the disk. When the system refuses one of its writes, it prints a message into memory
 * that is too short for it, and the process dies; when a page of its lock file cannot be had, the process gets a SIGBUS.
 * Another program may fill the disk at any moment, so looking at the free space first is not enough. Instead, LMDB only
 * ever writes where the file system has already given the file its space: Node writes the zeros, and gets a clean error.
 */

export const PAGE_BYTES = 4096
const CHUNK = Buffer.alloc(256 * 1024)
/** At least what LMDB wants for its lock file. */
const LOCK_FILE_BYTES = 3 * PAGE_BYTES
const { ENOSPC, EDQUOT, EFBIG } = constants.errno
const NO_ROOM: readonly unknown[] = [ENOSPC, EDQUOT, EFBIG]

/** Whether a file system call failed because the disk is full. */
const isNoRoom = (error: unknown): boolean => NO_ROOM.includes(-((error as { errno?: number }).errno ?? 0))

/** Makes a database without records, whole or not at all: half a file would look like damage at the next start. */
export async function createDatabase(name: string): Promise<void> {
  const draft = `${name}.new`
  try {
    const file = await open(draft, 'w')
    try {
      await file.writeFile(emptyDatabase())
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, name)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/** LMDB maps this file for writing, and makes it longer without asking for space: so it gets its space first. */
export async function prepareLockFile(name: string): Promise<void> {
  const there = await stat(name).catch(() => undefined)
  if (there && there.size > 0 && there.blocks * 512 >= there.size) return
  const file = await open(name, there ? 'r+' : 'w+')
  try {
    // A backup may be reading: what is there already is written back as it is.
    const content = Buffer.alloc(Math.max(LOCK_FILE_BYTES, there?.size ?? 0))
    await file.read(content, 0, content.length, 0)
    await file.write(content, 0, content.length, 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The two pages that LMDB begins a file with. */
function emptyDatabase(): Buffer {
  const pages = Buffer.alloc(2 * PAGE_BYTES)
  for (const number of [0, 1]) {
    const page = pages.subarray(number * PAGE_BYTES)
    page.writeBigUInt64LE(BigInt(number), 0)
    page.writeUInt16LE(8, 18)
    const meta = page.subarray(24)
    // Magic number, version, and the smallest map that LMDB takes; it grows by itself.
    meta.writeUInt32LE(0xbeefc0de, 0)
    meta.writeUInt32LE(2, 4)
    meta.writeBigUInt64LE(131_072n, 16)
    // The page size, and the flags: keys of the tree of free pages are integers, and the file has a name of its own.
    meta.writeUInt32LE(PAGE_BYTES, 24)
    meta.writeUInt16LE(0x4008, 28)
    for (const root of [64, 112]) meta.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, root)
    meta.writeBigUInt64LE(1n, 120)
  }
  return pages
}

/** The space after the last page that LMDB uses. It is allocated to the file already, so LMDB can write there. */
export class FileTail {
  private readonly file: FileHandle
  /** Where it ends, in bytes from the start of the file. */
  private end = 0

  constructor(file: FileHandle) {
    this.file = file
  }

  /** Of the file, open for reading too. */
  get descriptor(): number {
    return this.file.fd
  }

  /** Its size, with LMDB's last page at `lastPage`. */
  bytes(lastPage: number): number {
    return Math.max(0, this.end - (lastPage + 1) * PAGE_BYTES)
  }

  /**
   * Grows it to a size, or as far as there is room. Call only between two commits: what comes after the last page is
   * overwritten. What has been there before may be a hole of a file that was copied, so it counts once it is written.
   */
  async grow(lastPage: number, bytes: number): Promise<void> {
    const start = (lastPage + 1) * PAGE_BYTES
    const wanted = start + bytes
    let end = Math.max(this.end, start)
    try {
      while (end < wanted) {
        const { bytesWritten } = await this.file.write(CHUNK, 0, Math.min(CHUNK.length, wanted - end), end)
        end += bytesWritten
      }
    } catch (error) {
      if (!isNoRoom(error)) throw error
    }
    if (end <= this.end) return
    // Some file systems give space only now.
    await this.file.datasync().catch((error: unknown) => {
      if (!isNoRoom(error)) throw error
      end = this.end
    })
    this.end = end
  }

  close(): Promise<void> {
    return this.file.close()
  }
}
