import { FanfareError } from '../shared/fanfare-error.ts'
import { HEADERS } from '../shared/field-rules.ts'
import type { AnswerFrame, AskFrame, MessageHeaders } from '../shared/frames.ts'
import { BOOLEAN } from '../shared/rules.ts'
import type { Duration } from '../shared/time.ts'
import { parseTopic } from '../shared/topic.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Line, Question } from './line.ts'
import { msOf, type Rules, SIGNAL, WAIT } from './options.ts'
import type { Session } from './session.ts'

const REQUEST_TIMEOUT_MS = 10_000

/** Options of `client.request`. */
export interface RequestOptions {
  /**
   * Maximum wait for the reply, from the call on, also while there is no connection.
   *
   * @default '10s'
   */
  readonly timeout?: Duration | undefined
  /** At most 32. */
  readonly headers?: MessageHeaders | undefined
  /**
   * Resolves with the JSON text of the reply as the responder sent it, for numbers that a double cannot hold. A reply that is bytes is
   * bytes still, and none is undefined.
   *
   * @example
   * ```
   * const text = await client.request<string>('balances.get', { account: 7 }, { raw: true })
   * ```
   */
  readonly raw?: boolean | undefined
  /** Stops waiting. The responder may still answer. */
  readonly signal?: AbortSignal | undefined
}

/** @internal */
export const REQUEST_RULES: Rules<RequestOptions> = {
  timeout: WAIT,
  headers: HEADERS,
  raw: BOOLEAN,
  signal: SIGNAL,
}

/** Sends a request, within the window that the hub grants for publishes. */
export function request(
  line: Line,
  topic: string,
  data: unknown,
  options: RequestOptions,
  session: Session,
): Promise<unknown> {
  const { timeout = REQUEST_TIMEOUT_MS, headers, raw = false, signal } = options
  const timeoutMs = msOf(timeout)
  parseTopic(topic)
  const ask: Question<unknown> = {
    // The hub has a timer as well, which does not help while it cannot be reached.
    encode: (seq) =>
      encodeChecked({ type: 'ask', seq, topic, data, timeoutMs: Math.ceil(timeoutMs), headers } as AskFrame),
    read({ data, error }: AnswerFrame) {
      if (error !== undefined) throw new FanfareError('responder_failed', error)
      return raw ? (session.raw('data') ?? data) : data
    },
  }
  return line.send(ask, { timeoutMs, signal })
}
