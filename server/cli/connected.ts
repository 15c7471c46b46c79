import type { Client } from '../../client/client.ts'
import { errorEntry, FanfareError } from '../../shared/errors.ts'

/** Waits until the client is connected. Throws `hub_unreachable` when that takes too long. */
export async function connected(client: Client, url: string, timeoutMs: number): Promise<void> {
  let why = ''
  const off = client.onState(({ to, reason }) => {
    // Nothing was asked yet that may have been handled.
    if (to === 'waiting') why = `: ${reason.message.replace(errorEntry('connection_lost').text, '')}`
  })
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    await client.ready({ signal: timeout })
  } catch (error) {
    throw timeout.aborted ? new FanfareError('hub_unreachable', `${url} for ${timeoutMs} ms${why}`) : error
  } finally {
    off()
  }
}
