// Imported, because a user's fake timers may have replaced the global.
import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers'

/** Time per turn of the event loop for the frames of all connections, in milliseconds. */
const TURN_MS = 10
/** Number of frames after which the clock is read. A waiting connection handles as many before the next one gets its turn. */
export const LOOK_EVERY = 4
/** If they took longer than this, in milliseconds, the clock is read after each frame. */
const SLOW_MS = 1
/**
 * Maximum bytes of decoded messages whose frames wait: decoded, they take many times the memory. Further messages wait undecoded,
 * unless they are small.
 */
const OPEN_BYTES = 2 * 1024 * 1024
const SMALL_BYTES = 4 * 1024

const now = performance.now.bind(performance)

/** A connection with waiting frames. */
export interface WaitsForTime {
  /** Handles some of its frames. Returns whether more are waiting. Never throws. */
  goOn(): boolean
}

/**
 * The time for frames, shared by all connections of a hub. Frames can cost much more than their bytes suggest: once the time of a
 * turn is used up, the rest waits for the next turn, and other work happens in between. Waiting connections take turns.
 */
export class FrameTime {
  private over = false
  private since: number | undefined = undefined
  private looked = 0
  /** Frames left until the clock is read again. */
  private unlooked = 1
  private openBytes = 0
  private readonly waiting = new Set<WaitsForTime>()

  /** Whether this turn has time for another frame. */
  get left(): boolean {
    return !this.over
  }

  /** Whether a message of this size may be decoded now. */
  opens(bytes: number): boolean {
    if (this.over) return false
    return this.openBytes === 0 || bytes <= SMALL_BYTES || this.openBytes + bytes <= OPEN_BYTES
  }

  /** A decoded message of this size has waiting frames; negative when it no longer does. */
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

  /** Starts the next turn. */
  private readonly next = (): void => {
    this.over = false
    // The first frame of a turn may be a slow one.
    this.unlooked = 1
    this.since = this.waiting.size === 0 ? undefined : now()
    // Connections that are added again come last.
    for (const connection of this.waiting) {
      if (this.over) break
      this.waiting.delete(connection)
      if (connection.goOn()) this.waiting.add(connection)
    }
    // Last, so that what these frames have sent is written before the next ones are handled.
    if (this.since !== undefined) setImmediate(this.next)
  }
}
