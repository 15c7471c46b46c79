import { setTimeout } from 'node:timers/promises'
import type { BarrierFigures } from '../remote-status.ts'
import type { BrokerLink } from './link.ts'

/** How long one wait for replicas may take, in milliseconds. Each asks them what they have; one that comes later is asked by the next. */
const WAIT_MS = 100
/** The same if they are all there, and answer more slowly: each wait is for something newer than the one before. */
const LONGEST_WAIT_MS = 2_000
/** Replicas that need more than this are too few, or too slow. */
const SHORT_MS = 1_000
const RETRY_MS = 50
/** How long a publisher waits for replicas before its outcome is unknown. */
const PATIENCE_MS = 10_000

interface Passing {
  then(): void
  /** It is unknown whether it is safe, or it was lost. */
  lost(): void
}

/**
 * Says up to which commit everything is safe: all configured replicas have it, so that no failover takes it back. Nothing of a commit leaves this node
 * before. Without replicas there is nothing to wait for.
 */
export class Barrier {
  private readonly link: BrokerLink
  private readonly replicas: number
  private readonly isSafe: (commit: number) => void
  private readonly isOverdue: () => void
  /** The newest commit of this link, and up to which one its commits are safe. */
  private wanted = 0
  private safe = 0
  private passing: Passing[] = []
  /** Counts the links: what one Redis has heard of says nothing of the commits of another, which may have the same numbers. */
  links = 0
  private isWaiting = false
  private isClosed = false
  private shortfalls = 0
  private waits = 0
  private waitedMs = 0
  /** Since when nothing has become safe. */
  private since = 0
  /** When a shortfall was counted last. */
  private shortAt = 0
  private waitMs = WAIT_MS

  /** `isOverdue`: nothing has become safe for too long to let anyone wait for it. */
  constructor(link: BrokerLink, replicas: number, isSafe: (commit: number) => void, isOverdue: () => void) {
    this.isOverdue = isOverdue
    this.link = link
    this.replicas = replicas
    this.isSafe = isSafe
  }

  /** A new link, perhaps to another Redis, or one that has gone back: commits that come may have the numbers of others, which were safe. */
  startOver(): void {
    this.links++
    this.waitMs = WAIT_MS
    this.wanted = 0
    this.safe = 0
  }

  /** A commit is in Redis. */
  reached(commit: number, node: string): void {
    if (this.replicas === 0) return this.isSafe(commit)
    this.wanted = Math.max(this.wanted, commit)
    if (!this.isWaiting) void this.wait(node)
  }

  /** Calls `then` once what was answered before the call is safe: what changes no log, such as leases. */
  passed(node: string, then: () => void, lost: () => void): void {
    if (this.replicas === 0) return then()
    if (this.isClosed) return lost()
    this.passing.push({ then, lost })
    if (!this.isWaiting) void this.wait(node)
  }

  /** Resolves to whether what was answered before the call is safe; false if that takes too long, or Redis has lost it. */
  covers(node: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.passed(
        node,
        () => resolve(true),
        () => resolve(false),
      )
    })
  }

  /** Redis has lost what it had answered and was not safe. */
  drop(): void {
    const { passing } = this
    // A wait that was sent for them must not answer them once more, nor those that come now.
    this.passing = []
    for (const { lost } of passing.splice(0)) lost()
  }

  get figures(): BarrierFigures {
    const { waits, waitedMs, shortfalls } = this
    const waitingMs = this.isWaiting ? performance.now() - this.since : 0
    return { waits, seconds: waitedMs / 1000, shortfalls, waitingSeconds: waitingMs / 1000 }
  }

  close(): void {
    this.isClosed = true
    this.drop()
  }

  private async wait(node: string): Promise<void> {
    this.isWaiting = true
    this.since = performance.now()
    try {
      while ((this.safe < this.wanted || this.passing.length > 0) && !this.isClosed) {
        if (await this.link.standsWithin(WAIT_MS)) await this.ask(node)
        if (performance.now() - this.since > PATIENCE_MS) {
          this.isOverdue()
          this.drop()
        }
      }
    } finally {
      this.isWaiting = false
    }
  }

  private async ask(node: string): Promise<void> {
    // What was heard before it is sent is covered by it.
    const { links, wanted, passing } = this
    const count = passing.length
    try {
      const there = await this.link.waitForReplicas(this.link.keys.waited(node), this.replicas, this.waitMs)
      if (links !== this.links) return
      if (there < this.replicas) {
        this.fallsShort()
        this.waitMs = (await this.areThere()) ? Math.min(2 * this.waitMs, LONGEST_WAIT_MS) : WAIT_MS
        return
      }
    } catch {
      // The link is gone: again on the next one.
      await setTimeout(RETRY_MS)
      return
    }
    this.safe = wanted
    this.passedAll()
    this.isSafe(wanted)
    for (const { then } of passing.splice(0, count)) then()
  }

  /** Whether enough replicas are connected, and have had all data once. Where INFO is not permitted, nothing tells. */
  private async areThere(): Promise<boolean> {
    const info = String(await this.link.ask('INFO', 'replication').catch(() => ''))
    return info === '' || (info.match(/state=online/g) ?? []).length >= this.replicas
  }

  private fallsShort(): void {
    const now = performance.now()
    if (now - Math.max(this.since, this.shortAt) < SHORT_MS) return
    this.shortAt = now
    this.shortfalls++
  }

  private passedAll(): void {
    const now = performance.now()
    this.waits++
    this.waitedMs += now - this.since
    this.since = now
  }
}
