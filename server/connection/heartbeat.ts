import type { Clock, Timer } from '../../shared/clock.ts'
import type { Connection } from './connection.ts'
import type { Expiring } from './context.ts'

/** A slice of the connections is pinged in each of these, in milliseconds: all at once would stall the hub. */
const TICK_MS = 250
/** How late the end of a token may be noticed, in milliseconds. */
const EXPIRY_MS = 1_000

/**
 * Pings every connection once in a ping interval, and watches for those that never say anything and for tokens that
 * expire. One timer for all.
 */
export class Heartbeat {
  private readonly slices: Set<Connection>[]
  private readonly silent = new Set<Connection>()
  private readonly expiring = new Set<Expiring>()
  private expiryChecked = 0
  private readonly clock: Clock
  private readonly timer: Timer
  private newest = 0
  private due = 0

  constructor(pingIntervalMs: number, clock: Clock) {
    this.clock = clock
    const count = Math.max(1, Math.round(pingIntervalMs / TICK_MS))
    this.slices = Array.from({ length: count }, () => new Set())
    this.timer = clock.setInterval(() => this.tick(), Math.min(TICK_MS, pingIntervalMs))
    this.timer.unref()
  }

  add(connection: Connection): void {
    this.newest = (this.newest + 1) % this.slices.length
    this.slices[this.newest]?.add(connection)
    this.silent.add(connection)
  }

  watchExpiry(connection: Expiring): void {
    this.expiring.add(connection)
  }

  remove(connection: Connection): void {
    this.expiring.delete(connection)
    for (const slice of this.slices) if (slice.delete(connection)) break
    this.silent.delete(connection)
  }

  stop(): void {
    this.clock.clearInterval(this.timer)
  }

  private tick(): void {
    this.due = (this.due + 1) % this.slices.length
    for (const connection of this.slices[this.due] ?? []) connection.heartbeat()
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
