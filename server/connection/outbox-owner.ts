import type { Traffic } from '../monitor/traffic.ts'
import type { Subscription } from '../topic/subscription.ts'
import type { OutboxBudget } from './outbox-budget.ts'
import type { WriteTurn } from './write-turn.ts'

/** What a connection's outbox needs from the connection. */
export interface OutboxOwner {
  /** The policy, or the limit for all outboxes, requires the connection to end. Called in the middle of a fan-out. */
  overflow(code: 'slow_consumer' | 'outbox_total'): void
  /** A stream can no longer feed this subscription. */
  feedFailed(subscription: Subscription, error: unknown): void
  /** A bug: the outbox has been released, and the connection has to end. Also called in the middle of a fan-out. */
  failed(error: unknown): void
}

/** The window of a publisher depends on the receipts that it has been sent. */
export interface ReceiptWindow {
  /** The socket has this many receipts: the publisher may send as many again. */
  receiptsSent(count: number): void
}

/** Continues when the connection has taken everything that it was sent. */
export interface WaitsForOutbox {
  caughtUp(): void
}

/** What all outboxes of a hub share. */
export interface OutboxShared {
  readonly turn: WriteTurn
  readonly budget: OutboxBudget
  readonly traffic: Traffic
  /** Maximum bytes per outbox. */
  readonly limit: number
}
