import type { FanfareError } from '../shared/fanfare-error.ts'
import { onAbort } from './abort.ts'
import { Deferred } from './deferred.ts'
import { DONE } from './reader.ts'
import { callBack } from './throw-later.ts'

/** What the owner of something that stands at the hub can be told. */
interface StandingOptions {
  readonly onError?: ((error: unknown) => unknown) | undefined
  readonly onInterrupted?: ((error: FanfareError) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** How something that the hub was asked for begins, is interrupted, and ends. */
export class Standing {
  /** Refusals since it was there last. */
  failures = 0
  /** The hub has confirmed it before. */
  wasReady = false
  readonly #options: StandingOptions
  /** A reader is thrown the failure, now or when it reads. */
  readonly #isRead: boolean
  readonly #beginning = new Deferred()
  readonly #ending = new Deferred()
  #failure: unknown
  #offAbort: (() => void) | undefined

  constructor(options: StandingOptions, isRead: boolean) {
    this.#options = options
    this.#isRead = isRead
    this.ended.catch(() => {})
    // Of a handler that nobody would tell of it, a refusal has to be loud.
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

  /** It is not there, and will be asked for again. */
  interrupted(error: FanfareError): void {
    if (this.failures++ === 0) callBack(() => this.#options.onInterrupted?.(error))
  }

  /** Its owner has ended it. */
  end(): void {
    this.#offAbort?.()
    this.#beginning.resolve()
    this.#ending.resolve()
  }

  /** This has ended it. */
  fail(error: unknown): void {
    this.#offAbort?.()
    this.#failure = error
    this.#beginning.reject(error)
    this.#ending.reject(error)
  }

  /** What a reader gets when all is over: the failure is thrown once, as a loop has it. */
  last(): typeof DONE {
    const failure = this.#failure
    this.#failure = undefined
    if (failure) throw failure
    return DONE
  }

  /** Ends it, with an error if it failed, and tells its listeners. Returns false if there are none. */
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
