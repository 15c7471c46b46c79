import type { Clock } from '../shared/clock.ts'
import { sentence } from '../shared/error-text.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { TOKEN } from '../shared/field-rules.ts'
import { mismatch } from '../shared/rules.ts'
import { textOf } from '../shared/thrown.ts'
import { Alarm } from './alarm.ts'

/** Returns a token. `undefined` and an empty string mean no token. */
export type GetToken = () => string | undefined | Promise<string | undefined>

/** The next token is requested this long before the current one expires, in milliseconds; less for a short-lived token. */
const RENEW_BEFORE_MS = 60_000
const RENEW_BEFORE_PART = 0.2

/** The session that the tokens are for. */
interface TokenSession {
  readonly clock: Clock
  /** Counts connections: a token for an earlier one is not for this one. */
  readonly connection: number
  /** The wait before what has failed this often is tried again. */
  backoffMs(failures: number): number
}

/** Asks for tokens: for each connection, and for another one before a token expires. */
export class Tokens {
  readonly #getToken: GetToken
  readonly #session: TokenSession
  readonly #renewed: (token: string) => void
  readonly #alarm: Alarm
  #failures = 0

  /** `renewed` sends another token to the hub on the open connection. */
  constructor(getToken: GetToken, session: TokenSession, renewed: (token: string) => void) {
    this.#getToken = getToken
    this.#session = session
    this.#renewed = renewed
    this.#alarm = new Alarm(session.clock)
  }

  /** Rejects with `token_unavailable`. */
  async ask(): Promise<string | undefined> {
    let token: unknown
    try {
      token = await this.#getToken()
    } catch (error) {
      throw new FanfareError('token_unavailable', `getToken failed: ${sentence(textOf(error))} The client tries again.`)
    }
    const text = typeof token === 'string' ? token.trim() : (token ?? undefined)
    const [words, fits] = TOKEN
    // The hub would answer by closing for good.
    if (text !== undefined && !fits(text))
      throw new FanfareError('token_unavailable', mismatch('The token of getToken', words, text))
    return (text as string) || undefined
  }

  /** The hub has accepted a token that is valid for this long; undefined: forever. */
  accepted(expiresInMs: number | undefined): void {
    this.#failures = 0
    if (expiresInMs === undefined) return this.stop()
    // Clients of a hub that were let in together do not renew together.
    const before = Math.min(RENEW_BEFORE_MS, expiresInMs * RENEW_BEFORE_PART) * (1 + this.#session.clock.jitter())
    this.#renewAfter(Math.max(0, expiresInMs - before))
  }

  /** It could not be renewed now. There is time until it expires. */
  again(): void {
    this.#renewAfter(this.#session.backoffMs(this.#failures++))
  }

  /** Stops renewing: the connection is gone, or its token never expires. */
  stop(): void {
    this.#alarm.clear()
  }

  #renewAfter(ms: number): void {
    this.#alarm.set(ms, () => void this.#renew())
  }

  async #renew(): Promise<void> {
    const { connection } = this.#session
    const token = await this.ask().catch(() => undefined)
    if (connection !== this.#session.connection) return
    if (token === undefined) this.again()
    else this.#renewed(token)
  }
}
