import type { IncomingMessage } from 'node:http'

/** In milliseconds. */
const LINGER_MS = 30_000

/**
 * Reads and discards, for a while, the rest of a request that already has its response. Closing at once would take the response from clients that
 * read it only after sending everything, as browsers do. (nginx calls it a lingering close.)
 */
export function linger(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return
  request.unpipe()
  request.resume()
  const timer = setTimeout(() => request.destroy(), LINGER_MS)
  request.once('close', () => clearTimeout(timer))
}
