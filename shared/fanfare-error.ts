import { CLIENT_ERRORS, type ErrorEntry } from './client-errors.ts'
import type { ErrorFrame } from './frames.ts'
import type { HUB_ERRORS } from './hub-errors.ts'

/** Those that a client raises: with a text of the table, and the last four about what a hub has sent, with the detail of the case. */
export type ClientErrorCode = keyof typeof CLIENT_ERRORS | 'not_json' | 'bad_utf8' | 'bad_binary' | 'unknown_frame'
export type ErrorCode = ClientErrorCode | keyof typeof HUB_ERRORS

/** The rows that this program has: in a hub all of them, see `errors.ts`. */
export const knownErrors: Partial<Record<ErrorCode, ErrorEntry>> = { ...CLIENT_ERRORS }

/** An error of the table. `message` is the table's sentence, with the detail of this case in front of it. */
export class FanfareError extends Error {
  override readonly name = 'FanfareError'
  /** The code to branch on. */
  readonly code: ErrorCode
  /** Whether the same request may succeed later without being changed. */
  readonly retry: boolean

  constructor(code: ClientErrorCode, detail?: string, row: Pick<ErrorEntry, 'text' | 'retry'> = rowOf(code)) {
    const { text, retry } = row
    // The message of an error may come as the detail of the next one: no sentence comes twice, and no full stop.
    const own = detail?.replace(text, '').replace(/[. ]+$/, '')
    super(own ? `${own}. ${text}` : text)
    this.code = code
    this.retry = retry
  }
}

/** The error that a hub has sent, in the hub's words. Its code may be one of a later hub, which this program does not know. */
export function errorFrom({ code, message, retry }: Pick<ErrorFrame, 'code' | 'message' | 'retry'>): FanfareError {
  // One of very many refusals has no words.
  return new FanfareError(code as ClientErrorCode, undefined, { text: message || rowOf(code).text, retry })
}

function rowOf(code: string): ErrorEntry {
  return knownErrors[code as ErrorCode] ?? { text: `PROTOCOL.md explains "${code}".`, retry: false }
}
