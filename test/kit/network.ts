import { Buffer } from 'node:buffer'
// Imported: what stands in the global object the test may have replaced.
import { setImmediate } from 'node:timers'
import type { WebSocketClass, WebSocketLike } from '../../client/websocket.ts'
import type { Batch } from '../../server/engine/batch.ts'
import type { EngineApp, EngineSocket, SocketHandlers, UpgradeRequest } from '../../server/engine/engine.ts'

/**
 * The network between clients and a hub, in memory: what is sent arrives in a later turn of the event loop, whole and in
 * order, as the bytes that would go over a wire. It takes whatever it is given at once.
 */
export class Network {
  /** Grows with everything that is sent or arrives. */
  traffic = 0
  private readonly app: EngineApp
  private readonly frameBytes: number
  private readonly connections = new Set<Connection>()
  /** Who gets no connection: everybody for `undefined`. */
  private readonly down = new Map<object | undefined, number>()

  constructor(app: EngineApp, frameBytes: number) {
    this.app = app
    this.frameBytes = frameBytes
  }

  /** A class whose sockets lead to the hub, and belong to `owner`. */
  webSocketOf(owner: object | undefined): WebSocketClass {
    const network = this
    return class extends ClientSocket {
      constructor(url: string, protocols: string[]) {
        super()
        const query = new URL(url).search.slice(1)
        const request = { remoteAddress: '127.0.0.1', secure: false, protocols, query, headers: {} }
        network.later(() => network.connect(this, owner, request))
      }
    }
  }

  /** Cuts the connections of one owner, or of all. What is on its way is lost. */
  cut(owner: object | undefined): void {
    for (const connection of this.connections) {
      if (owner === undefined || connection.owner === owner) connection.cut()
    }
  }

  /** From now on nobody, or not this owner, gets a connection; until the returned function has been called. */
  block(owner: object | undefined): () => void {
    this.down.set(owner, (this.down.get(owner) ?? 0) + 1)
    return () => {
      const left = (this.down.get(owner) ?? 0) - 1
      if (left > 0) this.down.set(owner, left)
      else this.down.delete(owner)
    }
  }

  /** Runs a task in a later turn, behind all that were given before. */
  later(task: () => void): void {
    this.traffic++
    setImmediate(() => {
      this.traffic++
      task()
    })
  }

  forget(connection: Connection): void {
    this.connections.delete(connection)
  }

  private connect(client: ClientSocket, owner: object | undefined, request: UpgradeRequest): void {
    // Closed before it was open.
    if (client.isClosing) return client.ended(1006, '')
    const refused = this.down.has(undefined) || this.down.has(owner) || this.app.accept(request) !== true
    if (refused) {
      client.onerror?.()
      return client.ended(1006, '')
    }
    const connection = new Connection(this, client, owner, this.frameBytes)
    this.connections.add(connection)
    connection.handlers = this.app.open(connection, request)
    client.connection = connection
    client.onopen?.()
  }
}

/** The client's end, a WebSocket as far as the client uses one. */
class ClientSocket implements WebSocketLike {
  binaryType = 'arraybuffer'
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  connection: Connection | undefined = undefined
  isClosing = false

  send(data: string | Uint8Array): void {
    if (!this.isClosing) this.connection?.fromClient(Buffer.from(data as Uint8Array), typeof data !== 'string')
  }

  close(code = 1005, reason = ''): void {
    if (this.isClosing) return
    this.isClosing = true
    this.connection?.end(code, reason)
  }

  terminate(): void {
    this.isClosing = true
    this.connection?.cut()
  }

  ended(code: number, reason: string): void {
    this.isClosing = true
    this.onclose?.({ code, reason })
  }
}

/** One connection, and the hub's end of it. */
class Connection implements EngineSocket {
  readonly bufferedBytes = 0
  readonly owner: object | undefined
  handlers: SocketHandlers | undefined = undefined
  private readonly network: Network
  private readonly client: ClientSocket
  private readonly frameBytes: number
  private closed = false

  constructor(network: Network, client: ClientSocket, owner: object | undefined, frameBytes: number) {
    this.network = network
    this.client = client
    this.owner = owner
    this.frameBytes = frameBytes
  }

  fromClient(bytes: Uint8Array, binary: boolean): void {
    this.arrives(() => {
      if (bytes.length > this.frameBytes) this.handlers?.broken('frame_too_large', 'WebSocket close code 1009')
      else this.handlers?.message(bytes, binary)
    })
  }

  write({ parts }: Batch): boolean {
    for (const { payload, binary } of parts) {
      // The memory of a batch is that of all its receivers.
      const data = binary ? new Uint8Array(payload).buffer : Buffer.from(payload).toString()
      this.arrives(() => this.client.onmessage?.({ data }))
    }
    return true
  }

  ping(): void {
    this.arrives(() => this.handlers?.alive())
  }

  setReading(): void {}

  close(code: number, reason: string): void {
    this.end(code, reason)
  }

  terminate(): void {
    this.cut()
  }

  /** Ends it in good order, behind what is on its way. */
  end(code: number, reason: string): void {
    this.arrives(() => this.over(code, reason))
  }

  /** Ends it now. Both ends learn of it in a later turn. */
  cut(): void {
    if (this.closed) return
    this.closed = true
    this.network.later(() => this.over(1006, ''))
  }

  private arrives(task: () => void): void {
    this.network.later(() => {
      if (!this.closed) task()
    })
  }

  private over(code: number, reason: string): void {
    this.closed = true
    this.network.forget(this)
    this.handlers?.close()
    this.handlers = undefined
    this.client.ended(code, reason)
  }
}
