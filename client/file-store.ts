import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ProcessedStore } from './idempotent.ts'
import { COUNT, checkArgument } from './options.ts'

/** A store on the file system, made by `fileStore`. */
export interface FileStore extends ProcessedStore {
  /** Resolves when what was added is in the file, and the file is closed. */
  close(): Promise<void>
}

/**
 * Remembers the newest keys, a million by default, in a file of one key a line, synced before `add` resolves. One process
 * at a time may use it. Rejects if the path cannot be written.
 */
export async function fileStore(path: string, limit = 1_000_000): Promise<FileStore> {
  checkArgument('fileStore', 'limit', limit, COUNT)
  await mkdir(dirname(path), { recursive: true })
  const ids = new Set((await idsIn(path)).slice(-limit))
  // What a crash has cut short, and what has outlived the limit, goes now.
  return new OpenFileStore(path, limit, ids, await rewrite(path, ids))
}

async function idsIn(path: string): Promise<string[]> {
  try {
    // An id without its line's end may be half of one.
    return (await readFile(path, 'utf8')).split('\n').slice(0, -1)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Rewrites the file, and leaves it open at its end. */
async function rewrite(path: string, ids: Iterable<string>): Promise<FileHandle> {
  const aside = `${path}.new`
  const file = await open(aside, 'w')
  await file.writeFile(linesOf(ids))
  await file.sync()
  await rename(aside, path)
  return file
}

function linesOf(ids: Iterable<string>): string {
  return [...ids].map((id) => `${id}\n`).join('')
}

interface Adding {
  readonly id: string
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

class OpenFileStore implements FileStore {
  readonly #path: string
  readonly #limit: number
  readonly #ids: Set<string>
  #file: FileHandle
  #lines: number
  /** A write has failed: what it left of its lines is not to be joined with the next. */
  #torn = false
  #adding: Adding[] = []
  #writing: Promise<void> | undefined

  constructor(path: string, limit: number, ids: Set<string>, file: FileHandle) {
    this.#path = path
    this.#limit = limit
    this.#ids = ids
    this.#file = file
    this.#lines = ids.size
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  add(id: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#adding.push({ id, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file.close()
  }

  /** One sync for all that come while another is under way. */
  async #writeAll(): Promise<void> {
    while (this.#adding.length > 0) {
      const adding = this.#adding
      this.#adding = []
      try {
        await this.#write(adding.map(({ id }) => id))
        for (const { resolve } of adding) resolve()
      } catch (error) {
        this.#torn = true
        for (const { reject } of adding) reject(error)
      }
    }
    this.#writing = undefined
  }

  async #write(ids: readonly string[]): Promise<void> {
    await this.#file.appendFile((this.#torn ? '\n' : '') + linesOf(ids))
    await this.#file.sync()
    this.#torn = false
    this.#lines += ids.length
    for (const id of ids) this.#ids.add(id)
    for (const oldest of this.#ids) {
      if (this.#ids.size <= this.#limit) break
      this.#ids.delete(oldest)
    }
    if (this.#lines > 2 * this.#limit) await this.#shorten()
  }

  async #shorten(): Promise<void> {
    const file = await rewrite(this.#path, this.#ids)
    await this.#file.close()
    this.#file = file
    this.#lines = this.#ids.size
  }
}
