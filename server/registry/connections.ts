import type { Clock } from '../../shared/clock.ts'
import { type ErrorCode, errorEntry, FanfareError } from '../../shared/errors.ts'
import type { ConnectionInfo, ConnectionSort, ConnectionsStatus, EndedConnection } from '../../shared/sys.ts'
import type { OwnConnections } from '../bus/questions.ts'
import { firstOf } from './first-of.ts'
import { connectionSeverity, type OutboxFigures } from './severity.ts'

/** A connection as an operator sees it and can end it. */
export interface WatchedConnection {
  readonly id: string
  /** Increases with each connection that opens. */
  readonly number: number
  readonly address: string
  /** The name that the client gave. */
  readonly client: string | undefined
  /** The authenticated subject; empty if unknown. */
  readonly subject: string
  readonly outbox: OutboxFigures & { readonly deliveredTotal: number; readonly droppedTotal: number }
  /** Undefined until the client's first request. */
  readonly dispatch: Pick<ConnectionInfo, 'publishedTotal' | 'subscriptionCount' | 'consumerCount'> | undefined
  /** Whether a text in lower case occurs in the id, client, subject, address, a pattern or a queue of the connection. */
  mentions(text: string): boolean
  /** Includes at most `most` subscriptions and consumers. */
  info(now: number, most: number): ConnectionInfo
  end(error: FanfareError): void
}

/** Subscriptions, and consumers, listed per connection; there may be a thousand of either. */
export const LISTED_OF_EACH = 10
/** Number of ended connections that are remembered. */
export const ENDED = 100

/** The reason of a connection's end if the hub did not end it. */
const CLOSED = 'The client or the network closed the connection.'

/** A connection with a higher severity always outweighs one with a lower severity. */
const SEVERITY_WEIGHT = 2 ** 48

/** The open connections of a hub in the order in which they opened, and those that ended recently. */
export class Connections<Open extends WatchedConnection = WatchedConnection> {
  private readonly byId = new Map<string, Open>()
  private readonly endedById = new Map<string, EndedConnection>()
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  get count(): number {
    return this.byId.size
  }

  /** Number of connections whose outbox is not empty. */
  get behind(): number {
    let count = 0
    for (const { outbox } of this.byId.values()) if (outbox.behindSince !== undefined) count++
    return count
  }

  get all(): Iterable<Open> {
    return this.byId.values()
  }

  add(id: string, connection: Open): void {
    this.byId.set(id, connection)
  }

  /** Returns the removed connection. */
  remove(id: string): Open | undefined {
    const connection = this.byId.get(id)
    this.byId.delete(id)
    return connection
  }

  list(from: number, limit: number): OwnConnections {
    const now = this.clock.now()
    const connections: ConnectionInfo[] = []
    for (const connection of this.byId.values()) {
      if (connections.length >= limit) break
      if (connection.number >= from) connections.push(connection.info(now, LISTED_OF_EACH))
    }
    return { count: this.byId.size, connections }
  }

  /** A connection as it appears in lists. */
  describe(connection: Open): ConnectionInfo {
    return connection.info(this.clock.now(), LISTED_OF_EACH)
  }

  /** The sort weight of a connection, the highest first. Text columns are sorted by `nameFor`. */
  weigh(connection: Open, sort: ConnectionSort): number {
    const now = this.clock.now()
    const { heldBytes, droppedTotal, deliveredTotal, behindSince } = connection.outbox
    const lagMs = behindSince === undefined ? 0 : Math.max(0, now - behindSince)
    switch (sort) {
      case 'trouble':
        return (
          connectionSeverity(connection.outbox, now) * SEVERITY_WEIGHT +
          Math.min(SEVERITY_WEIGHT / 2, heldBytes + droppedTotal)
        )
      case 'lagMs':
        return lagMs
      case 'number':
      case 'client':
      case 'subject':
      case 'address':
        return 0
      case 'outboxBytes':
        return heldBytes
      case 'droppedTotal':
        return droppedTotal
      case 'deliveredTotal':
        return deliveredTotal
      default:
        return connection.dispatch?.[sort] ?? 0
    }
  }

  /** The sort name among connections of equal weight, ascending. Unique, also across nodes. */
  nameFor({ id, number, address, client = '', subject }: Open, sort: ConnectionSort): string {
    const opened = `${String(number).padStart(16, '0')} ${id}`
    if (sort === 'client') return `${client} ${opened}`
    if (sort === 'subject') return `${subject} ${opened}`
    return sort === 'address' ? `${address} ${opened}` : opened
  }

  /** Remembers an ended connection: its last figures, and the error that the hub ended it with. */
  ended(last: ConnectionInfo, code: ErrorCode | undefined): void {
    const reason = code === undefined ? CLOSED : errorEntry(code).text
    const ended = { ...last, endedAt: this.clock.now(), reason, ...(code !== undefined && { code }) }
    this.endedById.set(last.connection, ended)
    const [oldest] = this.endedById.keys()
    if (this.endedById.size > ENDED && oldest !== undefined) this.endedById.delete(oldest)
  }

  /** The connections that ended most recently, the latest first. */
  get recent(): EndedConnection[] {
    return [...this.endedById.values()].reverse()
  }

  /** An open connection, or one that ended recently. */
  show(id: string): ConnectionInfo | EndedConnection | undefined {
    return this.byId.get(id)?.info(this.clock.now(), Number.MAX_SAFE_INTEGER) ?? this.endedById.get(id)
  }

  /** Returns false if no open connection has this id. */
  disconnect(id: string): boolean {
    const connection = this.byId.get(id)
    connection?.end(new FanfareError('disconnected_by_operator'))
    return connection !== undefined
  }

  slowest(most: number): ConnectionsStatus {
    const now = this.clock.now()
    const slowest = firstOf(this.byId.values(), most, slowestFirst)
    return { count: this.byId.size, slowest: slowest.map((connection) => connection.info(now, LISTED_OF_EACH)) }
  }
}

function slowestFirst({ outbox: a }: WatchedConnection, { outbox: b }: WatchedConnection): number {
  const [behindA, behindB] = [a.behindSince ?? Number.MAX_SAFE_INTEGER, b.behindSince ?? Number.MAX_SAFE_INTEGER]
  return behindA - behindB || b.heldBytes - a.heldBytes || b.droppedTotal - a.droppedTotal
}
