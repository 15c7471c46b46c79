import type { ConnectionInfo, NodeInfo } from '../../shared/sys.ts'
import type { Dispatch, DispatchInfo } from './dispatch.ts'
import type { Outbox } from './outbox.ts'

/** What a connection knows about itself. */
interface Described {
  readonly id: string
  readonly number: number
  readonly client: string | undefined
  readonly address: string
  readonly subject: string
  readonly since: number
}

const NOTHING_ASKED: DispatchInfo = {
  publishedTotal: 0,
  subscriptionCount: 0,
  subscriptions: [],
  consumerCount: 0,
  consumers: [],
}

/** A connection as operators see it, with at most this many of its subscriptions and of its consumers. */
export function connectionInfo(
  { id, number, client, address, subject, since }: Described,
  { heldBytes, limitBytes, behindSince, deliveredTotal, droppedTotal, droppedAt }: Outbox,
  dispatch: Dispatch | undefined,
  node: NodeInfo,
  now: number,
  most: number,
): ConnectionInfo {
  return {
    connection: id,
    number,
    node,
    ...(client !== undefined && { client }),
    address,
    ...(subject !== '' && { subject }),
    connectedAt: since,
    outboxBytes: heldBytes,
    outboxLimitBytes: limitBytes,
    lagMs: behindSince === undefined ? 0 : Math.max(0, now - behindSince),
    deliveredTotal,
    droppedTotal,
    ...(droppedAt !== undefined && { droppedAt }),
    ...(dispatch?.info(most) ?? NOTHING_ASKED),
  }
}
