import type { Client } from '../../client/client.ts'
import { shownUrl } from '../../client/hub-url.ts'
import { FanfareError } from '../../shared/errors.ts'
import { duration } from './table.ts'

/**
 * Waits until the client is connected. Rejects with `hub_unreachable` once that has taken too long, and at once if no connection can be
 * opened; but a client that `reconnects` may find its hub starting again, and keeps trying until its time is up.
 */
export async function connected(client: Client, url: string, timeoutMs: number, reconnects = false): Promise<void> {
  const refused = new AbortController()
  let why = `No answer within ${duration(timeoutMs)}.`
  const off = client.onState(({ to, reason }) => {
    if (to !== 'waiting') return
    why = reason.message
    if (reason.code === 'connect_failed' && !reconnects) refused.abort()
  })
  const signal = AbortSignal.any([refused.signal, AbortSignal.timeout(timeoutMs)])
  try {
    await client.ready({ signal })
  } catch (error) {
    throw signal.aborted ? new FanfareError('hub_unreachable', unreachable(url, why)) : error
  } finally {
    off()
  }
}

/** What went wrong, for people. */
function unreachable(url: string, why: string): string {
  return `Not connected to ${shownUrl(url)}. ${why} Start a hub with "fanfare serve", or correct --url.`
}

/** Reports on standard error, once per outage, that a command which keeps running has no connection, and that it has one again. */
export function noteConnection(client: Client, url: string, note: (text: string) => void): void {
  let away = false
  client.onState(({ to, reason }) => {
    if (to === 'waiting' && !away) note(`Not connected to ${shownUrl(url)}, trying again. ${reason.message}`)
    if (to === 'connected' && away) note(`Connected to ${shownUrl(url)}.`)
    if (to !== 'connecting') away = to === 'waiting'
  })
}
