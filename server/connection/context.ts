import type { Logger } from 'pino'
import type { Topics } from '../topic/topics.ts'
import type { OutboxBudget } from './outbox-budget.ts'
import type { Turn } from './turn.ts'

/** What all connections of a hub share. */
export interface ConnectionContext {
  readonly config: ConnectionConfig
  readonly topics: Topics
  readonly turn: Turn
  readonly budget: OutboxBudget
  readonly log: Logger
  /** The socket has closed, by whichever side. */
  closed(connectionId: string): void
}

export interface ConnectionConfig {
  readonly outboxBytes: number
  readonly frameBytes: number
  readonly subscriptions: number
  readonly window: number
  readonly pingIntervalMs: number
  readonly helloTimeoutMs: number
}
