import { Buffer } from 'node:buffer'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { constants } from 'node:os'

/*
 * LMDB must never reach the end of the disk. If the system refuses one of its writes, it prints an error message into a buffer that
 * is too short, and the process dies; if a page of its lock file cannot be allocated, the process gets a SIGBUS. Another program
 * may fill the disk at any moment, so checking the free space first is not enough. Instead, LMDB only writes where the file system
 * has already allocated the space: Node writes zeros there first, and gets a clean error.
 */

export const PAGE_BYTES = 4096
const CHUNK = Buffer.alloc(256 * 1024)
/** Minimum size that LMDB needs for its lock file. */
const LOCK_FILE_BYTES = 3 * PAGE_BYTES
const { ENOSPC, EDQUOT, EFBIG } = constants.errno
const NO_ROOM: readonly unknown[] = [ENOSPC, EDQUOT, EFBIG]

/** Whether a file system call failed because the disk is full. */
const isNoRoom = (error: unknown): boolean => NO_ROOM.includes(-((error as { errno?: number }).errno ?? 0))

/** Creates a database without records, atomically: half a file would look like damage at the next start. */
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

/** LMDB maps this file for writing, and extends it without allocating space, so the space is allocated first. */
export async function prepareLockFile(name: string): Promise<void> {
  const there = await stat(name).catch(() => undefined)
  if (there && there.size > 0 && there.blocks * 512 >= there.size) return
  const file = await open(name, there ? 'r+' : 'w+')
  try {
    // A backup may be reading, so existing content is written back unchanged.
    const content = Buffer.alloc(Math.max(LOCK_FILE_BYTES, there?.size ?? 0))
    await file.read(content, 0, content.length, 0)
    await file.write(content, 0, content.length, 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The two pages at the beginning of every LMDB file. */
function emptyDatabase(): Buffer {
  const pages = Buffer.alloc(2 * PAGE_BYTES)
  for (const number of [0, 1]) {
    const page = pages.subarray(number * PAGE_BYTES)
    page.writeBigUInt64LE(BigInt(number), 0)
    page.writeUInt16LE(8, 18)
    const meta = page.subarray(24)
    // Magic number, version, and the smallest map that LMDB accepts; the map grows by itself.
    meta.writeUInt32LE(0xbeefc0de, 0)
    meta.writeUInt32LE(2, 4)
    meta.writeBigUInt64LE(131_072n, 16)
    // The page size, and the flags: keys of the tree of free pages are integers, and the path names a file.
    meta.writeUInt32LE(PAGE_BYTES, 24)
    meta.writeUInt16LE(0x4008, 28)
    for (const root of [64, 112]) meta.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, root)
    meta.writeBigUInt64LE(1n, 120)
  }
  return pages
}

/** The space after the last page that LMDB uses. It is already allocated to the file, so LMDB can write there. */
export class FileTail {
  private readonly file: FileHandle
  /** End of the tail, in bytes from the start of the file. */
  private end = 0

  constructor(file: FileHandle) {
    this.file = file
  }

  /** Descriptor of the file, also open for reading. */
  get descriptor(): number {
    return this.file.fd
  }

  /** Size of the tail if LMDB's last page is `lastPage`. */
  bytes(lastPage: number): number {
    return Math.max(0, this.end - (lastPage + 1) * PAGE_BYTES)
  }

  /**
   * Grows the tail to a size, or as far as there is space. Call only between two commits, because everything after the last page is
   * overwritten. Existing content there may be a hole of a copied file, so space counts only once it is written.
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
    // Some file systems allocate the space only now.
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
