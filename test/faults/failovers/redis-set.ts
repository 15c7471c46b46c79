import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { command, redisOf } from '../../setup/cluster.ts'
import type { RedisServer } from '../../setup/redis-server.ts'
import { PRIMARY, type Sentinel, sentinelOf } from '../../setup/sentinel.ts'

const SENTINELS = 3
export const REPLICAS = 2

/** A primary with its replicas, all of which keep what they answer, and the sentinels that watch them. */
export class RedisSet {
  readonly url: string
  readonly sentinels: readonly Sentinel[]
  primary: RedisServer
  private readonly servers: readonly RedisServer[]

  private constructor(servers: readonly RedisServer[], sentinels: readonly Sentinel[]) {
    this.servers = servers
    this.sentinels = sentinels
    this.primary = servers[0] as RedisServer
    this.url = `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${PRIMARY}`
  }

  static async start(): Promise<RedisSet> {
    const primary = await durable()
    const replicas = Array.from({ length: REPLICAS }, () => durable('--replicaof', '127.0.0.1', `${primary.port}`))
    const servers = [primary, ...(await Promise.all(replicas))]
    const watching = Array.from({ length: SENTINELS }, () => sentinelOf(primary, undefined, 2))
    const set = new RedisSet(servers, await Promise.all(watching))
    await set.whole()
    return set
  }

  /** All replicas have everything, and all sentinels know it. */
  async whole(): Promise<void> {
    await expect.poll(() => this.onlineReplicas()).toBe(REPLICAS)
    for (const sentinel of this.sentinels) await expect.poll(() => this.faultsKnownTo(sentinel)).toEqual([])
  }

  /** Sentinel takes the primary for dead, or was asked to change it: another one is the primary now. */
  async switched(): Promise<RedisServer> {
    const before = this.primary
    const place = async () => {
      const found = (await command(
        this.sentinels[0] as Sentinel,
        'SENTINEL',
        'GET-MASTER-ADDR-BY-NAME',
        PRIMARY,
      )) as string[]
      return Number(found[1])
    }
    await expect.poll(place, { interval: 20, timeout: 60_000 }).not.toBe(before.port)
    const port = await place()
    this.primary = this.servers.find((server) => server.port === port) as RedisServer
    return before
  }

  /** What an operator's script does with the primary of before: Sentinel itself takes about ten seconds for it. */
  async demote(server: RedisServer): Promise<void> {
    await command(server, 'REPLICAOF', '127.0.0.1', `${this.primary.port}`)
  }

  async restartAsReplica(server: RedisServer): Promise<void> {
    await server.start('--replicaof', '127.0.0.1', `${this.primary.port}`)
  }

  /** A sentinel that has just seen a failover refuses another one. */
  async askForFailover(): Promise<void> {
    const [sentinel] = this.sentinels as [Sentinel]
    const ask = () => command(sentinel, 'SENTINEL', 'FAILOVER', PRIMARY).catch((error) => String(error))
    await expect.poll(ask).toBe('OK')
  }

  private async onlineReplicas(): Promise<number> {
    const info = String(await command(this.primary, 'INFO', 'replication'))
    return (info.match(/state=online/g) ?? []).length
  }

  private async faultsKnownTo(sentinel: Sentinel): Promise<string[]> {
    const [primary, replicas, others] = await Promise.all(
      ['MASTER', 'REPLICAS', 'SENTINELS'].map((what) => command(sentinel, 'SENTINEL', what, PRIMARY)),
    )
    const found = [asRecord(primary), ...(replicas as unknown[]).map(asRecord), ...(others as unknown[]).map(asRecord)]
    const faults = found.flatMap(({ name, flags }) =>
      /down|disconnected/.test(flags ?? '') ? [`${name} ${flags}`] : [],
    )
    if (found[0]?.['port'] !== `${this.primary.port}`) faults.push('another primary')
    if (found.length !== REPLICAS + SENTINELS) faults.push(`${found.length} known`)
    return faults
  }
}

function asRecord(found: unknown): Record<string, string> {
  if (!Array.isArray(found)) return found as Record<string, string>
  return Object.fromEntries(found.flatMap((name, at) => (at % 2 === 0 ? [[name, found[at + 1]]] : [])))
}

async function durable(...options: string[]): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'fanfare-redis-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return redisOf('--dir', directory, '--appendonly', 'yes', '--appendfsync', 'always', ...options)
}
