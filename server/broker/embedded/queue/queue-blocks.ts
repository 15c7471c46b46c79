import { Buffer } from 'node:buffer'
import { blockKey, doneKey, under } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'
import { StoredBlock } from '../stored-block.ts'

/** A message, with the sequence number of the first message of its block. */
interface Stored {
  readonly seq: number
  readonly block: number
}

interface QueueBlock {
  readonly first: number
  readonly count: number
  left: number
  /** A bit for each settled message; undefined while there is none. */
  done: Buffer | undefined
}

/** Number of blocks cached, of about 64 kB each. */
const CACHED = 64

/**
 * The stored messages of a queue. A block is removed when all of its messages are settled; until then a separate record has a bit
 * for each settled message, so that an ack costs a few bytes rather than a message.
 */
export class QueueBlocks {
  private readonly store: StoreReader
  private readonly id: number
  private readonly blocks = new Map<number, QueueBlock>()
  private readonly cache = new Map<number, StoredBlock | Uint8Array>()

  constructor(store: StoreReader, id: number) {
    this.store = store
    this.id = id
  }

  /** The stored messages that are not settled, in order: their blocks and places. */
  *load(): Iterable<readonly [StoredBlock, number]> {
    for (const [key, value] of this.store.range(under('b', this.id))) {
      const first = key[2] as number
      const block = new StoredBlock(value)
      const stored = this.store.get(doneKey(this.id, first))
      const done = stored && Buffer.from(stored)
      let left = 0
      for (let at = 0; at < block.count; at++) {
        if (done && isSet(done, at)) continue
        left++
        yield [block, at]
      }
      this.blocks.set(first, { first, count: block.count, left, done })
    }
  }

  /** Adds a committed block of `count` messages. It is decoded when one of them is needed. */
  add(first: number, count: number, value: Uint8Array): void {
    this.blocks.set(first, { first, count, left: count, done: undefined })
    this.keep(first, value)
  }

  /** The message's place in its block. */
  find(first: number, seq: number): readonly [StoredBlock, number] {
    const kept = this.cache.get(first)
    if (kept instanceof StoredBlock) return [kept, seq - first]
    const block = new StoredBlock(kept ?? this.store.get(blockKey(this.id, first)) ?? new Uint8Array())
    this.keep(first, block)
    return [block, seq - first]
  }

  wireOf({ block: first, seq }: Stored): string | Uint8Array {
    const [block, at] = this.find(first, seq)
    const wire = block.wires(at, at + 1)
    return block.isBinary(at) ? wire : wire.toString()
  }

  /** Adds the settlement of messages to a commit; returns a function that applies it here once the commit has succeeded. */
  finish(items: Iterable<Stored>, changes: Change[]): () => void {
    const drafts = new Map<QueueBlock, Buffer>()
    for (const { seq, block: first } of items) {
      const block = this.blocks.get(first)
      if (!block) continue
      const done = drafts.get(block) ?? Buffer.from(block.done ?? Buffer.alloc(Math.ceil(block.count / 8)))
      const at = seq - first
      done[at >> 3] = (done[at >> 3] as number) | (1 << (at & 7))
      drafts.set(block, done)
    }
    const lefts = new Map<QueueBlock, number>()
    for (const [block, done] of drafts) {
      const left = block.count - bits(done)
      lefts.set(block, left)
      changes.push({ key: doneKey(this.id, block.first), value: left === 0 ? undefined : done })
      if (left === 0) changes.push({ key: blockKey(this.id, block.first), value: undefined })
    }
    return () => {
      for (const [block, done] of drafts) {
        block.done = done
        block.left = lefts.get(block) as number
        if (block.left > 0) continue
        this.blocks.delete(block.first)
        this.cache.delete(block.first)
      }
    }
  }

  private keep(first: number, block: StoredBlock | Uint8Array): void {
    if (this.cache.size >= CACHED && !this.cache.has(first)) {
      for (const oldest of this.cache.keys()) {
        this.cache.delete(oldest)
        break
      }
    }
    this.cache.set(first, block)
  }
}

function isSet(done: Buffer, at: number): boolean {
  return ((done[at >> 3] as number) & (1 << (at & 7))) !== 0
}

function bits(done: Buffer): number {
  let count = 0
  for (let byte of done) for (; byte > 0; byte &= byte - 1) count++
  return count
}
