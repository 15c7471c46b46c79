import { setImmediate } from 'node:timers/promises'
import BTree from 'sorted-btree'
import type { StreamState } from '../../broker.ts'
import type { StoredBlock } from '../stored-block.ts'
import type { LastValues } from './last-values.ts'
import type { NewestOffsets } from './newest-offsets.ts'
import type { StreamBlocks } from './stream-blocks.ts'

/** Blocks that a walk back through a log reads before it yields. */
const BLOCKS_AT_ONCE = 64
/** A walk back through the log, for the newest messages of some topics. */
interface Walk {
  readonly count: number
  readonly before: number
  /** The offset of the oldest message when the walk began. */
  readonly first: number
  readonly offsets: number[]
  /** The current place in each topic, and how many messages are still wanted there. */
  readonly places: BTree.default<number, number>
}

/** Finds the last messages of each topic of a stream. */
export class LastMessages {
  private readonly log: StreamState
  private readonly blocks: StreamBlocks
  private readonly topics: NewestOffsets
  private readonly values: LastValues

  constructor(log: StreamState, blocks: StreamBlocks, topics: NewestOffsets, values: LastValues) {
    this.log = log
    this.blocks = blocks
    this.topics = topics
    this.values = values
  }

  /**
   * Offsets of the newest messages before an offset, `count` for each matching topic, ascending. It yields in between, because the
   * way back may be as long as the log. Messages that retention removes in the meantime are included as far as they are known.
   */
  async find(pattern: readonly string[], count: number, before: number): Promise<number[]> {
    const walk: Walk = { count, before, first: this.log.first, offsets: [], places: new BTree.default() }
    for (let after: string | undefined = ''; after !== undefined; ) {
      const { found, end }: ReturnType<NewestOffsets['matching']> = this.topics.matching(pattern, after)
      for (const [topic, newest] of found) {
        if (this.log.options.lastValue) this.newestValues(topic, walk)
        else walk.places.set(newest, count)
      }
      after = end
      if (after !== undefined) await setImmediate()
    }
    await this.walkBack(walk)
    return walk.offsets.sort((a, b) => a - b)
  }

  /** After compaction there is no chain to walk; only current values count. */
  private newestValues(topic: string, { count, before, offsets }: Walk): void {
    const kept = this.values.offsetsOf(topic).filter((offset) => offset >= this.log.first && offset < before)
    for (const offset of kept.sort((a, b) => b - a).slice(0, count)) offsets.push(offset)
  }

  /** All topics together, from the newest message back, so that each block is read once. */
  private async walkBack({ before, first, offsets, places }: Walk): Promise<void> {
    let block: StoredBlock | undefined
    let blocks = 0
    for (let offset = places.maxKey(); offset !== undefined && offset >= first; offset = places.maxKey()) {
      let left = places.get(offset) as number
      places.delete(offset)
      if (!block || offset < block.firstOffset || offset > block.lastOffset) {
        if (++blocks % BLOCKS_AT_ONCE === 0) await setImmediate()
        block = this.blocks.at(offset)
      }
      const at = block?.find(offset) ?? 0
      const isThere = block && at < block.count && block.offset(at) === offset
      // Or the stream was a last-value stream, and compaction has removed the message.
      if (left > 0 && offset < before && (isThere || offset < this.log.first)) {
        offsets.push(offset)
        left--
      }
      const back = block && isThere ? block.back(at) : 0
      if (back > 0 && left > 0) places.set(offset - back, left)
    }
  }
}
