import type { Logger } from 'pino'
import type { Clock } from '../../shared/clock.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import type { ConnectionInfo } from '../../shared/sys.ts'
import type { Caller } from '../admin/operator-log.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { Broker } from '../broker/broker.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import type { LimitConfig } from '../limit/limits.ts'
import type { MessageLimits } from '../limit/message-limits.ts'
import type { SubscriptionBudget } from '../limit/subscription-budget.ts'
import type { Traffic } from '../monitor/traffic.ts'
import type { Queues } from '../queue/queues.ts'
import type { Streams } from '../stream/streams.ts'
import type { Requests } from '../topic/requests.ts'
import type { Topics } from '../topic/topics.ts'
import type { FrameTime } from './frame-time.ts'
import type { OutboxBudget } from './outbox-budget.ts'
import type { Turn } from './turn.ts'

/** What is let in for a time. */
export interface Expiring {
  /** Ends it when that is over. */
  checkExpiry(): void
}

/** What all connections of a hub share. */
export interface ConnectionContext {
  readonly config: ConnectionConfig
  readonly topics: Topics
  readonly streams: Streams
  readonly queues: Queues
  readonly requests: Requests
  readonly broker: Broker
  readonly turn: Turn
  readonly frameTime: FrameTime
  readonly budget: OutboxBudget
  readonly subscriptionBudget: SubscriptionBudget
  readonly traffic: Traffic
  readonly limits: MessageLimits
  readonly log: Logger
  readonly unexpected: UnexpectedErrors
  readonly clock: Clock
  readonly authenticator: Authenticator
  /** Runs a method of the operators', where it is permitted. */
  call(method: string, params: unknown, caller: Caller): Promise<unknown>
  /** Has a connection asked from now on whether its token has expired. */
  watchExpiry(connection: Expiring): void
  /** A connection that had come in has ended: its last figures, and the error that ended it. */
  ended(last: ConnectionInfo, code: ErrorCode | undefined): void
  /** The socket has closed, by whichever side. */
  closed(connectionId: string): void
}

/** How many looks of the heartbeat in a row find a peer silent before it is pinged, and before its connection is ended. */
export interface Patience {
  readonly pingAfter: number
  readonly endAfter: number
}

export interface ConnectionConfig extends LimitConfig {
  readonly outboxBytes: number
  readonly frameBytes: number
  readonly subscriptions: number
  readonly window: number
  readonly calls: number
  readonly pingIntervalMs: number
  readonly helloTimeoutMs: number
}
