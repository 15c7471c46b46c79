import { FanfareError } from '../shared/fanfare-error.ts'
import type { AnswerFrame, AskFrame, Headers } from '../shared/frames.ts'
import { BOOLEAN } from '../shared/rules.ts'
import { parseTopic } from '../shared/topic.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Line } from './line.ts'
import { ANY, type Rules, SIGNAL, WAIT_MS } from './options.ts'
import type { Raw } from './received.ts'

const REQUEST_TIMEOUT_MS = 10_000

/** How something is asked. */
export interface RequestOptions {
  /** Longest wait for the reply, in milliseconds from the call, also while there is no connection: 10,000 by default. */
  readonly timeoutMs?: number
  /** 32 at most. */
  readonly headers?: Headers
  /**
   * Resolves with the JSON text of the reply as the responder sent it, for numbers that a double cannot hold. A reply that is bytes is
   * bytes still, and none is undefined.
   *
   * @example
   * ```
   * const text = await client.request<string>('balances.get', { account: 7 }, { raw: true })
   * ```
   */
  readonly raw?: boolean
  /** Waits no longer; the responder may still answer. */
  readonly signal?: AbortSignal
}

/** @internal */
export const REQUEST_RULES: Rules<RequestOptions> = {
  timeoutMs: WAIT_MS,
  headers: ANY,
  raw: BOOLEAN,
  signal: SIGNAL,
}

interface Answer {
  readonly data: unknown
  readonly text: () => string | undefined
}

/** What this client asks of responders, within the window that the hub grants for publishes. */
export class Requests {
  readonly #line: Line
  readonly #nextSeq: () => number

  constructor(line: Line, nextSeq: () => number) {
    this.#line = line
    this.#nextSeq = nextSeq
  }

  request(topic: string, data: unknown, options: RequestOptions): Promise<unknown> {
    const { timeoutMs = REQUEST_TIMEOUT_MS, headers, raw = false, signal } = options
    parseTopic(topic)
    const seq = this.#nextSeq()
    // The hub has a timer as well, which does not help while it is out of reach.
    const frame = encodeChecked({ type: 'ask', seq, topic, data, timeoutMs: Math.ceil(timeoutMs), headers } as AskFrame)
    const answer = this.#line.send(seq, frame, { timeoutMs, signal }) as Promise<Answer>
    return answer.then(({ data, text }) => (raw ? (text() ?? data) : data))
  }

  answered({ seq, data, error }: AnswerFrame, raw: Raw): void {
    this.#line.answered(seq, ({ resolve, reject }) => {
      if (error === undefined) resolve({ data, text: () => raw('data') } satisfies Answer)
      else reject(new FanfareError('responder_failed', error))
    })
  }
}
