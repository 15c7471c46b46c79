import type { Clock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { ConnectionInfo, ConnectionsPage, ConnectionsStatus } from '../../shared/sys.ts'
import { firstOf } from './first-of.ts'

/** A connection, as an operator sees it and may end it. */
export interface WatchedConnection {
  /** Counts up as connections open. */
  readonly number: number
  readonly outboxBytes: number
  readonly droppedTotal: number
  /** Since when its outbox has not been empty, in milliseconds since 1970; undefined while it keeps up. */
  readonly behindSince: number | undefined
  /** With so many of its subscriptions and consumers. */
  info(now: number, most: number): ConnectionInfo
  end(error: FanfareError): void
}

/** Subscriptions, and consumers, of each connection in a list: there may be a thousand of either. */
const LISTED_OF_EACH = 10

/** The open connections of a hub, in the order in which they opened. */
export class Connections<Open extends WatchedConnection = WatchedConnection> {
  private readonly byId = new Map<string, Open>()
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  get count(): number {
    return this.byId.size
  }

  /** Those whose outbox is not empty. */
  get behind(): number {
    let count = 0
    for (const { behindSince } of this.byId.values()) if (behindSince !== undefined) count++
    return count
  }

  get all(): Iterable<Open> {
    return this.byId.values()
  }

  add(id: string, connection: Open): void {
    this.byId.set(id, connection)
  }

  /** Gives the one that was there. */
  remove(id: string): Open | undefined {
    const connection = this.byId.get(id)
    this.byId.delete(id)
    return connection
  }

  list(from: number, limit: number): ConnectionsPage {
    const now = this.clock.now()
    const connections: ConnectionInfo[] = []
    for (const connection of this.byId.values()) {
      if (connections.length >= limit) break
      if (connection.number >= from) connections.push(connection.info(now, LISTED_OF_EACH))
    }
    return { count: this.byId.size, connections }
  }

  /** Throws `no_connection`. */
  show(id: string): ConnectionInfo {
    return this.get(id).info(this.clock.now(), Number.MAX_SAFE_INTEGER)
  }

  /** Throws `no_connection`. */
  disconnect(id: string): void {
    this.get(id).end(new FanfareError('disconnected_by_operator'))
  }

  slowest(most: number): ConnectionsStatus {
    const now = this.clock.now()
    const slowest = firstOf(this.byId.values(), most, slowestFirst)
    return { count: this.byId.size, slowest: slowest.map((connection) => connection.info(now, LISTED_OF_EACH)) }
  }

  private get(id: string): Open {
    const connection = this.byId.get(id)
    if (!connection) throw new FanfareError('no_connection', JSON.stringify(id.slice(0, 40)))
    return connection
  }
}

function slowestFirst(a: WatchedConnection, b: WatchedConnection): number {
  const [behindA, behindB] = [a.behindSince ?? Number.MAX_SAFE_INTEGER, b.behindSince ?? Number.MAX_SAFE_INTEGER]
  return behindA - behindB || b.outboxBytes - a.outboxBytes || b.droppedTotal - a.droppedTotal
}
