import type { Clock, Timer } from '../../shared/clock.ts'

/** What is let in for a time. */
export interface Expiring {
  /** Ends it if that time is over. */
  checkExpiry(): void
}

/** How many looks of the heartbeat in a row find a peer silent before it is pinged, and before its connection is ended. */
export interface SilenceBounds {
  readonly pingAfter: number
  readonly endAfter: number
}

/** A connection whose peer has to show that it is there. */
export interface PingedConnection extends Expiring {
  look(patience: SilenceBounds): void
  /** Returns whether it need not be asked again. */
  checkHello(now: number): boolean
}

/** The timer ticks this often, in milliseconds. At each tick a slice of the connections is looked at: all at once would stall the hub. */
const TICK_MS = 250
/** How late the end of a token may be noticed, in milliseconds. */
const EXPIRY_MS = 1_000
/**
 * Looks at a connection in one ping interval. Silence is counted in looks and not in time: a hub that was stopped itself reads what its
 * peers sent meanwhile before it judges them.
 */
const LOOKS = 8
/** Maximum number of slices: a ping interval of weeks takes no more memory than one of minutes. */
const MAX_SLICES = 1_000
/** A peer that was pinged has a ping interval to answer, and this long at most, in milliseconds. */
const ANSWER_MS = 10_000

/**
 * Pings connections that have been silent for a ping interval, ends those that do not answer, and watches for those that never say
 * anything and for tokens that expire. One timer for all.
 */
export class Heartbeat {
  private readonly slices: Set<PingedConnection>[]
  private readonly patience: SilenceBounds
  private readonly silent = new Set<PingedConnection>()
  private readonly expiring = new Set<Expiring>()
  private expiryChecked = 0
  private readonly clock: Clock
  private readonly timer: Timer
  /** Ticks for each slice, and those since the last one. */
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
    // The silence of the first look is a part of one.
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
    // In order of arrival: behind the first that has time left, all have.
    for (const connection of this.silent) {
      if (!connection.checkHello(now)) break
      this.silent.delete(connection)
    }
    if (now - this.expiryChecked < EXPIRY_MS) return
    this.expiryChecked = now
    for (const connection of this.expiring) connection.checkExpiry()
  }
}
