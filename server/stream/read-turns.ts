import { setImmediate } from 'node:timers'

/**
 * Blocks read per turn of the event loop, for all subscriptions of the hub: reading one and handing out its messages takes about a
 * millisecond.
 */
const READS = 16

/** Reads blocks of a log. */
export interface BlockReader {
  /** It may read now, and asks again. Never throws. */
  goOn(): void
}

/** Decides which reader is next: many subscriptions that read at once must not hold up everything else. */
export class ReadTurns {
  private left = READS
  private scheduled = false
  private readonly waiting = new Set<BlockReader>()

  /** Whether a reader may read a block now. If not, `goOn` is called when it may. */
  take(reader: BlockReader): boolean {
    if (!this.scheduled) {
      this.scheduled = true
      setImmediate(this.next)
    }
    if (this.left === 0) {
      this.waiting.add(reader)
      return false
    }
    this.left--
    this.waiting.delete(reader)
    return true
  }

  /** The reader has ended. */
  leave(reader: BlockReader): void {
    this.waiting.delete(reader)
  }

  private readonly next = (): void => {
    this.scheduled = false
    this.left = READS
    for (const reader of this.waiting) {
      if (this.left === 0) break
      this.waiting.delete(reader)
      reader.goOn()
    }
    if (this.waiting.size === 0 || this.scheduled) return
    this.scheduled = true
    setImmediate(this.next)
  }
}
