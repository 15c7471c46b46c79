import type {
  Attention,
  ConnectionInfo,
  ConnectionSort,
  ConnectionsEnded,
  ConnectionsFound,
  ConnectionsPage,
  EndedConnection,
  History,
  HistoryParams,
  HubInfo,
  NodesStatus,
  Search,
  TopicSort,
  TopicsFound,
  TopicsStatus,
} from '../shared/sys.ts'
import type { WhoAmI } from '../shared/whoami.ts'

type Call = (method: string, params?: unknown) => Promise<unknown>

/** Administration of the hub as a whole. The hub publishes the same figures once a second on `$sys.hub`. */
export class HubAdmin {
  readonly #call: Call
  readonly #time: () => number

  /** @internal */
  constructor(call: Call, time: () => number) {
    this.#call = call
    this.#time = time
  }

  /**
   * The hub's time, in milliseconds since 1970. Compare the times in its answers (`connectedAt`, `oldestAt`, `diedAt`) with it,
   * because the clocks of two machines differ. Before the first connection it is the time of this machine.
   */
  now(): number {
    return this.#time()
  }

  /**
   * The identity of this client: subject, roles and permissions, and when its token expires. Any client may ask.
   *
   * @example
   * ```
   * const { subject, expiresAt } = await client.admin.hub.whoami()
   * ```
   */
  whoami(): Promise<WhoAmI> {
    return this.#call('hub.whoami') as Promise<WhoAmI>
  }

  /** Traffic, what the hub holds, and the resources of its process. */
  show(): Promise<HubInfo> {
    return this.#call('hub.show') as Promise<HubInfo>
  }

  /**
   * What needs attention, the worst first: one entry for the hub, a queue or a connection, with all that is wrong with it.
   *
   * @param options - `limit` entries (20 by default, 1,000 at most)
   */
  attention(options: { readonly limit?: number | undefined } = {}): Promise<Attention> {
    return this.#call('hub.attention', options) as Promise<Attention>
  }

  /**
   * What the hub remembers of the figures of a queue, a stream or itself: five minutes by the second, or a day by the minute.
   *
   * @throws {FanfareError} no_queue, no_stream
   * @example
   * ```
   * const { times, figures } = await client.admin.hub.history({ of: 'queue', name: 'emails', range: 'day' })
   * ```
   */
  history(params: HistoryParams): Promise<History> {
    return this.#call('hub.history', params) as Promise<History>
  }
}

/** Administration of nodes: hubs that serve clients together. The hub publishes the same figures once a second on `$sys.nodes`. */
export class NodeAdmin {
  readonly #call: Call

  /** @internal */
  constructor(call: Call) {
    this.#call = call
  }

  /**
   * All nodes by name, each with its own figures: just one for a hub that is not part of a cluster. A node that does not answer within a second has
   * only its id and its name.
   *
   * @example
   * ```
   * const { nodes } = await client.admin.nodes.list()
   * ```
   */
  list(): Promise<NodesStatus> {
    return this.#call('nodes.list') as Promise<NodesStatus>
  }
}

/** Administration of connections. The hub publishes the slowest once a second on `$sys.connections`. */
export class ConnectionAdmin {
  readonly #call: Call

  /** @internal */
  constructor(call: Call) {
    this.#call = call
  }

  /**
   * A page of connections in the order in which they opened, from a connection's `number` on: 100 by default, 1,000 at most.
   * Each has its first ten subscriptions and consumers.
   */
  list(
    page: { readonly from?: number | undefined; readonly limit?: number | undefined } = {},
  ): Promise<ConnectionsPage> {
    return this.#call('connections.list', page) as Promise<ConnectionsPage>
  }

  /** Searches all open connections, and gives a part of those that match: connections with problems first, unless `sort` is given. */
  find(search: Search<ConnectionSort> = {}): Promise<ConnectionsFound> {
    return this.#call('connections.find', search) as Promise<ConnectionsFound>
  }

  /**
   * One connection, with all of its subscriptions and consumers. If it is one of the last 100 that have ended: its last figures, with
   * `endedAt` and `reason`. Rejects with `no_connection`.
   */
  show(connection: string): Promise<ConnectionInfo | EndedConnection> {
    return this.#call('connections.show', { connection }) as Promise<ConnectionInfo | EndedConnection>
  }

  /** The last 100 connections that have ended, the latest first, with their last figures and the reason. */
  async recent(): Promise<readonly EndedConnection[]> {
    return ((await this.#call('connections.recent')) as ConnectionsEnded).connections
  }

  /**
   * Ends a connection with `disconnected_by_operator`, after everything that its outbox holds. Its client reconnects after a wait. Rejects
   * with `no_connection`.
   */
  async disconnect(connection: string): Promise<void> {
    await this.#call('connections.disconnect', { connection })
  }
}

/** Administration of topics. The hub publishes the busiest once a second on `$sys.topics`. */
export class TopicAdmin {
  readonly #call: Call

  /** @internal */
  constructor(call: Call) {
    this.#call = call
  }

  /** Searches all topics that the hub remembers, and gives a part of those that match, in the order of `sort` (the busiest first by default). */
  find(search: Search<TopicSort> = {}): Promise<TopicsFound> {
    return this.#call('topics.find', search) as Promise<TopicsFound>
  }

  /** The busiest ones: 100 by default, 1,000 at most. */
  list(page: { readonly limit?: number | undefined } = {}): Promise<TopicsStatus> {
    return this.#call('topics.list', page) as Promise<TopicsStatus>
  }
}
