import { removedKey, TABLES, toJson, under } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'
import { nothingToUndo } from './commit.ts'

/** What one step removes at most: it is read first, and a commit has to stay short. */
const STEP_KEYS = 1000
const STEP_BYTES = 2 * 1024 * 1024

/**
 * Removes what deleted streams and queues have stored. A stream may have millions of keys, and no commit can take them all:
 * the deletion counts once it is noted under the number of the stream, which is never used again, and the keys go in
 * steps, after a restart too.
 */
export class Removals {
  private readonly reads: StoreReader
  /** Numbers of what is not removed yet. */
  private readonly left = new Set<number>()

  constructor(reads: StoreReader) {
    this.reads = reads
    for (const [key] of reads.range(under('x'))) this.left.add(key[1] as number)
  }

  get next(): number | undefined {
    for (const id of this.left) return id
    return undefined
  }

  /** Adds to a commit the removal of everything, or of a part and a note of the rest. Returns how to undo it. */
  begin(id: number, changes: Change[]): () => void {
    if (this.removeSome(id, changes)) return nothingToUndo
    changes.push({ key: removedKey(id), value: toJson({}) })
    this.left.add(id)
    return () => this.left.delete(id)
  }

  /** Adds the next step to a commit. Returns how to undo it. */
  goOn(id: number, changes: Change[]): () => void {
    if (!this.removeSome(id, changes)) return nothingToUndo
    changes.push({ key: removedKey(id), value: undefined })
    this.left.delete(id)
    return () => this.left.add(id)
  }

  /** Whether that was all. */
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
