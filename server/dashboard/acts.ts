import { ConnectionAdmin } from '../../client/hub.ts'
import type { Client } from '../../client/index.ts'
import { QueueAdmin } from '../../client/queues.ts'
import { StreamAdmin } from '../../client/streams.ts'
import { MAX_DELAY_MS } from '../../shared/field-rules.ts'
import { connection, isThere, wholeClient } from './hub.ts'

/** The operations that a page can ask of the hub. */
export interface Acting {
  readonly queues: QueueAdmin
  readonly streams: StreamAdmin
  readonly connections: ConnectionAdmin
  readonly publish: Client['publish']
}

/** How long the hub may take to answer a probe before an action is refused, in milliseconds. */
const THERE_MS = 2000

const AWAY = 'The hub is unreachable. Nothing was changed.'
const SILENT = 'The hub does not answer. Nothing was changed.'
const UNKNOWN =
  'The connection was lost before the hub answered, so the action may or may not have happened. Check before you repeat it.'
const NO_ANSWER =
  'The hub did not answer in time, so the action may or may not have happened. Check before you repeat it.'

/** Whether actions are possible now. Buttons that change something are disabled while they are not. */
export function canAct(): boolean {
  return isThere()
}

/**
 * Sends an action to the hub immediately or not at all; every change goes through here. While the hub is unreachable or silent the
 * action is refused. If the connection is lost while it is pending, the action is withdrawn and rejects with a message that it may
 * have happened.
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

/** Rejects if the hub does not answer a probe: a hub or network that hangs would carry out the action much later. */
async function answers(signal: AbortSignal): Promise<void> {
  try {
    await wholeClient.call('hub.whoami', undefined, { signal, timeout: THERE_MS })
  } catch (error) {
    if (signal.aborted) throw new Error(AWAY)
    // Any error is an answer, even that of an older hub that does not know the method.
    if ((error as { code?: unknown }).code === 'request_timeout') throw new Error(SILENT)
  }
}

/** The client's operations, withdrawn when the signal aborts. */
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
