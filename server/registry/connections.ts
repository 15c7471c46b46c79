import type { Clock } from '../../shared/clock.ts'
import { type ErrorCode, errorEntry, FanfareError } from '../../shared/errors.ts'
import type {
  ConnectionInfo,
  ConnectionSort,
  ConnectionsPage,
  ConnectionsStatus,
  EndedConnection,
} from '../../shared/sys.ts'
import { firstOf } from './first-of.ts'
import { connectionSeverity, type OutboxFigures } from './severity.ts'

/** A connection, as an operator sees it and may end it. */
export interface WatchedConnection {
  readonly id: string
  /** Counts up as connections open. */
  readonly number: number
  readonly address: string
  /** What it called itself. */
  readonly client: string | undefined
  /** Who it is; empty if that is not known. */
  readonly subject: string
  readonly outbox: OutboxFigures & { readonly deliveredTotal: number; readonly droppedTotal: number }
  /** Undefined until it has asked for something. */
  readonly dispatch: Pick<ConnectionInfo, 'publishedTotal' | 'subscriptionCount' | 'consumerCount'> | undefined
  /** Whether a text in lower case is in its id, client, subject, address, a pattern or a queue of its. */
  mentions(text: string): boolean
  /** With so many of its subscriptions and consumers. */
  info(now: number, most: number): ConnectionInfo
  end(error: FanfareError): void
}

/** Subscriptions, and consumers, of each connection in a list: there may be a thousand of either. */
export const LISTED_OF_EACH = 10
/** Connections that have ended and are remembered: the last ones. */
export const ENDED = 100

/** What a connection ends with when the hub has not ended it. */
const CLOSED = 'The client closed the connection, or the network did.'

/** Any connection in greater trouble weighs more than any in less. */
const SEVERITY_WEIGHT = 2 ** 48

/** The open connections of a hub, in the order in which they opened, and the last ones that have ended. */
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

  /** Those whose outbox is not empty. */
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

  /** As a list has it. */
  describe(connection: Open): ConnectionInfo {
    return connection.info(this.clock.now(), LISTED_OF_EACH)
  }

  /** What connections are sorted by: the highest first. For texts there are names. */
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

  /** What comes first among those of one weight, from A on. No two have the same, also of those of other nodes. */
  nameFor({ id, number, address, client = '', subject }: Open, sort: ConnectionSort): string {
    const opened = `${String(number).padStart(16, '0')} ${id}`
    if (sort === 'client') return `${client} ${opened}`
    if (sort === 'subject') return `${subject} ${opened}`
    return sort === 'address' ? `${address} ${opened}` : opened
  }

  /** A connection has ended: its last figures, and the error that the hub ended it with. */
  ended(last: ConnectionInfo, code: ErrorCode | undefined): void {
    const reason = code === undefined ? CLOSED : errorEntry(code).text
    const ended = { ...last, endedAt: this.clock.now(), reason, ...(code !== undefined && { code }) }
    this.endedById.set(last.connection, ended)
    const [oldest] = this.endedById.keys()
    if (this.endedById.size > ENDED && oldest !== undefined) this.endedById.delete(oldest)
  }

  /** Those that have ended last, the latest first. */
  get recent(): EndedConnection[] {
    return [...this.endedById.values()].reverse()
  }

  /** One that is open, or one that has ended lately. */
  show(id: string): ConnectionInfo | EndedConnection | undefined {
    return this.byId.get(id)?.info(this.clock.now(), Number.MAX_SAFE_INTEGER) ?? this.endedById.get(id)
  }

  /** False: no open connection has this id. */
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
