/** `fanfare/server`: a hub inside a program of your own. */
import type { Logger } from 'pino'
import type { z } from 'zod'
import { checkConfig, type HubConfig } from './config.ts'
import { loadEngine } from './engine/load-engine.ts'
import { Hub } from './hub.ts'

export { FanfareError } from '../shared/errors.ts'
export { DEFAULTS } from './config.ts'
export type { Hub, HubState } from './hub.ts'

/** Every option has a default: see `DEFAULTS`. */
export type HubOptions = z.input<typeof HubConfig>

/**
 * Starts a hub that listens on its own port.
 *
 * Throws `bad_config`, `engine_missing`, `port_in_use`.
 */
export async function startHub(options: HubOptions = {}, log?: Logger): Promise<Hub> {
  const config = checkConfig(options)
  const hub = new Hub(config, log)
  await hub.listen(await loadEngine(config.engine))
  return hub
}

/**
 * Makes a hub for a server that you have already: `await hub.attach(server)`, and give it the requests that you like
 * with `hub.fetch(request)`. Throws `bad_config`.
 */
export function createHub(options: HubOptions = {}, log?: Logger): Hub {
  return new Hub(checkConfig(options), log)
}
