import { CLIENT_ERRORS, type ErrorEntry } from './client-errors.ts'
import type { ErrorFrame } from './frames.ts'
import type { HUB_ERRORS } from './hub-errors.ts'

export type ClientErrorCode = keyof typeof CLIENT_ERRORS
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

  constructor(code: ClientErrorCode, detail?: string, row = knownErrors[code] as Pick<ErrorEntry, 'text' | 'retry'>) {
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
  const text = message || (knownErrors[code as ErrorCode]?.text ?? `PROTOCOL.md explains "${code}".`)
  return new FanfareError(code as ClientErrorCode, undefined, { text, retry })
}
