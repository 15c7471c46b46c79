import type { Subscription } from '../topic/subscription.ts'
import { type Account, Backlog } from './backlog.ts'

/** The backlogs of a connection's paused subscriptions, which share a number of bytes equally. */
export class PausedBacklogs {
  private readonly account: Account
  private readonly limit: number
  private readonly bySubscription = new Map<Subscription, Backlog>()

  /** @param limit - for all of them together, in bytes */
  constructor(account: Account, limit: number) {
    this.account = account
    this.limit = limit
  }

  get empty(): boolean {
    return this.bySubscription.size === 0
  }

  get subscriptions(): readonly Subscription[] {
    return [...this.bySubscription.keys()]
  }

  get backlogs(): Iterable<Backlog> {
    return this.bySubscription.values()
  }

  /** How many bytes each may hold. */
  get share(): number {
    return this.limit / Math.max(1, this.bySubscription.size)
  }

  has(subscription: Subscription): boolean {
    return this.bySubscription.has(subscription)
  }

  get(subscription: Subscription): Backlog | undefined {
    return this.bySubscription.get(subscription)
  }

  /** Begins a backlog. The others shrink to the new share; call `OutboxBudget.enter` too. */
  add(subscription: Subscription, now: number): void {
    this.bySubscription.set(subscription, new Backlog(this.account, now))
    for (const backlog of this.bySubscription.values()) backlog.shrinkTo(this.share, 'drop-oldest')
  }

  forget(subscription: Subscription): void {
    this.bySubscription.get(subscription)?.clear()
    this.bySubscription.delete(subscription)
  }

  clear(): void {
    for (const backlog of this.bySubscription.values()) backlog.clear()
    this.bySubscription.clear()
  }
}
