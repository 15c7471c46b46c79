import type { Traffic } from '../monitor/traffic.ts'
import type { Subscription } from '../topic/subscription.ts'
import type { OutboxBudget } from './outbox-budget.ts'
import type { WriteTurn } from './write-turn.ts'

/** What a connection's outbox asks of the connection. */
export interface OutboxOwner {
  /** The policy, or the bound on all outboxes, says that the connection has to go. Called in the middle of a fan-out. */
  overflow(code: 'slow_consumer' | 'outbox_total'): void
  /** A stream cannot feed this subscription any longer. */
  feedFailed(subscription: Subscription, error: unknown): void
  /** A bug: the outbox has been released, and the connection has to go. Called in the middle of a fan-out, too. */
  failed(error: unknown): void
}

/** What a publisher may send depends on the receipts that it has been sent. */
export interface ReceiptWindow {
  /** The socket has this many receipts: the publisher may send that many again. */
  receiptsSent(count: number): void
}

/** What goes on when the connection has taken all that it was sent. */
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
