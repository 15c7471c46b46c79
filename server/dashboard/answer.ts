/** What the errors of the hub say about its answers. */

/** How long the page waits before it asks again for what is forbidden, in milliseconds: the hub logs each refusal. */
export const FORBIDDEN_MS = 30_000

const NO_ANSWER: readonly unknown[] = ['connection_lost', 'request_timeout', 'client_closed']
const GONE: readonly unknown[] = ['no_queue', 'no_stream', 'no_connection']

/** The hub has not answered: what it said before stands, and the head of the page says that it is away. */
export function isNoAnswer(error: unknown): boolean {
  return NO_ANSWER.includes(codeOf(error))
}

export function isForbidden(error: unknown): boolean {
  return codeOf(error) === 'forbidden'
}

/** What was asked about does not exist, or not any longer. */
export function isGone(error: unknown): boolean {
  return GONE.includes(codeOf(error))
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code
}
