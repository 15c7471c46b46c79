import type { IncomingMessage } from 'node:http'

/** In milliseconds. */
const LINGER_MS = 30_000

/**
 * Reads and throws away, for a while, what still comes of a request that has its answer. To close at once would take the
 * answer from a client that reads it only when it has sent everything, as browsers do. (nginx calls it lingering close.)
 */
export function linger(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  request.unpipe()
  request.resume()
  const timer = setTimeout(() => request.destroy(), LINGER_MS)
  request.once('close', () => clearTimeout(timer))
}
