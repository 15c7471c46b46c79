import type { Logger } from 'pino'
import { FanfareError } from '../../../shared/errors.ts'
import type { LossCause } from '../remote-status.ts'
import { type BrokerLink, LinkLost } from './link.ts'

/** What a Redis keeps of what it has answered, and how much memory it has for that. */
export interface RedisPromise {
  /** Why it may lose some of it when it ends unexpectedly; undefined if it does not. */
  readonly fault: Fault | undefined
  /** Replicas that are connected. */
  readonly replicas: number
  readonly memory: { readonly bytes: number; readonly limitBytes: number }
}

interface Fault {
  readonly cause: LossCause
  readonly text: string
  /** What to do about it. */
  readonly remedy: string
}

const WRITE_FIRST = 'Set appendonly yes and appendfsync always'

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
  return {
    fault: await faultOf(link),
    replicas: numberIn(await infoOf(link, 'replication'), 'connected_slaves'),
    memory: { bytes: numberIn(memory, 'used_memory'), limitBytes: numberIn(memory, 'maxmemory') },
  }
}

async function faultOf(link: BrokerLink): Promise<Fault | undefined> {
  if (/aof_enabled:0/.test(await infoOf(link, 'persistence'))) {
    return { cause: 'no_disk', text: 'it writes nothing to its disk (appendonly no)', remedy: WRITE_FIRST }
  }
  const found = await link.ask('CONFIG', 'GET', '*append*').catch(unlessLost(undefined))
  if (found === undefined) {
    const text = 'it does not permit CONFIG GET, so that what it writes to its disk is unknown'
    return { cause: 'unknown', text, remedy: 'Permit it (ACL SETUSER with +config|get)' }
  }
  const config = configOf(found)
  const fsync = config.get('appendfsync')
  if (fsync !== 'always') {
    const text = `it acknowledges before it writes to its disk (appendfsync ${fsync})`
    return { cause: 'late_sync', text, remedy: WRITE_FIRST }
  }
  if (config.get('no-appendfsync-on-rewrite') === 'yes') {
    const text = 'it does not wait for its disk while it rewrites its file (no-appendfsync-on-rewrite yes)'
    return { cause: 'late_sync', text, remedy: 'Set no-appendfsync-on-rewrite no' }
  }
  return undefined
}

async function infoOf(link: BrokerLink, section: string): Promise<string> {
  // A hub that may not use it does not start; it may be taken away from one that runs.
  return String(await link.ask('INFO', section).catch(unlessLost('')))
}

/** A refusal says that something is not permitted; a lost link says nothing about Redis. */
function unlessLost<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if (error instanceof LinkLost) throw error
    return value
  }
}

function numberIn(info: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
}

/** As a list of names and values, or as an object. */
function configOf(found: unknown): Map<string, string> {
  if (!Array.isArray(found)) return new Map(Object.entries(found as Record<string, string>))
  return new Map(found.flatMap((name, at): [string, string][] => (at % 2 === 0 ? [[name, found[at + 1]]] : [])))
}

/** Both ways out of a Redis that may lose what it has acknowledged. */
function notKept({ text, remedy }: Fault): string {
  return `This Redis can lose messages that were acknowledged: ${text}. ${remedy}, or accept the loss with clusterDurability: 'relaxed'.`
}

/** What this Redis promises. It is asked on each link, and from time to time: its settings can change while it runs. */
export class PromiseCheck {
  readonly durability: 'strict' | 'relaxed'
  /** Whether what it has acknowledged so far is kept: when it was asked before, and now. */
  isKept = true
  /** What Redis answered last. */
  memory: RedisPromise['memory'] = { bytes: 0, limitBytes: 0 }
  readonly mayLose = new Set<LossCause>()
  private readonly link: BrokerLink
  private readonly replicas: number
  private readonly log: Logger
  private fault: Fault | undefined = undefined

  /** `replicas`: those that are waited for. */
  constructor(link: BrokerLink, durability: 'strict' | 'relaxed', replicas: number, log: Logger) {
    this.link = link
    this.durability = durability
    this.replicas = replicas
    this.log = log
  }

  /** On a new link. Throws `bad_config` if this Redis holds data that it may lose, and the configuration does not accept that. */
  async check(keeps: () => Promise<boolean>): Promise<void> {
    const isNews = await this.ask()
    if (!this.fault) return
    const { cause, text: fault } = this.fault
    if (this.durability === 'strict' && (await keeps())) throw new FanfareError('bad_config', notKept(this.fault))
    if (!isNews) return
    if (this.durability === 'relaxed') this.log.warn({ cause, fault }, CAN_LOSE)
    else
      this.log.info(
        { cause, fault },
        'this cluster has no streams and queues: its Redis can lose what it has acknowledged',
      )
  }

  /** On a link that has been checked: reports a Redis that has ceased to keep what it acknowledges. */
  async look(): Promise<void> {
    const isNews = await this.ask()
    if (!this.fault || !isNews) return
    const { cause, text: fault } = this.fault
    if (this.durability === 'relaxed') this.log.warn({ cause, fault }, CAN_LOSE)
    else this.log.error({ cause, fault }, CAN_LOSE)
  }

  /** Throws `cluster_live_only` if nothing may be kept in this Redis. */
  mayKeep(): void {
    if (this.fault === undefined || this.durability !== 'strict') return
    throw new FanfareError('cluster_live_only', notKept(this.fault))
  }

  /** Whether it has another fault than before, or none any more. */
  private async ask(): Promise<boolean> {
    const { fault, replicas, memory } = await promiseOf(this.link)
    const known = this.fault
    const knewFailover = this.mayLose.has('failover')
    this.fault = fault
    this.isKept = fault === undefined && known === undefined
    this.memory = memory
    this.mayLose.clear()
    if (fault) this.mayLose.add(fault.cause)
    if (replicas > this.replicas) {
      this.mayLose.add('failover')
      if (!knewFailover) this.log.warn({ replicas, clusterReplicas: this.replicas }, FAILOVER)
    }
    return fault?.text !== known?.text
  }
}

const CAN_LOSE = 'this Redis can lose messages that were acknowledged'
const FAILOVER =
  'a failover can lose messages that were acknowledged: Redis has more replicas than clusterReplicas names'
