import type { Logger } from 'pino'
import type { Clock } from '../../shared/clock.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import type { ConnectionInfo, NodeInfo } from '../../shared/sys.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import type { MessageLimits } from '../limit/message-limits.ts'
import type { Traffic } from '../monitor/traffic.ts'
import type { DispatchParts } from './dispatch.ts'
import type { Expiring } from './heartbeat.ts'
import type { InboxShared } from './inbox.ts'
import type { WelcomeParts } from './login.ts'
import type { OutboxShared } from './outbox-owner.ts'

/**
 * What all connections of a hub share, created once per hub: the parts of a connection, and what connections use directly.
 */
export interface ConnectionParts {
  readonly inbox: InboxShared
  readonly outbox: OutboxShared
  readonly dispatch: DispatchParts
  readonly welcome: WelcomeParts
  readonly authenticator: Authenticator
  readonly limits: MessageLimits
  readonly traffic: Traffic
  readonly turn: { arrived(): void }
  readonly clock: Clock
  readonly log: Logger
  readonly unexpected: UnexpectedErrors
  readonly helloTimeoutMs: number
  /** The node that has the connections. */
  node(): NodeInfo
  /** From now on the connection is regularly asked whether its token has expired. */
  watchExpiry(connection: Expiring): void
  /** An admitted connection has ended, with its last figures and the error that ended it. */
  ended(last: ConnectionInfo, code: ErrorCode | undefined): void
  /** The socket was closed by either side. */
  closed(connectionId: string): void
}
