import type { Clock, Timer } from '../../shared/clock.ts'

/** A connection that is admitted for a limited time. */
export interface Expiring {
  /** Ends the connection if that time is over. */
  checkExpiry(): void
}

/** After how many silent looks in a row a peer is pinged, and after how many its connection is ended. */
export interface SilenceBounds {
  readonly pingAfter: number
  readonly endAfter: number
}

/** A connection whose peer has to show signs of life. */
export interface PingedConnection extends Expiring {
  look(patience: SilenceBounds): void
  /** Returns whether it need not be asked again. */
  checkHello(now: number): boolean
}

/** Interval of the timer, in milliseconds. Each tick looks at a slice of the connections: looking at all of them at once would stall the hub. */
const TICK_MS = 250
/** How late the expiry of a token may be noticed, in milliseconds. */
const EXPIRY_MS = 1_000
/**
 * Looks per connection and ping interval. Silence is counted in looks rather than time: a hub that was itself stopped reads what
 * its peers have sent in the meantime before it judges them.
 */
const LOOKS = 8
/** Maximum number of slices, so that a ping interval of weeks takes no more memory than one of minutes. */
const MAX_SLICES = 1_000
/** Maximum time that a pinged peer has to answer, in milliseconds; it is never longer than a ping interval. */
const ANSWER_MS = 10_000

/**
 * Pings connections that have been silent for a ping interval, ends those that do not answer, and watches for connections without a
 * first frame and for expired tokens. One timer for all.
 */
export class Heartbeat {
  private readonly slices: Set<PingedConnection>[]
  private readonly patience: SilenceBounds
  private readonly silent = new Set<PingedConnection>()
  private readonly expiring = new Set<Expiring>()
  private expiryChecked = 0
  private readonly clock: Clock
  private readonly timer: Timer
  /** Ticks per slice, and ticks since the last slice. */
  private readonly ticksPerSlice: number
  private ticks = 0
  private newest = 0
  private due = 0

  constructor(pingIntervalMs: number, clock: Clock) {
    this.clock = clock
    const lookMs = Math.max(1, pingIntervalMs / LOOKS)
    const tickMs = Math.min(TICK_MS, lookMs)
    const ticks = Math.max(1, Math.round(lookMs / tickMs))
    this.ticksPerSlice = Math.ceil(ticks / MAX_SLICES)
    this.slices = Array.from({ length: Math.ceil(ticks / this.ticksPerSlice) }, () => new Set())
    // The first look sees only part of the silence.
    const pingAfter = LOOKS - 1
    this.patience = { pingAfter, endAfter: pingAfter + Math.ceil(Math.min(pingIntervalMs, ANSWER_MS) / lookMs) }
    this.timer = clock.setInterval(() => this.tick(), tickMs)
    this.timer.unref()
  }

  add(connection: PingedConnection): void {
    this.newest = (this.newest + 1) % this.slices.length
    this.slices[this.newest]?.add(connection)
    this.silent.add(connection)
  }

  watchExpiry(connection: Expiring): void {
    this.expiring.add(connection)
  }

  remove(connection: PingedConnection): void {
    this.expiring.delete(connection)
    for (const slice of this.slices) if (slice.delete(connection)) break
    this.silent.delete(connection)
  }

  stop(): void {
    this.clock.clearInterval(this.timer)
  }

  private tick(): void {
    if (++this.ticks >= this.ticksPerSlice) {
      this.ticks = 0
      this.due = (this.due + 1) % this.slices.length
      for (const connection of this.slices[this.due] ?? []) connection.look(this.patience)
    }
    const now = this.clock.now()
    // Ordered by arrival: after the first one with time left, all have time left.
    for (const connection of this.silent) {
      if (!connection.checkHello(now)) break
      this.silent.delete(connection)
    }
    if (now - this.expiryChecked < EXPIRY_MS) return
    this.expiryChecked = now
    for (const connection of this.expiring) connection.checkExpiry()
  }
}
