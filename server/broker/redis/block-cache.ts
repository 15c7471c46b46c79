import type { ComposedBlock } from './composed-block.ts'

/** Memory for composed blocks, of all streams together. */
const MAX_BYTES = 64 * 1024 * 1024
/** Blocks of one stream that are looked through. */
const PER_STREAM = 64

/** Blocks that were composed lately: a thousand readers of the same messages share them. */
export class BlockCache {
  private bytes = 0
  /** By the numbers of streams; of each the latest used at the end. */
  private readonly byStream = new Map<number, ComposedBlock[]>()

  /** A block that holds an offset. */
  find(stream: number, offset: number): ComposedBlock | undefined {
    const blocks = this.byStream.get(stream)
    const at = blocks?.findLastIndex((block) => block.firstOffset <= offset && offset <= block.lastOffset) ?? -1
    if (!blocks || at < 0) return undefined
    const [block] = blocks.splice(at, 1) as [ComposedBlock]
    blocks.push(block)
    this.byStream.delete(stream)
    this.byStream.set(stream, blocks)
    return block
  }

  add(stream: number, block: ComposedBlock): void {
    const blocks = this.byStream.get(stream) ?? []
    this.byStream.delete(stream)
    this.byStream.set(stream, blocks)
    blocks.push(block)
    this.bytes += block.size
    if (blocks.length > PER_STREAM) this.bytes -= blocks.shift()?.size ?? 0
    for (const [number, others] of this.byStream) {
      while (this.bytes > MAX_BYTES && others.length > 0) this.bytes -= others.shift()?.size ?? 0
      if (others.length === 0) this.byStream.delete(number)
      if (this.bytes <= MAX_BYTES) return
    }
  }

  forget(stream: number): void {
    for (const block of this.byStream.get(stream) ?? []) this.bytes -= block.size
    this.byStream.delete(stream)
  }
}
