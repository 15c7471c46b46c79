/** The part of a WebSocket that the client uses: those of browsers, of Node and of `ws` have it. */
export interface WebSocketLike {
  binaryType: string
  /** 1 while it is open. */
  readonly readyState: number
  onopen: (() => void) | null
  onmessage: ((event: { data: unknown }) => void) | null
  onclose: ((event: { code: number; reason: string }) => void) | null
  onerror: ((event?: { readonly message?: string }) => void) | null
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
  /** Of `ws`: ends without the peer. */
  terminate?(): void
}

export type WebSocketClass = new (url: string, protocols: string[]) => WebSocketLike

/** `onclose` comes later than the end, and browsers complain of what is sent meanwhile. */
export function sendTo(socket: WebSocketLike | undefined, message: string | Uint8Array): void {
  if (socket?.readyState === 1) socket.send(message)
}
