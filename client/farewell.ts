import type { Clock } from '../shared/clock.ts'
import { Deferred } from './deferred.ts'
import type { WebSocketLike } from './websocket.ts'
import { within } from './within.ts'

/** Longest time that a close may take, in milliseconds. */
const CLOSE_TIMEOUT_MS = 2_000

/** Sockets whose close was sent and not yet answered: a peer that is gone never answers. */
export class Farewell {
  readonly #clock: Clock
  readonly #waiting = new Set<Deferred>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Closes, and resolves when that is done, or after two seconds. */
  async say(socket: WebSocketLike, code: number, reason?: string): Promise<void> {
    const closed = new Deferred()
    this.#waiting.add(closed)
    socket.onclose = () => closed.resolve()
    socket.close(code, reason)
    await within(this.#clock, CLOSE_TIMEOUT_MS, closed.promise)
    this.#waiting.delete(closed)
    socket.onclose = null
    // `ws` would hold socket and timer for 30 seconds more. A browser has no terminate, and nothing to hold.
    socket.terminate?.()
  }

  /** Waits no longer for any of them. */
  cutAll(): void {
    for (const closed of this.#waiting) closed.resolve()
  }
}
