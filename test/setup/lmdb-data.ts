import { Buffer } from 'node:buffer'
import { rmSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { backup } from '../../server/broker/embedded/store/backup.ts'
import type { DataCopy, KeptData } from './kept-data.ts'
import { type SmallDisk, smallDisk } from './small-disk.ts'

const DISK_MB = 24

/** A data directory: on a small disk of its own, or in a folder if that cannot be mounted. */
export async function lmdbData(folder: string): Promise<KeptData> {
  return new LmdbData(folder, await smallDisk(DISK_MB))
}

class LmdbData implements KeptData {
  private readonly disk: SmallDisk | undefined
  private readonly path: string
  private name = 'data'
  private copies = 0

  constructor(folder: string, disk: SmallDisk | undefined) {
    this.disk = disk
    this.path = disk?.path ?? folder
  }

  get option(): string {
    return join(this.path, this.name)
  }

  /** A full disk takes no copy. */
  async copy(): Promise<DataCopy | undefined> {
    const name = `data-${++this.copies}`
    const to = join(this.path, name)
    try {
      await backup(this.option, to)
    } catch {
      await rm(to, { recursive: true, force: true })
      return undefined
    }
    return {
      use: async () => {
        await rm(this.option, { recursive: true })
        this.name = name
      },
    }
  }

  fill(): boolean {
    if (!this.disk) return false
    // Until nothing more fits.
    for (let size = 8 * 2 ** 20; size >= 4096; ) {
      try {
        writeFileSync(this.ballast, Buffer.alloc(size), { flag: 'a' })
      } catch {
        size = Math.floor(size / 2)
      }
    }
    return true
  }

  makeRoom(): void {
    rmSync(this.ballast, { force: true })
  }

  async remove(): Promise<void> {
    await this.disk?.remove()
  }

  private get ballast(): string {
    return join(this.path, 'ballast')
  }
}
