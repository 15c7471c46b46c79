import type { FanfareError } from '../shared/fanfare-error.ts'
import { onAbort } from './abort.ts'
import { Deferred } from './deferred.ts'
import { DONE } from './reader.ts'
import { callBack } from './throw-later.ts'

/** Callbacks and signal of the owner of a subscription, consumer or responder. */
interface StandingOptions {
  readonly onError?: ((error: unknown) => unknown) | undefined
  readonly onInterrupted?: ((error: FanfareError) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** The life of a subscription, consumer or responder at the hub: how it begins, is interrupted, and ends. */
export class Standing {
  /** Refusals since it was last confirmed. */
  failures = 0
  /** The hub has confirmed it before. */
  wasReady = false
  readonly #options: StandingOptions
  /** A loop reads it and throws the failure, now or when it reads next. */
  readonly #isRead: boolean
  readonly #beginning = new Deferred()
  readonly #ending = new Deferred()
  #failure: unknown
  #offAbort: (() => void) | undefined

  constructor(options: StandingOptions, isRead: boolean) {
    this.#options = options
    this.#isRead = isRead
    this.ended.catch(() => {})
    // With only a handler, nothing else would report a refusal.
    if (isRead || options.onError) this.ready.catch(() => {})
  }

  get ready(): Promise<void> {
    return this.#beginning.promise
  }

  get ended(): Promise<void> {
    return this.#ending.promise
  }

  /** `close` ends it when its owner's signal aborts. */
  watch(close: () => unknown): void {
    this.#offAbort = onAbort(this.#options.signal, close)
  }

  confirmed(): void {
    this.failures = 0
    this.wasReady = true
    this.#beginning.resolve()
  }

  /** The hub has refused it for now, and will be asked again. */
  interrupted(error: FanfareError): void {
    if (this.failures++ === 0) callBack(() => this.#options.onInterrupted?.(error))
  }

  /** Its owner has ended it. */
  end(): void {
    this.#offAbort?.()
    this.#beginning.resolve()
    this.#ending.resolve()
  }

  /** An error has ended it. */
  fail(error: unknown): void {
    this.#offAbort?.()
    this.#failure = error
    this.#beginning.reject(error)
    this.#ending.reject(error)
  }

  /** The result for a reader after the end: the failure is thrown once, as loops do. */
  last(): typeof DONE {
    const failure = this.#failure
    this.#failure = undefined
    if (failure) throw failure
    return DONE
  }

  /** Ends it, with an error if it failed, and notifies its listeners. Returns false if there are none. */
  over(error: FanfareError | undefined): boolean {
    if (!error) {
      this.end()
      return true
    }
    this.fail(error)
    const { onError } = this.#options
    callBack(() => onError?.(error))
    return this.#isRead || onError !== undefined || !this.wasReady
  }
}
