// Imported: what stands in the global object a user's fake timers may have replaced.
import { setImmediate } from 'node:timers'
import type { Clock } from '../../shared/clock.ts'
import { Run } from './run.ts'

/** What is flushed at the end of a turn. */
export interface Flushable {
  flush(): void
}

/**
 * One turn of the event loop, shared by all outboxes of a hub: everything that is appended while the loop handles what
 * has arrived goes out together when it has. `setImmediate` runs right after the poll phase, so a lone message waits
 * for nothing.
 */
export class Turn {
  private run = new Run()
  private dirty: Flushable[] = []
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The time, by which messages expire. */
  now(): number {
    return this.clock.now()
  }

  /** The empty run at which every outbox of this turn starts. The outbox will be flushed. */
  begin(outbox: Flushable): Run {
    this.schedule(outbox)
    return this.run
  }

  schedule(outbox: Flushable): void {
    if (this.dirty.length === 0) setImmediate(this.end)
    this.dirty.push(outbox)
  }

  private readonly end = (): void => {
    const dirty = this.dirty
    this.dirty = []
    // A new start, or the old one would keep the frames of this turn alive.
    this.run = new Run()
    // Backwards: a publisher got its receipt after its subscribers got the message, and prepares its next batch while
    // the hub writes to them.
    for (let at = dirty.length - 1; at >= 0; at--) (dirty[at] as Flushable).flush()
  }
}
