import { ConnectionAdmin, HubAdmin, NodeAdmin, TopicAdmin } from './hub.ts'
import { QueueAdmin } from './queues.ts'
import { StreamAdmin } from './streams.ts'

/** Calls a method of the hub. */
type Call = (method: string, params?: unknown, untilSent?: boolean) => Promise<unknown>

/**
 * Administration of a hub. Each method needs the permissions that docs/permissions.md lists, and rejects with `forbidden` without them.
 *
 * @example
 * ```
 * await client.admin.queues.declare({ name: 'emails', ackDeadline: '30s' })
 * ```
 */
export class Admin {
  /** The hub as a whole: its figures, their history, and what needs attention. */
  readonly hub: HubAdmin
  /** The nodes of the hub. */
  readonly nodes: NodeAdmin
  /** Open connections and the last ones that ended. */
  readonly connections: ConnectionAdmin
  /** The topics that the hub remembers. */
  readonly topics: TopicAdmin
  /** Streams and their cursors. */
  readonly streams: StreamAdmin
  /** Queues and their dead letters. */
  readonly queues: QueueAdmin

  /** @internal */
  constructor(call: Call, hubNow: () => number) {
    this.hub = new HubAdmin(call, hubNow)
    this.nodes = new NodeAdmin(call)
    this.connections = new ConnectionAdmin(call)
    this.topics = new TopicAdmin(call)
    this.streams = new StreamAdmin(call)
    this.queues = new QueueAdmin(call)
  }
}
