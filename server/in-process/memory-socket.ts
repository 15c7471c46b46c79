import { Buffer } from 'node:buffer'
import type { WebSocketClass, WebSocketLike } from '../../client/websocket.ts'
import type { Batch } from '../engine/batch.ts'
import type { EngineSocket, SocketHandlers } from '../engine/engine.ts'

/** The connection between clients in a process and the hub in it. */
export interface Wire {
  /** Maximum size of a message that the hub accepts, in bytes. */
  readonly frameBytes: number
  /** Runs a task in a later turn of the event loop, after all tasks given before. */
  later(task: () => void): void
  /** Resolves when a connection can be requested. Never rejects. */
  ready(): Promise<void>
  /** Passes a socket to the hub and returns the hub's event handlers; undefined if the client gets no connection. */
  open(socket: EngineSocket, url: string, protocols: readonly string[]): SocketHandlers | undefined
}

/**
 * A class of WebSockets that lead to a hub in the same process. Messages arrive in a later turn of the event loop, whole and in
 * order, as the bytes that would go over a network, so neither side holds objects of the other. Without a network nothing blocks:
 * each side accepts everything at once, so the backpressure comes from the checks of a connection.
 */
export function webSocketOn(wire: Wire): WebSocketClass {
  return class extends ClientEnd {
    constructor(url: string, protocols: string[]) {
      super()
      wire.later(() => void wire.ready().then(() => join(wire, this, url, protocols)))
    }
  }
}

function join(wire: Wire, client: ClientEnd, url: string, protocols: readonly string[]): void {
  // It was closed before it was open.
  if (client.isClosing) return client.ended(1006, '')
  const hub = new HubEnd(wire, client)
  const handlers = wire.open(hub, url, protocols)
  if (!handlers) {
    client.onerror?.()
    return client.ended(1006, '')
  }
  hub.handlers = handlers
  client.hub = hub
  client.onopen?.()
}

/** A WebSocket, as far as the client uses one. */
class ClientEnd implements WebSocketLike {
  binaryType = 'arraybuffer'
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  hub: HubEnd | undefined = undefined
  isClosing = false

  get readyState(): number {
    return this.isClosing ? 3 : 1
  }

  send(data: string | Uint8Array): void {
    if (!this.isClosing) this.hub?.fromClient(Buffer.from(data as Uint8Array), typeof data !== 'string')
  }

  close(code = 1005, reason = ''): void {
    if (this.isClosing) return
    this.isClosing = true
    this.hub?.close(code, reason)
  }

  terminate(): void {
    this.isClosing = true
    this.hub?.terminate()
  }

  ended(code: number, reason: string): void {
    this.isClosing = true
    this.onclose?.({ code, reason })
  }
}

class HubEnd implements EngineSocket {
  readonly bufferedBytes = 0
  handlers: SocketHandlers | undefined = undefined
  private readonly wire: Wire
  private readonly client: ClientEnd
  private closed = false

  constructor(wire: Wire, client: ClientEnd) {
    this.wire = wire
    this.client = client
  }

  fromClient(bytes: Uint8Array, binary: boolean): void {
    this.arrives(() => {
      if (bytes.length > this.wire.frameBytes)
        this.handlers?.broken(
          'frame_too_large',
          `The message has ${bytes.length} bytes, and frameBytes is ${this.wire.frameBytes}. Split it, or raise the limit.`,
        )
      else this.handlers?.message(bytes, binary)
    })
  }

  write({ parts }: Batch): boolean {
    for (const { payload, binary } of parts) {
      // The memory of a batch is shared by all its receivers.
      const { buffer, byteOffset, length } = payload
      const data = binary ? new Uint8Array(payload).buffer : Buffer.from(buffer, byteOffset, length).toString()
      this.arrives(() => this.client.onmessage?.({ data }))
    }
    return true
  }

  ping(): void {
    this.arrives(() => this.handlers?.alive())
  }

  setReading(): void {}

  /** Closes in good order, after everything that is on the way. */
  close(code: number, reason: string): void {
    this.arrives(() => this.over(code, reason))
  }

  /** Ends it now. Both ends are notified in a later turn. */
  terminate(): void {
    if (this.closed) return
    this.closed = true
    this.wire.later(() => this.over(1006, ''))
  }

  private arrives(task: () => void): void {
    this.wire.later(() => {
      if (!this.closed) task()
    })
  }

  private over(code: number, reason: string): void {
    this.closed = true
    this.handlers?.close()
    this.handlers = undefined
    this.client.ended(code, reason)
  }
}
