import type { Stretch } from '../stream/chunk.ts'
import { joined, type Outgoing } from './outgoing.ts'

/** What hands out stored messages when there is room: the feed of a subscription, or a consumer. */
export interface Source {
  /** Set if its messages are for this subscription only. */
  readonly sub: number | undefined
  /** What comes next; empty if nothing is ready now. */
  pull(): readonly Stretch[]
}

/** Pieces that are written in one turn: many sources that have something at once must not hold up everything else. */
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

  /** A source has something. False: this was known already. */
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
   * Writes a piece of each source that has something, until `interrupted`. False: a write has left bytes with the engine. `more` is
   * called if there are many: the rest is for the next turn.
   */
  writeEach(interrupted: () => boolean, write: (outgoing: Outgoing) => boolean, more: () => void): boolean {
    const served: Source[] = []
    for (const source of this.sources ?? []) {
      if (interrupted()) return true
      if (served.length === PIECES) {
        this.putLast(served)
        more()
        return true
      }
      const stretches = source.pull()
      if (stretches.length === 0) continue
      served.push(source)
      if (!write(joined(stretches, source.sub))) return false
    }
    return true
  }

  /** Those that have ended meanwhile stay away. */
  private putLast(served: readonly Source[]): void {
    for (const source of served) if (this.sources?.delete(source)) this.sources.add(source)
  }
}
