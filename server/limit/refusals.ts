import type { Logger } from 'pino'

/** Minimum time between two log lines for one reason: refused peers may come back at any rate. */
const LINE_EVERY_MS = 10_000

interface ReportedReason {
  loggedAt: number
  unlogged: number
}

/** Reports to the operator what is refused and why. Metrics count every refusal; only some are logged. */
export class Refusals {
  private readonly log: Logger
  private readonly reasons = new Map<string, ReportedReason>()

  constructor(log: Logger) {
    this.log = log
  }

  /**
   * Logs a refusal, at most once in ten seconds for each reason.
   *
   * @param reason - the name of a limit, or the code of an error: there are few of them
   * @param about - additional fields of the log line; never text of unlimited length that a peer chose
   */
  report(reason: string, about: object = {}): void {
    const now = performance.now()
    const known = this.reasons.get(reason)
    if (known && now - known.loggedAt < LINE_EVERY_MS) {
      known.unlogged++
      return
    }
    this.reasons.set(reason, { loggedAt: now, unlogged: 0 })
    try {
      this.log.warn({ reason, ...about, unlogged: known?.unlogged ?? 0 }, 'refused')
    } catch {
      // A log that cannot be written must not cost a connection. The metrics have counted the refusal.
    }
  }
}
