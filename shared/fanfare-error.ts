import type { CLIENT_ERRORS } from './client-error-rows.ts'
import { CLIENT_RETRIES, CLIENT_TEXTS } from './client-errors.ts'
import type { ErrorEntry } from './error-entry.ts'
import type { ErrorFrame } from './frames.ts'
import type { HUB_ERRORS } from './hub-errors.ts'

/** Codes that a client raises: its own, and the last four, about what a hub has sent. */
export type ClientErrorCode = keyof typeof CLIENT_ERRORS | 'not_json' | 'bad_utf8' | 'bad_binary' | 'unknown_frame'
export type ErrorCode = ClientErrorCode | keyof typeof HUB_ERRORS

/** The rows of the error table, in a program that has loaded `errors.ts`. A client does without. */
export const knownErrors: Partial<Record<string, ErrorEntry>> = {}

/** An error of the table. `message` says what was wrong in this case, and what to do. */
export class FanfareError extends Error {
  override readonly name = 'FanfareError'
  /** The code to branch on. */
  readonly code: ErrorCode
  /** Whether the same request may succeed later without being changed. */
  readonly retry: boolean

  /** @param message the whole text of this case, in sentences; the table's text by default */
  constructor(
    code: ClientErrorCode,
    message?: string,
    retry = knownErrors[code]?.retry ?? CLIENT_RETRIES.includes(code),
  ) {
    super(message || textOf(code))
    this.code = code
    this.retry = retry
  }
}

/** The error that a hub has sent, with the hub's message. Its code may be one of a later hub, which this program does not know. */
export function errorFrom({ code, message, retry }: Pick<ErrorFrame, 'code' | 'message' | 'retry'>): FanfareError {
  // One of very many refusals has no message.
  return new FanfareError(code as ClientErrorCode, message, retry)
}

function textOf(code: string): string {
  const texts: Partial<Record<string, string>> = CLIENT_TEXTS
  return knownErrors[code]?.text ?? texts[code] ?? `The hub refused this with the code "${code}".`
}
