import type { Logger } from 'pino'
import type { Clock } from '../../shared/clock.ts'

/**
 * Where an unexpected error was caught, which tells what it cost: one `connection`, one `call`, one `http` request, one `engine`
 * callback, one `broker` callback, one answer to another node (`bus`), one run of a `timer`. `process`: nothing caught it, so the
 * cost is unknown.
 */
export const PLACES = ['connection', 'call', 'http', 'engine', 'broker', 'bus', 'timer', 'process'] as const
export type ErrorPlace = (typeof PLACES)[number]

/** Maximum log lines per second; further errors are only counted. A peer that has found a bug must not fill the disk. */
const LINES_PER_SECOND = 10

/**
 * The one place for errors that are bugs rather than refusals. Each is logged with its stack, and counted by where it was caught.
 * Metrics, readiness and `hub.show` read the counts.
 */
export class UnexpectedErrors {
  readonly counts = Object.fromEntries(PLACES.map((place) => [place, 0])) as Record<ErrorPlace, number>
  private readonly log: Logger
  private second = 0
  private linesInSecond = 0

  constructor(log: Logger) {
    this.log = log
  }

  get total(): number {
    return PLACES.reduce((sum, place) => sum + this.counts[place], 0)
  }

  /** Whether an error got past every boundary. The hub keeps running, but its state can no longer be trusted. */
  get escaped(): boolean {
    return this.counts.process > 0
  }

  /**
   * Logs and counts an error. Never throws.
   *
   * @param about - what the log line names besides the error, such as the connection
   */
  report(where: ErrorPlace, error: unknown, about: object = {}): void {
    this.counts[where]++
    const second = Math.floor(performance.now() / 1000)
    if (second !== this.second) {
      this.second = second
      this.linesInSecond = 0
    }
    if (++this.linesInSecond > LINES_PER_SECOND) return
    try {
      this.log.error({ err: error, where, total: this.total, ...about }, 'unexpected error: this is a bug in the hub')
    } catch {
      // A logger that cannot write, on a full disk for instance, must not end the process. The error has been counted.
    }
  }

  /** Runs a callback and reports what it throws. Returns false if it threw. */
  run(where: ErrorPlace, task: () => void, about?: object): boolean {
    try {
      task()
      return true
    } catch (error) {
      this.report(where, error, about)
      return false
    }
  }

  /** A clock whose timers report errors of their tasks and keep running. */
  guard(clock: Clock): Clock {
    const guarded = (task: () => void) => () => void this.run('timer', task)
    return {
      now: () => clock.now(),
      wall: () => clock.wall?.() ?? clock.now(),
      setTimeout: (task, ms) => clock.setTimeout(guarded(task), ms),
      clearTimeout: (timer) => clock.clearTimeout(timer),
      setInterval: (task, ms) => clock.setInterval(guarded(task), ms),
      clearInterval: (timer) => clock.clearInterval(timer),
      jitter: () => clock.jitter(),
    }
  }
}
