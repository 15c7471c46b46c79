import type { Stretch } from '../stream/chunk.ts'
import { joined, type Outgoing } from './outgoing.ts'

/** Hands out stored messages when there is room: the feed of a subscription, or a consumer. */
export interface Source {
  /** Set if its messages are for this subscription only. */
  readonly sub: number | undefined
  /** The next messages, at most about this many bytes; empty if nothing is ready now. */
  pull(most: number): readonly Stretch[]
}

/** Pieces written per turn: many sources that become ready at once must not hold up everything else. */
const PIECES = 8

/** The sources of one connection. They take turns. */
export class Sources {
  private sources: Set<Source> | undefined = undefined
  private ready = false
  get empty(): boolean {
    return this.sources === undefined
  }

  add(source: Source): void {
    this.sources ??= new Set()
    this.sources.add(source)
  }

  delete(source: Source): void {
    this.sources?.delete(source)
    if (this.sources?.size === 0) this.sources = undefined
  }

  clear(): void {
    this.sources = undefined
  }

  /** A source has something. Returns false if this was already known. */
  markReady(): boolean {
    if (this.ready) return false
    this.ready = true
    return true
  }

  /** Whether a source has had something since the last call. */
  takeReady(): boolean {
    const { ready } = this
    this.ready = false
    return ready
  }

  /**
   * Writes a piece of each source that has something, until `interrupted`. Returns false if a write has blocked the line. `more` is
   * called if there are many: the rest is for the next turn.
   */
  writeEach(
    interrupted: () => boolean,
    room: () => number,
    write: (outgoing: Outgoing) => boolean,
    more: () => void,
  ): boolean {
    let served = 0
    for (const source of [...(this.sources ?? [])]) {
      if (interrupted()) return true
      if (served === PIECES) {
        more()
        return true
      }
      const stretches = source.pull(room())
      if (stretches.length === 0) continue
      served++
      // Sources after it come first next time, even if each write blocks the line.
      if (this.sources?.delete(source)) this.sources.add(source)
      if (!write(joined(stretches, source.sub))) return false
    }
    return true
  }
}
