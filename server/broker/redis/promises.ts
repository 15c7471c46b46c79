import type { Logger } from 'pino'
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
function notKept(fault: string): string {
  return `This Redis can lose messages that were acknowledged: ${fault}. Set appendonly yes and appendfsync always, or accept the loss with clusterDurability: 'relaxed'.`
}

/** What this Redis promises, asked again on each link. */
export class PromiseCheck {
  private readonly link: BrokerLink
  private readonly durability: 'strict' | 'relaxed'
  private readonly log: Logger
  /** Why Redis may lose what it has acknowledged. */
  private fault: string | undefined = undefined

  constructor(link: BrokerLink, durability: 'strict' | 'relaxed', log: Logger) {
    this.link = link
    this.durability = durability
    this.log = log
  }

  get isKept(): boolean {
    return this.fault === undefined
  }

  /** Throws `bad_config` if this Redis holds data that it may lose, and the configuration does not accept that. */
  async check(keeps: () => Promise<boolean>): Promise<void> {
    const { fault } = await promiseOf(this.link)
    const isNews = fault !== this.fault
    this.fault = fault
    if (fault === undefined || !isNews) return
    if (this.durability === 'relaxed') {
      this.log.warn({ fault }, 'this Redis can lose messages that were acknowledged')
      return
    }
    if (await keeps()) throw new FanfareError('bad_config', notKept(fault))
    this.log.info({ fault }, 'this cluster has no streams and queues: its Redis can lose what it has acknowledged')
  }

  /** Throws `cluster_live_only` if nothing may be kept in this Redis. */
  mayKeep(): void {
    if (this.fault === undefined || this.durability !== 'strict') return
    throw new FanfareError('cluster_live_only', notKept(this.fault))
  }
}
