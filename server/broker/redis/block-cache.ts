import BTree from 'sorted-btree'
import type { ComposedBlock } from './composed-block.ts'

/** Memory for composed blocks, of all streams together. */
const MAX_BYTES = 64 * 1024 * 1024

interface Cached {
  readonly stream: number
  readonly block: ComposedBlock
}

/** Blocks that were composed lately: a thousand readers of the same messages share them. */
export class BlockCache {
  private bytes = 0
  /** The latest used at the end. */
  private readonly all = new Set<Cached>()
  /** By the numbers of streams, and by first offset. */
  private readonly byStream = new Map<number, BTree.default<number, Cached>>()

  /** A block that holds an offset. */
  find(stream: number, offset: number): ComposedBlock | undefined {
    const cached = this.byStream.get(stream)?.getPairOrNextLower(offset)?.[1]
    if (!cached || cached.block.lastOffset < offset) return undefined
    this.all.delete(cached)
    this.all.add(cached)
    return cached.block
  }

  add(stream: number, block: ComposedBlock): void {
    const blocks = this.byStream.get(stream) ?? new BTree.default<number, Cached>()
    // What was read before it had more messages.
    for (const [, older] of blocks.getRange(block.firstOffset, block.lastOffset, true)) this.remove(older)
    const cached = { stream, block }
    this.byStream.set(stream, blocks)
    blocks.set(block.firstOffset, cached)
    this.all.add(cached)
    this.bytes += block.size
    for (const oldest of this.all) {
      if (this.bytes <= MAX_BYTES) return
      this.remove(oldest)
    }
  }

  forget(stream: number): void {
    for (const cached of this.byStream.get(stream)?.valuesArray() ?? []) this.remove(cached)
  }

  clear(): void {
    this.all.clear()
    this.byStream.clear()
    this.bytes = 0
  }

  private remove(cached: Cached): void {
    const { stream, block } = cached
    const blocks = this.byStream.get(stream)
    this.all.delete(cached)
    this.bytes -= block.size
    blocks?.delete(block.firstOffset)
    if (blocks?.size === 0) this.byStream.delete(stream)
  }
}
