/** How often it is looked at, in milliseconds. */
const LOOK_MS = 250
/** A hub that is only busy runs more often than this, and with a usual `pingInterval` no client leaves sooner because its hub is silent. */
const STANDSTILL_MS = 2_000

/** Notices that this process did not run for a while: it was stopped, or its machine was. */
export class Standstill {
  private readonly over: (ms: number) => void
  private readonly timer: NodeJS.Timeout
  private lookedAt = performance.now()

  /** `over`: it runs again. */
  constructor(over: (ms: number) => void) {
    this.over = over
    this.timer = setInterval(() => this.look(), LOOK_MS).unref()
  }

  /** Before anything is done that would be wrong after a standstill: a process that was stopped may read its sockets before its timers run. */
  look(): void {
    const now = performance.now()
    const ms = now - this.lookedAt - LOOK_MS
    this.lookedAt = now
    if (ms > STANDSTILL_MS) this.over(ms)
  }

  close(): void {
    clearInterval(this.timer)
  }
}
