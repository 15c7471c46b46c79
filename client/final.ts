import { sentence } from '../shared/error-text.ts'
import { type ErrorCode, errorFrom, FanfareError } from '../shared/fanfare-error.ts'

/** Final errors that another token may change. */
export const TOKEN_REFUSED: readonly string[] = ['unauthenticated', 'token_expired'] satisfies ErrorCode[]

/**
 * Errors that another connection would meet again, if the hub itself reports them. Any other end of a connection may pass: proxies,
 * gateways and platforms close for their own reasons with their own codes.
 */
export const FINAL: readonly string[] = [
  ...TOKEN_REFUSED,
  'not_json',
  'bad_utf8',
  'bad_frame',
  'bad_binary',
  'forbidden_key',
  'frame_too_large',
  'window_exceeded',
  'auth_backlog',
] satisfies (ErrorCode | string)[]

/** A close without an error frame before it. The reason from a hub begins with a code of the table; others have any text or none. */
export function closeError(closeCode: number, text: string): FanfareError {
  const [code = '', message = ''] = text.split(/: (.*)/s)
  if (FINAL.includes(code)) return errorFrom({ code, message, retry: false })
  return new FanfareError(
    'connection_lost',
    `The connection was lost: ${sentence(text || `WebSocket close code ${closeCode}`)}`,
  )
}

/** A socket that never opened, with the platform's message. A browser has none: it reveals nothing about an address to pages. */
export function connectError(closeCode: number, text: string): FanfareError {
  return new FanfareError(
    'connect_failed',
    `The hub could not be reached: ${sentence(text || `WebSocket close code ${closeCode}`)}`,
  )
}
