import type { Logger } from 'pino'
import type { ErrorCode, FanfareError } from '../../shared/errors.ts'

/** Why commits fail. */
const CODES: readonly ErrorCode[] = ['storage_full', 'storage_failed', 'cluster_unreachable', 'outcome_unknown']
/** How often a fault that comes and goes is logged, in milliseconds. */
const SILENCE_MS = 1_000

interface Fault {
  readonly since: number
  commits: number
  /** Whether its beginning was logged. */
  isLogged: boolean
}

/**
 * Commits that have failed. Each is counted. The log has a line when a fault begins and one when it ends: a full disk makes every
 * commit fail, many times a second.
 */
export class FailedCommits {
  readonly counts = new Map<ErrorCode, number>(CODES.map((code) => [code, 0]))
  private readonly log: Logger
  private readonly faults = new Map<ErrorCode, Fault>()
  private readonly loggedAt = new Map<ErrorCode, number>()

  constructor(log: Logger) {
    this.log = log
  }

  /** `error`: what happened; `known`: what the waiting clients get, this many. */
  failed(error: unknown, known: FanfareError, waiting: number): void {
    const { code } = known
    const now = performance.now()
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1)
    const fault = this.faults.get(code) ?? { since: now, commits: 0, isLogged: false }
    this.faults.set(code, fault)
    fault.commits++
    if (fault.isLogged || now - (this.loggedAt.get(code) ?? Number.NEGATIVE_INFINITY) < SILENCE_MS) return
    fault.isLogged = true
    this.loggedAt.set(code, now)
    // The stack of a refusal shows nothing: only that of another error does.
    const cause = error === known ? { cause: known.message } : { err: error }
    this.log.error({ ...cause, code, waiting }, 'a commit failed')
  }

  /** `neededRoom`: otherwise it would have succeeded with a full disk, too. */
  succeeded(neededRoom: boolean): void {
    for (const [code, { since, commits, isLogged }] of this.faults) {
      if (code === 'storage_full' && !neededRoom) continue
      this.faults.delete(code)
      const seconds = Math.round(performance.now() - since) / 1000
      if (isLogged) this.log.warn({ code, failed: commits, seconds }, 'commits succeed again')
    }
  }
}
