import { ConnectionAdmin } from '../../client/hub.ts'
import type { Client } from '../../client/index.ts'
import { QueueAdmin } from '../../client/queues.ts'
import { StreamAdmin } from '../../client/streams.ts'
import { MAX_DELAY_MS } from '../../shared/field-rules.ts'
import { connection, isThere, wholeClient } from './hub.ts'

/** What a page does to the hub. */
export interface Acting {
  readonly queues: QueueAdmin
  readonly streams: StreamAdmin
  readonly connections: ConnectionAdmin
  readonly publish: Client['publish']
}

/** How long a hub may take to say that it is there, before it is asked to do anything, in milliseconds. */
const THERE_MS = 2000

const AWAY = 'The hub is away: nothing was done.'
const SILENT = 'The hub does not answer: nothing was done.'
const UNKNOWN =
  'The connection was lost before the hub answered: it is not known whether this was done. Look before you repeat it.'
const NO_ANSWER = 'The hub has not answered in time: it is not known whether this was done. Look before you repeat it.'

/** Whether anything can be done now. Buttons that do something are disabled while it cannot. */
export function canAct(): boolean {
  return isThere()
}

/**
 * Does something to the hub now, or not at all: everything that changes something goes through here. While the hub is away or silent it is
 * refused; if the connection is lost meanwhile, it is withdrawn, and rejects with words that say that it may have happened.
 *
 * @example
 * ```
 * await tell(act((hub) => hub.queues.purge(name)), (count) => `${count} purged.`)
 * ```
 */
export async function act<Result>(ask: (hub: Acting) => Promise<Result>): Promise<Result> {
  if (!canAct()) throw new Error(connection.state === 'connected' ? SILENT : AWAY)
  const lost = new AbortController()
  const stop = wholeClient.onState(({ to }) => {
    if (to !== 'connected') lost.abort(new Error(UNKNOWN))
  })
  try {
    await answers(lost.signal)
    return await ask(until(lost.signal))
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (code === 'connection_lost' || code === 'outcome_unknown') throw new Error(UNKNOWN)
    if (code === 'request_timeout') throw new Error(NO_ANSWER)
    throw error
  } finally {
    stop()
  }
}

/** A hub or a network that hangs would do much later what it is sent now. Rejects if it does. */
async function answers(signal: AbortSignal): Promise<void> {
  try {
    await wholeClient.call('hub.whoami', undefined, { signal, timeout: THERE_MS })
  } catch (error) {
    if (signal.aborted) throw new Error(AWAY)
    // Any refusal is an answer, such as that of an earlier hub, which does not know the method.
    if ((error as { code?: unknown }).code === 'request_timeout') throw new Error(SILENT)
  }
}

/** What it asks for is withdrawn by the signal. */
function until(signal: AbortSignal): Acting {
  const call = (method: string, params?: unknown, untilSent?: boolean) =>
    wholeClient.call(method, params, { signal, ...(untilSent && { timeout: MAX_DELAY_MS }) })
  return {
    queues: new QueueAdmin(call),
    streams: new StreamAdmin(call),
    connections: new ConnectionAdmin(call),
    publish: (topic, data, options = {}) =>
      wholeClient.publish(topic, data, {
        ...options,
        signal: options.signal ? AbortSignal.any([options.signal, signal]) : signal,
      }),
  }
}
