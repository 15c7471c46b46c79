/** `connecting`: a try is under way. `waiting`: the next one comes after a while. `closed`: for good. */
export type State = 'connecting' | 'connected' | 'waiting' | 'closed'

/** A change of the connection's state, and why. */
export interface StateChange {
  readonly from: State
  readonly to: State
  readonly reason: Reason
}

/** Why a connection's state has changed. */
export interface Reason {
  /** A code of the error table, or `opened`, `retry`, `closed_by_client`. */
  readonly code: string
  readonly message: string
  /** Of the WebSocket, where one was closed. */
  readonly closeCode?: number | undefined
}

export function reasonOf({ code, message }: Reason, closeCode: number | undefined): Reason {
  return { code, message, ...(closeCode !== undefined && { closeCode }) }
}
