import { CLIENT_ERRORS, type ErrorEntry } from './client-errors.ts'
import { FanfareError as AnyError, type ErrorCode, knownErrors } from './fanfare-error.ts'
import { HUB_ERRORS } from './hub-errors.ts'

export type { ErrorCode } from './fanfare-error.ts'

/**
 * Every refusal, in one table: its code, what was wrong and what to do, whether trying again can help, and the
 * close code when it costs the connection. Code branches on codes, never on text; PROTOCOL.md prints this table
 * and a test compares the two. The client imports `fanfare-error.ts` instead, so that pages load only its own rows.
 */
export const ERRORS = { ...CLIENT_ERRORS, ...HUB_ERRORS }

Object.assign(knownErrors, HUB_ERRORS)

/** An error of the table: the same class, with every code. */
export const FanfareError = AnyError as new (code: ErrorCode, detail?: string) => AnyError
export type FanfareError = AnyError

/** The table's row for a code, with its optional close code. */
export function errorEntry(code: ErrorCode): ErrorEntry {
  return ERRORS[code]
}
