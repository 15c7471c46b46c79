import type { Clock } from '../shared/clock.ts'
import type { WebSocketLike } from './websocket.ts'

/** Longest time that a close may take, in milliseconds. */
const CLOSE_TIMEOUT_MS = 2_000

/** Sockets on which a close was said and not yet answered: a peer that is gone never answers. */
export class Farewell {
  readonly #clock: Clock
  readonly #cuts = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Closes, and resolves when that is done, or after two seconds. */
  say(socket: WebSocketLike, code: number, reason?: string): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#clock.clearTimeout(timer)
        this.#cuts.delete(cut)
        socket.onclose = null
        resolve()
      }
      // `ws` would hold socket and timer for 30 seconds more. A browser has no terminate, and nothing to hold.
      const cut = () => {
        done()
        socket.terminate?.()
      }
      const timer = this.#clock.setTimeout(cut, CLOSE_TIMEOUT_MS)
      this.#cuts.add(cut)
      socket.onclose = done
      socket.close(code, reason)
    })
  }

  /** Waits no longer for any of them. */
  cutAll(): void {
    for (const cut of this.#cuts) cut()
  }
}
