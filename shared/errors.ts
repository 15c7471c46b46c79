import { CLIENT_ERRORS, type ErrorEntry } from './client-errors.ts'
import { FanfareError as AnyError, type ErrorCode, knownErrors } from './fanfare-error.ts'
import { HUB_ERRORS } from './hub-errors.ts'

export type { ErrorCode } from './fanfare-error.ts'

/**
 * Every refusal, in one table: its code, what was wrong and what to do, whether trying again can help, and the
 * close code when it costs the connection. Code branches on codes, never on text; docs/reference/error-codes.md is made from
 * this table. The client imports `fanfare-error.ts` instead, so that pages load only its own rows.
 */
export const ERRORS = {
  ...CLIENT_ERRORS,
  bad_frame: closing(CLIENT_ERRORS.bad_frame, 4400),
  forbidden_key: closing(CLIENT_ERRORS.forbidden_key, 4400),
  frame_too_large: closing(CLIENT_ERRORS.frame_too_large, 4413),
  hello_timeout: closing(CLIENT_ERRORS.hello_timeout, 4008),
  idle_timeout: closing(CLIENT_ERRORS.idle_timeout, 4002),
  ...HUB_ERRORS,
}

/** A row of a client's error that at a hub costs the connection. */
function closing(row: ErrorEntry, close: number): ErrorEntry {
  return { ...row, close }
}

Object.assign(knownErrors, HUB_ERRORS)

/** An error of the table: the same class, with every code. */
export const FanfareError = AnyError as new (code: ErrorCode, message?: string) => AnyError
export type FanfareError = AnyError

/** The table's row for a code, with its optional close code. */
export function errorEntry(code: ErrorCode): ErrorEntry {
  return ERRORS[code]
}
