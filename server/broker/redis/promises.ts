import { FanfareError } from '../../../shared/errors.ts'
import type { BrokerLink } from './link.ts'

/** What a Redis keeps of what it has answered. */
export interface RedisPromise {
  /** Why it may lose some of it when it ends unexpectedly; undefined if it does not. */
  readonly fault: string | undefined
}

/**
 * Asks a Redis whether it keeps what it has acknowledged. Throws `bad_config` if it may throw away any key when its memory is full: then nothing is safe in it,
 * whatever was asked for.
 */
export async function promiseOf(link: BrokerLink): Promise<RedisPromise> {
  const memory = await infoOf(link, 'memory')
  const policy = /maxmemory_policy:(\S+)/.exec(memory)?.[1] ?? 'noeviction'
  if (policy.startsWith('allkeys-')) {
    throw new FanfareError(
      'bad_config',
      `Redis deletes any key when its memory is full (maxmemory-policy ${policy}), also those of the cluster. Set maxmemory-policy to noeviction.`,
    )
  }
  return { fault: await faultOf(link) }
}

async function faultOf(link: BrokerLink): Promise<string | undefined> {
  if (/aof_enabled:0/.test(await infoOf(link, 'persistence'))) return 'it writes nothing to its disk (appendonly no)'
  const found = await link.ask('CONFIG', 'GET', '*append*').catch(() => undefined)
  if (found === undefined) return 'it does not permit CONFIG GET, so that what it writes to its disk is unknown'
  const config = configOf(found)
  const fsync = config.get('appendfsync')
  if (fsync !== 'always') return `it acknowledges before it writes to its disk (appendfsync ${fsync})`
  if (config.get('no-appendfsync-on-rewrite') === 'yes') {
    return 'it does not wait for its disk while it rewrites its file (no-appendfsync-on-rewrite yes)'
  }
  return undefined
}

async function infoOf(link: BrokerLink, section: string): Promise<string> {
  // Where INFO is not permitted, nothing tells.
  return String(await link.ask('INFO', section).catch(() => ''))
}

/** As a list of names and values, or as an object. */
function configOf(found: unknown): Map<string, string> {
  if (!Array.isArray(found)) return new Map(Object.entries(found as Record<string, string>))
  return new Map(found.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, found[at + 1]]] : [])))
}

/** Both ways out of a Redis that may lose what it has acknowledged. */
export function notKept(fault: string): string {
  return `This Redis can lose messages that were acknowledged: ${fault}. Set appendonly yes and appendfsync always, or accept the loss with clusterDurability: 'relaxed'.`
}
