/** Tells apart the errors that calls to the hub return. */

/** How long the page waits before it repeats a call that was forbidden, in milliseconds: the hub logs each refusal. */
export const FORBIDDEN_MS = 30_000

const NO_ANSWER: readonly unknown[] = ['connection_lost', 'request_timeout', 'client_closed']
const GONE: readonly unknown[] = ['no_queue', 'no_stream', 'no_connection']

/** The hub did not answer: its last answer stays on the page, and the banner reports the hub as unreachable. */
export function isNoAnswer(error: unknown): boolean {
  return NO_ANSWER.includes(codeOf(error))
}

export function isForbidden(error: unknown): boolean {
  return codeOf(error) === 'forbidden'
}

/** What the call asked about does not exist, or no longer exists. */
export function isGone(error: unknown): boolean {
  return GONE.includes(codeOf(error))
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code
}
