import { removedKey, TABLES, toJson, under } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'
import { nothingToUndo } from './commit.ts'

/** Maximum keys removed per step: they are read first, and a commit has to stay short. */
const STEP_KEYS = 1000
const STEP_BYTES = 2 * 1024 * 1024

/**
 * Removes the data of deleted streams and queues. A stream may have millions of keys, which one commit cannot remove. So the
 * deletion takes effect once it is recorded under the number of the stream, which is never reused, and the keys are removed in
 * steps, also after a restart.
 */
export class Removals {
  private readonly reads: StoreReader
  /** Numbers whose data has not been removed yet. */
  private readonly left = new Set<number>()

  constructor(reads: StoreReader) {
    this.reads = reads
    for (const [key] of reads.range(under('x'))) this.left.add(key[1] as number)
  }

  get next(): number | undefined {
    for (const id of this.left) return id
    return undefined
  }

  /** Adds the removal of everything to a commit, or of a part with a record of the rest. Returns a function that undoes it. */
  begin(id: number, changes: Change[]): () => void {
    if (this.removeSome(id, changes)) return nothingToUndo
    changes.push({ key: removedKey(id), value: toJson({}) })
    this.left.add(id)
    return () => this.left.delete(id)
  }

  /** Adds the next step to a commit. Returns a function that undoes it. */
  goOn(id: number, changes: Change[]): () => void {
    if (!this.removeSome(id, changes)) return nothingToUndo
    changes.push({ key: removedKey(id), value: undefined })
    this.left.delete(id)
    return () => this.left.add(id)
  }

  /** Returns whether that was all. */
  private removeSome(id: number, changes: Change[]): boolean {
    let [keys, bytes] = [0, 0]
    for (const table of TABLES) {
      for (const [key, value] of this.reads.range(under(table, id))) {
        if (keys === STEP_KEYS || bytes >= STEP_BYTES) return false
        changes.push({ key, value: undefined })
        keys++
        bytes += value.length
      }
    }
    return true
  }
}
