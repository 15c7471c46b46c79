import type { Logger } from 'pino'
import type { Clock, Timer } from '../../shared/clock.ts'
import type { Access } from '../auth/access.ts'
import type { EngineSocket, SocketHandlers, UpgradeRequest } from '../engine/engine.ts'
import type { Admission } from '../limit/admission.ts'
import { IN_PROCESS } from '../network/address.ts'
import type { Connections } from '../registry/connections.ts'
import { Connection } from './connection.ts'
import type { ConnectionParts } from './connection-parts.ts'
import type { Heartbeat } from './heartbeat.ts'
import { moveOff } from './move-off.ts'

/** What opens connections, and what has to be notified of each that opens and closes. */
export interface OpenConnectionsParts {
  readonly connection: ConnectionParts
  /** The same for clients in the hub's own process, which limits per second do not apply to. */
  readonly inProcess: ConnectionParts
  readonly registry: Connections<Connection>
  readonly heartbeat: Heartbeat
  readonly admission: Admission
  readonly clock: Clock
  readonly log: Logger
}

/** Opens the connections of a hub, and closes them all in the end. */
export class OpenConnections {
  private readonly parts: OpenConnectionsParts
  private allClosed: (() => void) | undefined = undefined

  constructor(parts: OpenConnectionsParts) {
    this.parts = parts
  }

  /** `who`: the request for the connection, or its identity if that is already known. */
  open(socket: EngineSocket, address: string, who: UpgradeRequest | Access): SocketHandlers {
    return this.added(new Connection(socket, address, this.parts.connection, who))
  }

  openInProcess(socket: EngineSocket, access: Access): SocketHandlers {
    return this.added(new Connection(socket, IN_PROCESS, this.parts.inProcess, access))
  }

  private added(connection: Connection): Connection {
    const { registry, heartbeat, admission } = this.parts
    registry.add(connection.id, connection)
    heartbeat.add(connection)
    admission.opened(connection.address)
    return connection
  }

  closed(connectionId: string): void {
    const { registry, heartbeat, admission } = this.parts
    const connection = registry.remove(connectionId)
    if (!connection) return
    heartbeat.remove(connection)
    admission.closed(connection.address)
    if (registry.count === 0) this.allClosed?.()
  }

  /**
   * Sends what waits, tells every client to reconnect, and ends within the timeout. `hasOthers`: there are other nodes to reconnect
   * to, so the clients are moved a few at a time. A single hub tells all of them at once: none is served before it is back.
   */
  async drain(timeoutMs: number, hasOthers: boolean): Promise<void> {
    const { registry, clock, log } = this.parts
    const begin = clock.now()
    if (hasOthers) await moveOff(registry.all, timeoutMs, clock)
    else for (const connection of registry.all) connection.finish()
    if (registry.count === 0) return
    let timer: Timer | undefined
    await new Promise<void>((resolve) => {
      timer = clock.setTimeout(resolve, Math.max(0, begin + timeoutMs - clock.now()))
      this.allClosed = resolve
    })
    clock.clearTimeout(timer)
    if (registry.count > 0) log.warn({ connections: registry.count }, 'connections still open after the drain timeout')
    for (const connection of registry.all) connection.terminate()
  }
}
