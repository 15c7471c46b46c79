import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ProcessedStore } from './idempotent.ts'

/** A store on the file system, made by `fileStore`. */
export interface FileStore extends ProcessedStore {
  /** Resolves when what was added is in the file, and the file is closed. */
  close(): Promise<void>
}

/**
 * Remembers the newest ids, a million by default, in a file of one id a line, synced before `add` resolves. One process
 * at a time may use it. Rejects where the path cannot be written.
 */
export async function fileStore(path: string, limit = 1_000_000): Promise<FileStore> {
  await mkdir(dirname(path), { recursive: true })
  const ids = new Set(await idsIn(path))
  // What a crash has cut short, and what has outlived the limit, goes now.
  await rewrite(path, [...ids].slice(-limit))
  const file = await open(path, 'a')
  return new OpenFileStore(file, ids)
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

async function rewrite(path: string, ids: readonly string[]): Promise<void> {
  const aside = `${path}.new`
  const file = await open(aside, 'w')
  await file.writeFile(ids.map((id) => `${id}\n`).join(''))
  await file.sync()
  await file.close()
  await rename(aside, path)
}

class OpenFileStore implements FileStore {
  private readonly file: FileHandle
  private readonly ids: Set<string>
  private lines: string[] = []
  private writing: Promise<void> | undefined

  constructor(file: FileHandle, ids: Set<string>) {
    this.file = file
    this.ids = ids
  }

  has(id: string): boolean {
    return this.ids.has(id)
  }

  async add(id: string): Promise<void> {
    this.lines.push(`${id}\n`)
    // One sync for all that come while another is under way.
    await this.writing
    if (this.lines.length > 0) {
      this.writing = this.write()
      await this.writing
    } else {
      await this.writing
    }
    this.ids.add(id)
  }

  async close(): Promise<void> {
    await this.writing
    await this.file.close()
  }

  private async write(): Promise<void> {
    const { lines } = this
    this.lines = []
    await this.file.appendFile(lines.join(''))
    await this.file.sync()
  }
}
