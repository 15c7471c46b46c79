// Imported, because a user's fake timers may have replaced the global.
import { setImmediate } from 'node:timers'
import type { Clock } from '../../shared/clock.ts'
import { FrameChain } from './frame-chain.ts'

/** A turn that lasts longer is cut, in milliseconds; the clock is read only every few messages. */
const LONG_MS = 20
const LOOK_EVERY = 32
/** If a turn ended longer ago than this, in milliseconds, nothing was left unread, because the event loop has been idle since. */
const JUST_NOW_MS = 2

/** Flushed at the end of a turn. */
export interface Flushable {
  /** Never throws, because others are flushed after it. */
  flush(): void
}

/**
 * One turn of the event loop, shared by all outboxes of a hub: everything appended while the loop handles what has arrived is
 * written together at its end. `setImmediate` runs right after the poll phase, so a single message does not wait.
 *
 * When thousands of messages arrive at once, the poll phase can last for seconds: `arrived` then flushes what is ready.
 */
export class WriteTurn {
  private chain = new FrameChain()
  private dirty: Flushable[] = []
  private since = 0
  private count = 0
  /** Start of the event loop's turn, which may be cut into several. */
  private began: number | undefined = undefined
  private endedAt = 0
  private lastedMs = 0
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The time that decides whether messages have expired. */
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

  /** Call with each message, before it is handled. */
  arrived(): void {
    if (++this.count % LOOK_EVERY !== 0 || this.dirty.length === 0) return
    if (this.clock.now() - this.since > LONG_MS) this.end()
  }

  /** The maximum time for which something that arrived at this moment may have been unread, in milliseconds. */
  busyMs(now: number): number {
    const from = this.began ?? now
    return now - from + (from - this.endedAt <= JUST_NOW_MS ? this.lastedMs : 0)
  }

  private readonly loopTurned = (): void => {
    const began = this.began as number
    // A flush may schedule more outboxes, which belong to the next turn.
    this.began = undefined
    this.end()
    this.endedAt = this.clock.now()
    this.lastedMs = this.endedAt - began
  }

  private end(): void {
    const dirty = this.dirty
    this.dirty = []
    // A new chain, otherwise the old one would keep the frames of this turn alive.
    this.chain = new FrameChain()
    // In reverse order: a publisher got its receipt after its subscribers got the message, and prepares its next batch while the
    // hub writes to them.
    for (let at = dirty.length - 1; at >= 0; at--) (dirty[at] as Flushable).flush()
  }
}
