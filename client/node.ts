/** `fanfare/client` in Node: the same, with the WebSocket of `ws`, which Node 20 lacks and later ones have slower. */
import { WebSocket } from '#ws'
import { Client } from './client.ts'
import type { ClientOptions } from './client-options.ts'
import type { WebSocketClass } from './websocket.ts'

export { type FileStore, fileStore } from './file-store.ts'
export * from './index.ts'

/** Connects to a hub, and keeps connected; see `connect` of `fanfare/client`. */
export function connect<Topics extends object = Record<string, unknown>>(
  url: string,
  options: ClientOptions<Topics> = {},
): Client<Topics> {
  // Its events have other types with the same fields that the client reads: the compiler cannot tell.
  return new Client<Topics>(url, WebSocket as unknown as WebSocketClass, options).open()
}
