import type { Client } from '../../client/client.ts'
import { FanfareError } from '../../shared/errors.ts'

/** Waits until the client is connected. Throws `hub_unreachable` when that takes too long. */
export async function connected(client: Client, url: string, timeoutMs: number): Promise<void> {
  let why = ''
  const off = client.onState(({ to, reason }) => {
    if (to === 'waiting') why = ` ${reason.message}`
  })
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    await client.ready({ signal: timeout })
  } catch (error) {
    throw timeout.aborted ? unreachable(url, timeoutMs, why) : error
  } finally {
    off()
  }
}

function unreachable(url: string, timeoutMs: number, why: string): FanfareError {
  return new FanfareError(
    'hub_unreachable',
    `The hub at ${url} could not be reached within ${timeoutMs} ms.${why} Start one with fanfare serve, or correct --url.`,
  )
}
