/** `connecting`: an attempt is in progress. `waiting`: the next attempt follows after a wait. `closed`: the client is closed for good. */
export type ConnectionState = 'connecting' | 'connected' | 'waiting' | 'closed'

/** A change of the connection's state, and why. */
export interface ConnectionStateChange {
  readonly from: ConnectionState
  readonly to: ConnectionState
  readonly reason: ConnectionStateReason
}

/** Why a connection's state has changed. */
export interface ConnectionStateReason {
  /** A code of the error table, or `opened`, `retry`, `closed_by_client`. */
  readonly code: string
  readonly message: string
  /** The close code of the WebSocket, if one was closed. */
  readonly closeCode?: number | undefined
}

export function reasonOf(
  { code, message }: ConnectionStateReason,
  closeCode: number | undefined,
): ConnectionStateReason {
  return { code, message, ...(closeCode !== undefined && { closeCode }) }
}
