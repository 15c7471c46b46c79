import { CLIENT_ERRORS, type ErrorEntry } from './client-errors.ts'
import type { ErrorFrame } from './frames.ts'
import type { HUB_ERRORS } from './hub-errors.ts'

/** Codes that a client raises: those with a text of its own, and the last four, about what a hub has sent. */
export type ClientErrorCode = keyof typeof CLIENT_ERRORS | 'not_json' | 'bad_utf8' | 'bad_binary' | 'unknown_frame'
export type ErrorCode = ClientErrorCode | keyof typeof HUB_ERRORS

/** The rows that this program has: in a hub all of them, see `errors.ts`. */
export const knownErrors: Partial<Record<ErrorCode, ErrorEntry>> = { ...CLIENT_ERRORS }

/** An error of the table. `message` says what was wrong in this case, and what to do. */
export class FanfareError extends Error {
  override readonly name = 'FanfareError'
  /** The code to branch on. */
  readonly code: ErrorCode
  /** Whether the same request may succeed later without being changed. */
  readonly retry: boolean

  /** @param message the whole text of this case, in sentences; the table's text by default */
  constructor(code: ClientErrorCode, message?: string, retry = rowOf(code).retry) {
    super(message || rowOf(code).text)
    this.code = code
    this.retry = retry
  }
}

/** The error that a hub has sent, with the hub's message. Its code may be one of a later hub, which this program does not know. */
export function errorFrom({ code, message, retry }: Pick<ErrorFrame, 'code' | 'message' | 'retry'>): FanfareError {
  // One of very many refusals has no message.
  return new FanfareError(code as ClientErrorCode, message, retry)
}

function rowOf(code: string): ErrorEntry {
  return knownErrors[code as ErrorCode] ?? { text: `The hub refused this with the code "${code}".`, retry: false }
}
