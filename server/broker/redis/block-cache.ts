import BTree from 'sorted-btree'
import type { ComposedBlock } from './composed-block.ts'
import type { StreamMirror } from './stream-mirror.ts'

/** Memory for composed blocks, of all streams together. */
const MAX_BYTES = 64 * 1024 * 1024

interface Cached {
  readonly stream: StreamMirror
  readonly block: ComposedBlock
}

/** Blocks that were composed lately: a thousand readers of the same messages share them. */
export class BlockCache {
  private bytes = 0
  /** The latest used at the end. */
  private readonly all = new Set<Cached>()
  /** By stream and first offset. A log that begins again, with the same name and number, has another mirror. */
  private readonly byStream = new Map<StreamMirror, BTree.default<number, Cached>>()

  /** A block that holds an offset. */
  find(stream: StreamMirror, offset: number): ComposedBlock | undefined {
    const cached = this.byStream.get(stream)?.getPairOrNextLower(offset)?.[1]
    if (!cached || cached.block.lastOffset < offset) return undefined
    this.all.delete(cached)
    this.all.add(cached)
    return cached.block
  }

  add(stream: StreamMirror, block: ComposedBlock): void {
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

  forget(stream: StreamMirror): void {
    for (const cached of this.byStream.get(stream)?.valuesArray() ?? []) this.remove(cached)
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
