import type { Clock, Timer } from '../shared/clock.ts'
import { FanfareError } from '../shared/fanfare-error.ts'

/** Longest time that a handled message waits to be committed, in milliseconds. */
const COMMIT_EVERY_MS = 1_000

/** Longest wait for the hub to store a commit, also while there is no connection, in milliseconds. */
const COMMIT_TIMEOUT_MS = 30_000

/**
 * Keeps a named position on the hub near to what has been handled: a commit a second while there is something to
 * commit, and one more when asked.
 */
export class Cursor {
  readonly #send: (offset: number) => void
  readonly #clock: Clock
  #handled: number | undefined
  #sent: number | undefined
  #stored: number | undefined
  #timer: Timer | undefined
  #waiting: { readonly offset: number; readonly resolve: () => void; readonly reject: (e: Error) => void }[] = []

  /** `send` is called while the subscription is confirmed, and may lose what it is given. */
  constructor(send: (offset: number) => void, clock: Clock) {
    this.#send = send
    this.#clock = clock
  }

  /** Everything before this offset has been handled. */
  advance(offset: number): void {
    this.#handled = offset
    this.#flushLater()
  }

  /** Resolves when the hub has stored what has been handled until now. Rejects with `request_timeout`, and with why it was refused. */
  commit(): Promise<void> {
    const handled = this.#handled
    if (handled === undefined || handled === this.#stored) return Promise.resolve()
    let late = () => {}
    const done = new Promise<void>((resolve, reject) => {
      late = () => reject(new FanfareError('request_timeout'))
      this.#waiting.push({ offset: handled, resolve, reject })
    })
    this.#flush()
    const timer = this.#clock.setTimeout(late, COMMIT_TIMEOUT_MS)
    return done.finally(() => this.#clock.clearTimeout(timer))
  }

  committed(offset: number): void {
    this.#stored = offset
    const done = this.#waiting.filter((commit) => commit.offset <= offset)
    this.#waiting = this.#waiting.filter((commit) => commit.offset > offset)
    for (const { resolve } of done) resolve()
  }

  /** The hub has not stored it. Where that may pass it is asked again, even if nothing more is handled. */
  refused(error: FanfareError): void {
    this.#sent = undefined
    if (error.retry) this.#flushLater()
    this.#rejectAll(error)
  }

  /** The log is another one: what was handled of the one before means nothing in it. */
  reset(): void {
    this.#handled = undefined
    this.#stored = undefined
    this.#rejectAll(new FanfareError('connection_lost'))
  }

  /** The connection is another: what was sent may not have arrived. */
  again(): void {
    this.#sent = undefined
    if (this.#handled !== this.#stored) this.#flush()
  }

  end(): void {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#rejectAll(new FanfareError('connection_lost'))
  }

  #rejectAll(error: Error): void {
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting = []
  }

  #flushLater(): void {
    this.#timer ??= this.#clock.setTimeout(() => {
      this.#timer = undefined
      this.#flush()
    }, COMMIT_EVERY_MS)
  }

  #flush(): void {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#handled === undefined || this.#handled === this.#sent) return
    this.#sent = this.#handled
    this.#send(this.#handled)
  }
}
