import { setTimeout } from 'node:timers/promises'
import type { BarrierFigures } from '../remote-status.ts'
import type { BrokerLink } from './link.ts'

/** How long one wait for replicas may take, in milliseconds. */
const WAIT_MS = 1_000
const RETRY_MS = 50
/** How long a publisher waits for replicas before its outcome is unknown. */
const PATIENCE_MS = 10_000

/**
 * Says up to which commit everything is safe: all configured replicas have it, so that no failover takes it back. Nothing of a commit leaves this node
 * before. Without replicas there is nothing to wait for.
 */
export class Barrier {
  private readonly link: BrokerLink
  private readonly replicas: number
  private readonly isSafe: (commit: number) => void
  private readonly isOverdue: () => void
  private wanted = 0
  private passing: (() => void)[] = []
  private isWaiting = false
  private isClosed = false
  private shortfalls = 0
  private waits = 0
  private waitedMs = 0
  /** Since when nothing has become safe. */
  private since = 0

  /** `isOverdue`: nothing has become safe for too long to let anyone wait for it. */
  constructor(link: BrokerLink, replicas: number, isSafe: (commit: number) => void, isOverdue: () => void) {
    this.isOverdue = isOverdue
    this.link = link
    this.replicas = replicas
    this.isSafe = isSafe
  }

  /** A commit is in Redis. */
  reached(commit: number, node: string): void {
    if (this.replicas === 0) return this.isSafe(commit)
    this.wanted = Math.max(this.wanted, commit)
    if (!this.isWaiting) void this.wait(node)
  }

  /** What was answered before the call is safe: what changes no log, such as leases. */
  passed(node: string, then: () => void): void {
    if (this.replicas === 0) return then()
    this.passing.push(then)
    if (!this.isWaiting) void this.wait(node)
  }

  get figures(): BarrierFigures {
    const { waits, waitedMs, shortfalls } = this
    const waitingMs = this.isWaiting ? performance.now() - this.since : 0
    return { waits, seconds: waitedMs / 1000, shortfalls, waitingSeconds: waitingMs / 1000 }
  }

  close(): void {
    this.isClosed = true
  }

  private async wait(node: string): Promise<void> {
    this.isWaiting = true
    let safe = 0
    this.since = performance.now()
    while ((safe < this.wanted || this.passing.length > 0) && !this.isClosed) {
      // What was heard before it is sent is covered by it.
      const covered = this.wanted
      const passing = this.passing
      this.passing = []
      try {
        await this.link.standsWithin(WAIT_MS)
        const count = await this.link.waitForReplicas(this.link.keys.waited(node), this.replicas, WAIT_MS)
        if (count < this.replicas) {
          this.shortfalls++
          this.passing.unshift(...passing)
        } else {
          safe = covered
          this.passedAll()
          this.isSafe(covered)
          for (const then of passing) then()
        }
      } catch {
        // The link is gone: again on the next one.
        this.passing.unshift(...passing)
        await setTimeout(RETRY_MS)
      }
      if (performance.now() - this.since > PATIENCE_MS) this.isOverdue()
    }
    this.isWaiting = false
  }

  private passedAll(): void {
    const now = performance.now()
    this.waits++
    this.waitedMs += now - this.since
    this.since = now
  }
}
