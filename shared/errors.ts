import { CLIENT_ERRORS } from './client-error-rows.ts'
import type { ErrorEntry } from './error-entry.ts'
import { FanfareError as AnyError, type ErrorCode, knownErrors } from './fanfare-error.ts'
import { HUB_ERRORS } from './hub-errors.ts'

export type { ErrorCode } from './fanfare-error.ts'

/**
 * Every refusal, in one table: its code, what was wrong and what to do, whether trying again can help, and the
 * close code when it costs the connection. Code branches on codes, never on text; docs/reference/error-codes.md is made from
 * this table. The client imports `fanfare-error.ts` instead, so that pages load only the texts that they need.
 */
export const ERRORS = { ...CLIENT_ERRORS, ...HUB_ERRORS }

Object.assign(knownErrors, ERRORS)

/** An error of the table: the same class, with every code. */
export const FanfareError = AnyError as new (code: ErrorCode, message?: string) => AnyError
export type FanfareError = AnyError

/** The table's row for a code, with its optional close code. */
export function errorEntry(code: ErrorCode): ErrorEntry {
  return ERRORS[code]
}
