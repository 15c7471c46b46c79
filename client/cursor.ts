import type { Clock } from '../shared/clock.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { Alarm } from './alarm.ts'
import { Deferred } from './deferred.ts'

/** Longest time that a handled message waits to be committed, in milliseconds. */
const COMMIT_EVERY_MS = 1_000

/** Longest wait for the hub to store a commit, also while there is no connection, in milliseconds. */
const COMMIT_TIMEOUT_MS = 30_000

/**
 * Keeps a named position on the hub close to what has been handled: one commit a second while there is something to
 * commit, and one more on request.
 */
export class Cursor {
  readonly #send: (offset: number) => void
  readonly #clock: Clock
  #handled: number | undefined
  #sent: number | undefined
  #stored: number | undefined
  /** For the next commit. */
  readonly #alarm: Alarm
  #waiting: { readonly offset: number; readonly done: Deferred }[] = []

  /** `send` is called while the subscription is confirmed, and may lose what it is given. */
  constructor(send: (offset: number) => void, clock: Clock) {
    this.#send = send
    this.#clock = clock
    this.#alarm = new Alarm(clock)
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
    const done = new Deferred()
    this.#waiting.push({ offset: handled, done })
    this.#flush()
    const late = new Alarm(this.#clock)
    late.set(COMMIT_TIMEOUT_MS, () => done.reject(new FanfareError('request_timeout')))
    return done.promise.finally(() => late.clear())
  }

  committed(offset: number): void {
    this.#stored = offset
    for (const commit of this.#waiting) if (commit.offset <= offset) commit.done.resolve()
    this.#waiting = this.#waiting.filter((commit) => commit.offset > offset)
  }

  /** The hub has not stored it. If that may pass, it is sent again, even if nothing more is handled. */
  refused(error: FanfareError): void {
    this.#sent = undefined
    if (error.retry) this.#flushLater()
    this.#rejectAll(error)
  }

  /** The log has been replaced: positions of the previous one mean nothing in it. */
  reset(): void {
    this.#handled = undefined
    this.#stored = undefined
    this.#rejectAll(new FanfareError('connection_lost'))
  }

  /** There is a new connection: what was sent on the previous one may not have arrived. */
  again(): void {
    this.#sent = undefined
    if (this.#handled !== this.#stored) this.#flush()
  }

  end(): void {
    this.#alarm.clear()
    this.#rejectAll(new FanfareError('connection_lost'))
  }

  #rejectAll(error: Error): void {
    for (const { done } of this.#waiting) done.reject(error)
    this.#waiting = []
  }

  #flushLater(): void {
    if (!this.#alarm.isSet) this.#alarm.set(COMMIT_EVERY_MS, () => this.#flush())
  }

  #flush(): void {
    this.#alarm.clear()
    if (this.#handled === undefined || this.#handled === this.#sent) return
    this.#sent = this.#handled
    this.#send(this.#handled)
  }
}
