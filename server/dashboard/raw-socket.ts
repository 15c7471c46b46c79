import type { WebSocketLike } from '../../client/index.ts'
import { withRawData } from './raw-data.ts'

/** A WebSocket for a client whose messages shall have the JSON text of their payload as `data`. */
export class RawSocket implements WebSocketLike {
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  private readonly socket: WebSocket

  constructor(url: string, protocols: string[]) {
    this.socket = new WebSocket(url, protocols)
    this.socket.onopen = () => this.onopen?.()
    this.socket.onmessage = ({ data }: MessageEvent<unknown>) =>
      this.onmessage?.({ data: typeof data === 'string' ? withRawData(data) : data })
    this.socket.onclose = (event) => this.onclose?.(event)
    this.socket.onerror = () => this.onerror?.()
  }

  get binaryType(): string {
    return this.socket.binaryType
  }

  set binaryType(type: string) {
    this.socket.binaryType = type as BinaryType
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.socket.send(data)
  }

  close(code?: number, reason?: string): void {
    this.socket.close(code, reason)
  }
}
