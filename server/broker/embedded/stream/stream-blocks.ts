import { blockKey } from '../store/keys.ts'
import type { Reader } from '../store/store.ts'
import { StoredBlock } from '../stored-block.ts'

/** The stored messages of a stream. */
export class StreamBlocks {
  private readonly store: Reader
  private readonly id: number

  constructor(store: Reader, id: number) {
    this.store = store
    this.id = id
  }

  /** The block in which an offset lies, or the next one. */
  at(offset: number): StoredBlock | undefined {
    const ahead = this.firstFrom(offset)
    // Whoever reads on asks for the very first offset of the next block.
    if (ahead?.firstOffset === offset) return ahead
    const before = { from: blockKey(this.id, 0), to: blockKey(this.id, offset), reverse: true, limit: 1 }
    for (const [, value] of this.store.range(before)) {
      const around = new StoredBlock(value)
      if (around.lastOffset >= offset) return around
    }
    return ahead
  }

  /**
   * The first block that can be read. A damaged one stays where it is, for whoever reads there to be told: if it stopped
   * retention, it would stop the commits of every stream.
   */
  oldestFrom(offset: number): StoredBlock | undefined {
    const range = { from: blockKey(this.id, offset), to: blockKey(this.id, Number.MAX_SAFE_INTEGER) }
    for (const [, value] of this.store.range(range)) {
      const block = readable(value)
      if (block) return block
    }
    return undefined
  }

  /** Those that can be read of so many from an offset on, before another; how many there were, and where they end. */
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
