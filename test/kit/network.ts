// Imported: what stands in the global object the test may have replaced.
import { setImmediate } from 'node:timers'
import type { WebSocketClass } from '../../client/websocket.ts'
import type { Access } from '../../server/auth/access.ts'
import type { EngineSocket, SocketHandlers, UpgradeRequest } from '../../server/engine/engine.ts'
import type { HubCore } from '../../server/hub.ts'
import { webSocketOn } from '../../server/in-process/memory-socket.ts'

/** The network between clients and a hub, in memory, with the faults that a network has. */
export class Network {
  /** Grows with everything that is sent or arrives. */
  traffic = 0
  private readonly hub: HubCore
  private readonly frameBytes: number
  /** The hub's ends of all connections, and their owners. Those that have ended are not worth the bookkeeping in a test. */
  private readonly ends = new Map<EngineSocket, object | undefined>()
  /** Whose connections are refused: all for `undefined`. */
  private readonly down = new Map<object | undefined, number>()

  constructor(hub: HubCore, frameBytes: number) {
    this.hub = hub
    this.frameBytes = frameBytes
  }

  /** A class whose sockets lead to the hub, and belong to `owner`. With `access` it is known whose they are. */
  webSocketOf(owner: object | undefined, access?: Access): WebSocketClass {
    return webSocketOn({
      frameBytes: this.frameBytes,
      later: (task) => this.later(task),
      ready: () => Promise.resolve(),
      open: (socket, url, protocols) => {
        if (this.down.has(undefined) || this.down.has(owner)) return undefined
        this.ends.set(socket, owner)
        return access ? this.hub.openInProcess(socket, access) : this.openByRequest(socket, url, protocols)
      },
    })
  }

  /** Cuts the connections of one owner, or of all. What is on its way is lost. */
  cut(owner: object | undefined): void {
    for (const [socket, of] of this.ends) {
      if (owner !== undefined && of !== owner) continue
      socket.terminate()
      this.ends.delete(socket)
    }
  }

  /** From now on no client, or not this owner, gets a connection, until the returned function has been called. */
  block(owner: object | undefined): () => void {
    this.down.set(owner, (this.down.get(owner) ?? 0) + 1)
    return () => {
      const left = (this.down.get(owner) ?? 0) - 1
      if (left > 0) this.down.set(owner, left)
      else this.down.delete(owner)
    }
  }

  private later(task: () => void): void {
    this.traffic++
    setImmediate(() => {
      this.traffic++
      task()
    })
  }

  private openByRequest(socket: EngineSocket, url: string, protocols: readonly string[]): SocketHandlers | undefined {
    const query = new URL(url).search.slice(1)
    const request: UpgradeRequest = { remoteAddress: '127.0.0.1', secure: false, protocols, query, headers: {} }
    return this.hub.accept(request) === true ? this.hub.open(socket, request) : undefined
  }
}
