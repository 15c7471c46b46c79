import { blockKey } from '../store/keys.ts'
import type { StoreReader } from '../store/store.ts'
import { StoredBlock } from '../stored-block.ts'

/** The stored messages of a stream. */
export class StreamBlocks {
  private readonly store: StoreReader
  private readonly id: number

  constructor(store: StoreReader, id: number) {
    this.store = store
    this.id = id
  }

  /** The block that contains an offset, or the next one. */
  at(offset: number): StoredBlock | undefined {
    const ahead = this.firstFrom(offset)
    // A reader that continues asks for the very first offset of the next block.
    if (ahead?.firstOffset === offset) return ahead
    const before = { from: blockKey(this.id, 0), to: blockKey(this.id, offset), reverse: true, limit: 1 }
    for (const [, value] of this.store.range(before)) {
      const around = new StoredBlock(value)
      if (around.lastOffset >= offset) return around
    }
    return ahead
  }

  /**
   * The first readable block. A damaged block stays where it is, so that its readers get an error: if it stopped retention, it
   * would stop the commits of every stream.
   */
  oldestFrom(offset: number): StoredBlock | undefined {
    const range = { from: blockKey(this.id, offset), to: blockKey(this.id, Number.MAX_SAFE_INTEGER) }
    for (const [, value] of this.store.range(range)) {
      const block = readable(value)
      if (block) return block
    }
    return undefined
  }

  /** The readable blocks among the first `most` from an offset on, before another offset; also the number of blocks, and where they end. */
  between(from: number, to: number, most: number): { blocks: StoredBlock[]; scanned: number; end: number } {
    const blocks: StoredBlock[] = []
    let scanned = 0
    let end = 0
    const range = { from: blockKey(this.id, from), to: blockKey(this.id, to), limit: most }
    for (const [key, value] of this.store.range(range)) {
      scanned++
      end = (key[2] as number) + 1
      const block = readable(value)
      if (block) blocks.push(block)
    }
    return { blocks, scanned, end }
  }

  private firstFrom(offset: number): StoredBlock | undefined {
    const range = { from: blockKey(this.id, offset), to: blockKey(this.id, Number.MAX_SAFE_INTEGER), limit: 1 }
    for (const [, value] of this.store.range(range)) return new StoredBlock(value)
    return undefined
  }
}

function readable(bytes: Uint8Array): StoredBlock | undefined {
  try {
    return new StoredBlock(bytes)
  } catch {
    return undefined
  }
}
