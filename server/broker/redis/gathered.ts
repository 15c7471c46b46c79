import { setImmediate } from 'node:timers'
import type { Draft } from '../broker.ts'
import { takeFollowers } from '../followers.ts'
import type { CommitLog } from './commit-log.ts'
import { ENDING_MICROS } from './costs.ts'
import { Standstill } from './standstill.ts'
import { draftsOf, isAck, type Publishing } from './turn-publishes.ts'
import { draftMicros } from './turn-tasks.ts'
import { placesOf } from './waiting-drafts.ts'

/** Maximum of a turn: a script has to end within a few milliseconds. */
const TURN_DRAFTS = 250
/** More drafts than this are split over two turns, so that Redis has one while this hub answers the other. */
const UNDIVIDED_DRAFTS = 64
/** Places in streams and queues that a turn fills, unless a single publish fills more. */
export const TURN_PLACES = 1_000
/** What a turn may cost Redis, in microseconds; unless one publish costs more. */
const TURN_MICROS = 2_500
const TURN_BYTES = 256 * 1024

/** What is to be published, in order, while a turn is under way. */
export class Gathered {
  private readonly log: Pick<CommitLog, 'queues'>
  private readonly refuse: (stale: readonly Publishing[], ms: number) => void
  private readonly standstill = new Standstill((ms) => this.stoodStill(ms))
  private all: Publishing[] = []
  /** While this hub reads what came when it stood still: that is not to be published. */
  private stale: Publishing[] | undefined = undefined
  /** How many the last turn took. */
  private lastCount = 0

  /** `refuse`: what was gathered before this process stood still, and what then still lay in its sockets. */
  constructor(log: Pick<CommitLog, 'queues'>, refuse: (stale: readonly Publishing[], ms: number) => void) {
    this.log = log
    this.refuse = refuse
  }

  get isEmpty(): boolean {
    return this.all.length === 0
  }

  add(publishing: Publishing): void {
    this.standstill.look()
    const list = this.stale ?? this.all
    list.push(publishing)
  }

  /** What the next turn publishes. `micros`: what the rest of it costs. */
  next(micros: number): readonly Publishing[] {
    this.standstill.look()
    let cost = micros
    let bytes = 0
    let drafts = 0
    let places = 0
    let count = 0
    const half = Math.ceil((this.lastCount + this.all.length) / 2)
    const most = Math.min(TURN_DRAFTS, Math.max(UNDIVIDED_DRAFTS, half))
    for (; count < this.all.length; count++) {
      const publishing = this.all[count] as Publishing
      if (isAck(publishing)) cost += ENDING_MICROS
      for (const draft of draftsOf(publishing)) {
        const size = bytesOf(draft)
        bytes += size
        places += placesOf(draft)
        cost += draftMicros(draft, size, this.log)
        drafts++
      }
      const isMuch = bytes > TURN_BYTES || cost > TURN_MICROS
      if (count > 0 && (isMuch || drafts > most || places > TURN_PLACES)) break
    }
    this.lastCount = count
    return this.all.splice(0, count)
  }

  /** It has to wait for the next turn. */
  putBack(some: readonly Publishing[]): void {
    this.all.unshift(...some)
  }

  takeFollowers(failed: readonly Draft[]): Draft[] {
    return takeFollowers(this.all, failed)
  }

  takeAll(): readonly Publishing[] {
    return this.all.splice(0)
  }

  close(): void {
    this.standstill.close()
  }

  /** Clients may have gone to another hub meanwhile, and may have published more there: what was gathered would come after that. */
  private stoodStill(ms: number): void {
    if (this.stale) return
    const stale = this.all.splice(0)
    this.stale = stale
    // The first one may come before anything is read.
    setImmediate(() =>
      setImmediate(() => {
        this.stale = undefined
        this.refuse(stale, ms)
      }),
    )
  }
}

function bytesOf(draft: Draft): number {
  try {
    return draft.bytes
  } catch {
    // It has no form, and is refused for it.
    return 0
  }
}
