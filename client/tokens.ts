import type { Clock, Timer } from '../shared/clock.ts'
import { MAX_TOKEN } from '../shared/content-frames.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { textOf } from '../shared/thrown.ts'
import { type Backoff, backoffMs } from './backoff.ts'

/** Asks for a token. Nothing, or an empty one, is none. */
export type GetToken = () => string | undefined | Promise<string | undefined>

/** Another token is asked for this long before the end of the last, in milliseconds, and of a short-lived one sooner. */
const RENEW_BEFORE_MS = 60_000
const RENEW_BEFORE_PART = 0.2

export interface TokenOptions {
  readonly clock: Clock
  readonly backoff: Backoff
  /** Hands the hub another token on the connection that stands. */
  renew(token: string): void
}

/** Asks for tokens: for each connection, and for another one before a token expires. */
export class Tokens {
  readonly #getToken: GetToken
  readonly #options: TokenOptions
  #timer: Timer | undefined
  #failures = 0
  /** Counts connections, so that what was asked for an earlier one is not for this one. */
  #connection = 0

  constructor(getToken: GetToken, options: TokenOptions) {
    this.#getToken = getToken
    this.#options = options
  }

  /** Rejects with `token_unavailable`. */
  async ask(): Promise<string | undefined> {
    let token: unknown
    try {
      token = await this.#getToken()
    } catch (error) {
      throw new FanfareError('token_unavailable', textOf(error))
    }
    if (token === undefined || token === null) return undefined
    // The hub would answer by closing for good.
    if (typeof token !== 'string')
      throw new FanfareError('token_unavailable', `It gave a value of type ${typeof token}`)
    const text = token.trim()
    if (text.length > MAX_TOKEN) {
      throw new FanfareError(
        'token_unavailable',
        `It gave ${text.length} characters, and a token has ${MAX_TOKEN} at most`,
      )
    }
    return text || undefined
  }

  /** The hub has taken a token that is good for so long, or for ever. */
  accepted(expiresInMs: number | undefined): void {
    this.#failures = 0
    if (expiresInMs === undefined) return this.#stopTimer()
    // Clients of a hub that were let in together do not renew together.
    const before = Math.min(RENEW_BEFORE_MS, expiresInMs * RENEW_BEFORE_PART) * (1 + this.#options.clock.jitter())
    this.#renewAfter(Math.max(0, expiresInMs - before))
  }

  /** It could not be renewed now. Until it ends there is time. */
  again(): void {
    this.#renewAfter(backoffMs(this.#options.backoff, this.#failures++, this.#options.clock))
  }

  /** The connection is gone. */
  lost(): void {
    this.#connection++
    this.#stopTimer()
  }

  #renewAfter(ms: number): void {
    this.#stopTimer()
    this.#timer = this.#options.clock.setTimeout(() => void this.#renew(), ms)
  }

  async #renew(): Promise<void> {
    const connection = this.#connection
    const token = await this.ask().catch(() => undefined)
    if (connection !== this.#connection) return
    if (token === undefined) this.again()
    else this.#options.renew(token)
  }

  #stopTimer(): void {
    this.#options.clock.clearTimeout(this.#timer)
  }
}
