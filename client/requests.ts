import { FanfareError } from '../shared/fanfare-error.ts'
import type { AnswerFrame, AskFrame, Headers } from '../shared/frames.ts'
import { parseTopic } from '../shared/topic.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Line, Question } from './line.ts'
import { ANY, type Rules, SIGNAL, WAIT_MS } from './options.ts'

const REQUEST_TIMEOUT_MS = 10_000

/** How something is asked. */
export interface RequestOptions {
  /** Longest wait for the reply, in milliseconds from the call, also while there is no connection: 10,000 by default. */
  readonly timeoutMs?: number
  /** 32 at most. */
  readonly headers?: Headers
  /** Waits no longer; the responder may still answer. */
  readonly signal?: AbortSignal
}

/** @internal */
export const REQUEST_RULES: Rules<RequestOptions> = { timeoutMs: WAIT_MS, headers: ANY, signal: SIGNAL }

/** Asks a responder, within the window that the hub grants for publishes. */
export function request(line: Line, topic: string, data: unknown, options: RequestOptions): Promise<unknown> {
  const { timeoutMs = REQUEST_TIMEOUT_MS, headers, signal } = options
  parseTopic(topic)
  const ask: Question<unknown> = {
    // The hub has a timer as well, which does not help while it is out of reach.
    encode: (seq) =>
      encodeChecked({ type: 'ask', seq, topic, data, timeoutMs: Math.ceil(timeoutMs), headers } as AskFrame),
    read({ data, error }: AnswerFrame) {
      if (error !== undefined) throw new FanfareError('responder_failed', error)
      return data
    },
  }
  return line.send(ask, { timeoutMs, signal })
}
