// Imported: what stands in the global object a user's fake timers may have replaced.
import { setImmediate } from 'node:timers'
import type { Clock } from '../../shared/clock.ts'
import { FrameChain } from './frame-chain.ts'

/** A turn that lasts longer is cut, in milliseconds; after so many messages one looks. */
const LONG_MS = 20
const LOOK_EVERY = 32
/** A turn that ended longer ago has left nothing unread, in milliseconds: the event loop has been idle since. */
const JUST_NOW_MS = 2

/** What is flushed at the end of a turn. */
export interface Flushable {
  /** Never throws: the others of the turn come after it. */
  flush(): void
}

/**
 * One turn of the event loop, shared by all outboxes of a hub: everything that is appended while the loop handles what
 * has arrived goes out together when it has. `setImmediate` runs right after the poll phase, so a lone message waits
 * for nothing.
 *
 * When thousands come back at once, the poll phase goes on for seconds: `arrived` then lets out what is ready.
 */
export class WriteTurn {
  private chain = new FrameChain()
  private dirty: Flushable[] = []
  private since = 0
  private count = 0
  /** Of the event loop's own turn, which may be cut into several. */
  private began: number | undefined = undefined
  private endedAt = 0
  private lastedMs = 0
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The time, by which messages expire. */
  now(): number {
    return this.clock.now()
  }

  /** The empty chain at which every outbox of this turn starts. The outbox will be flushed. */
  begin(outbox: Flushable): FrameChain {
    this.schedule(outbox)
    return this.chain
  }

  schedule(outbox: Flushable): void {
    if (this.dirty.length === 0) {
      this.since = this.clock.now()
      if (this.began === undefined) {
        this.began = this.since
        setImmediate(this.loopTurned)
      }
    }
    this.dirty.push(outbox)
  }

  /** To be called with each message, before anything is done with it. */
  arrived(): void {
    if (++this.count % LOOK_EVERY !== 0 || this.dirty.length === 0) return
    if (this.clock.now() - this.since > LONG_MS) this.end()
  }

  /** For how long what has arrived at this moment may have been unread at most, in milliseconds. */
  busyMs(now: number): number {
    const from = this.began ?? now
    return now - from + (from - this.endedAt <= JUST_NOW_MS ? this.lastedMs : 0)
  }

  private readonly loopTurned = (): void => {
    const began = this.began as number
    // What is flushed may schedule more, which is of the next turn.
    this.began = undefined
    this.end()
    this.endedAt = this.clock.now()
    this.lastedMs = this.endedAt - began
  }

  private end(): void {
    const dirty = this.dirty
    this.dirty = []
    // A new start, or the old one would keep the frames of this turn alive.
    this.chain = new FrameChain()
    // Backwards: a publisher got its receipt after its subscribers got the message, and prepares its next batch while
    // the hub writes to them.
    for (let at = dirty.length - 1; at >= 0; at--) (dirty[at] as Flushable).flush()
  }
}
