import type { ConnectionInfo, ConnectionsPage, HubInfo, TopicsStatus } from '../shared/sys.ts'

type Call = (method: string, params?: unknown) => Promise<unknown>

/** What an operator sees of the hub as a whole. The hub says the same once a second on `$sys.hub`. */
export class HubAdmin {
  readonly #call: Call
  readonly #time: () => number

  /** @internal */
  constructor(call: Call, time: () => number) {
    this.#call = call
    this.#time = time
  }

  /**
   * The hub's time, in milliseconds since 1970: what the times in its answers (`connectedAt`, `oldestAt`, `diedAt`) are to be compared
   * with, since clocks of two machines differ. Before the first connection it is the time of this machine.
   */
  now(): number {
    return this.#time()
  }

  /** Traffic, what it holds, and what its process takes. */
  show(): Promise<HubInfo> {
    return this.#call('hub.show') as Promise<HubInfo>
  }
}

/** What an operator does with connections. `$sys.connections` names the slowest once a second. */
export class ConnectionAdmin {
  readonly #call: Call

  /** @internal */
  constructor(call: Call) {
    this.#call = call
  }

  /**
   * A page of them in the order in which they opened, from a connection's `number` on: 100 by default, 1,000 at most.
   * Of each come the first ten subscriptions and consumers.
   */
  list(page: { readonly from?: number; readonly limit?: number } = {}): Promise<ConnectionsPage> {
    return this.#call('connections.list', page) as Promise<ConnectionsPage>
  }

  /** One connection, with all of its subscriptions and consumers. Rejects with `no_connection`. */
  show(connection: string): Promise<ConnectionInfo> {
    return this.#call('connections.show', { connection }) as Promise<ConnectionInfo>
  }

  /**
   * Ends it, with `disconnected_by_operator` behind all that it is owed; its client connects again after a wait. Rejects
   * with `no_connection`.
   */
  async disconnect(connection: string): Promise<void> {
    await this.#call('connections.disconnect', { connection })
  }
}

/** What an operator sees of topics. `$sys.topics` names the busiest once a second. */
export class TopicAdmin {
  readonly #call: Call

  /** @internal */
  constructor(call: Call) {
    this.#call = call
  }

  /** The busiest ones: 100 by default, 1,000 at most. */
  list(page: { readonly limit?: number } = {}): Promise<TopicsStatus> {
    return this.#call('topics.list', page) as Promise<TopicsStatus>
  }
}
