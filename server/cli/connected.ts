import type { Client } from '../../client/client.ts'
import { shownUrl } from '../../client/hub-url.ts'
import { FanfareError } from '../../shared/errors.ts'
import { duration } from './table.ts'

/**
 * Waits until the client is connected. Rejects with `hub_unreachable` after the timeout, or at once if no connection can be opened.
 * A client that `reconnects` may find its hub restarting, so it keeps trying until the timeout.
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

/** The error message for an unreachable hub. */
function unreachable(url: string, why: string): string {
  return `Not connected to ${shownUrl(url)}. ${why} Start a hub with "fanfare serve", or correct --url.`
}

/** For commands that keep running: reports on standard error, once per outage, that the connection was lost, and that it is back. */
export function noteConnection(client: Client, url: string, note: (text: string) => void): void {
  let away = false
  client.onState(({ to, reason }) => {
    if (to === 'waiting' && !away) note(`Not connected to ${shownUrl(url)}, retrying. ${reason.message}`)
    if (to === 'connected' && away) note(`Connected to ${shownUrl(url)}.`)
    if (to !== 'connecting') away = to === 'waiting'
  })
}
