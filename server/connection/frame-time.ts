// Imported: what stands in the global object a user's fake timers may have replaced.
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers'

/** Time that one turn of the event loop has for the frames of all connections, in milliseconds. */
const TURN_MS = 10
/** After this many frames the clock is read; a connection that waits handles as many before the next one has its turn. */
export const LOOK_EVERY = 4
/** If they took longer than this, in milliseconds, it is read after each frame. */
const SLOW_MS = 1
/**
 * Bytes of messages that have been decoded and whose frames wait: decoded, they take many times the memory. Further messages wait
 * as they came, unless they are small.
 */
const OPEN_BYTES = 2 * 1024 * 1024
const SMALL_BYTES = 4 * 1024

const now = performance.now.bind(performance)

/** A connection with frames that wait. */
export interface WaitsForTime {
  /** Handles some of its frames. Returns whether more wait. Never throws. */
  goOn(): boolean
}

/**
 * The time for frames, shared by all connections of a hub. Frames may cost much more than their bytes: once the time of a turn is
 * over, the rest waits for the next turn, and what else there is to do comes in between. The connections that wait take turns.
 */
export class FrameTime {
  private over = false
  private since: number | undefined = undefined
  private looked = 0
  /** Frames until the clock is read again. */
  private unlooked = 1
  private openBytes = 0
  private readonly waiting = new Set<WaitsForTime>()

  /** Whether this turn has time for a frame. */
  get left(): boolean {
    return !this.over
  }

  /** Whether a message of this size may be decoded now. */
  opens(bytes: number): boolean {
    if (this.over) return false
    return this.openBytes === 0 || bytes <= SMALL_BYTES || this.openBytes + bytes <= OPEN_BYTES
  }

  /** A message has been decoded and some of its frames wait; negative when they no longer do. */
  opened(bytes: number): void {
    this.openBytes += bytes
  }

  /** Call after each frame. */
  used(): void {
    if (--this.unlooked > 0) return
    const time = now()
    this.unlooked = time - this.looked > SLOW_MS ? 1 : LOOK_EVERY
    this.looked = time
    if (this.since === undefined) this.begin(time)
    else if (time - this.since > TURN_MS) this.over = true
  }

  wait(connection: WaitsForTime): void {
    this.waiting.add(connection)
    if (this.since === undefined) this.begin(now())
  }

  leave(connection: WaitsForTime): void {
    this.waiting.delete(connection)
  }

  private begin(time: number): void {
    this.since = time
    setImmediate(this.next)
  }

  /** The next turn. */
  private readonly next = (): void => {
    this.over = false
    // The first frame of a turn may be a slow one.
    this.unlooked = 1
    this.since = this.waiting.size === 0 ? undefined : now()
    // Those that are added again come last.
    for (const connection of this.waiting) {
      if (this.over) break
      this.waiting.delete(connection)
      if (connection.goOn()) this.waiting.add(connection)
    }
    // Last, so that what these frames have sent goes out before the next ones are handled.
    if (this.since !== undefined) setImmediate(this.next)
  }
}
