/** How often it is looked at, in milliseconds. */
const LOOK_MS = 250
/** So long a busy hub does not stand still; and no client leaves sooner because its hub is silent. */
const STANDSTILL_MS = 2_000

/**
 * Notices that this process did not run for a while: it was stopped, or its machine was. Its clients may have gone to other hubs meanwhile, and what they had sent
 * still lies in its sockets. Node runs timers before it reads any of that.
 */
export class Standstill {
  private readonly timer: NodeJS.Timeout
  private lookedAt = performance.now()

  /** `over`: it runs again, and has read nothing yet. */
  constructor(over: (ms: number) => void) {
    this.timer = setInterval(() => {
      const now = performance.now()
      const ms = now - this.lookedAt - LOOK_MS
      this.lookedAt = now
      if (ms > STANDSTILL_MS) over(ms)
    }, LOOK_MS).unref()
  }

  close(): void {
    clearInterval(this.timer)
  }
}
