/** What the client uses of a WebSocket: the browser's, Node's and that of `ws` all have it. */
export interface WebSocketLike {
  binaryType: string
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
