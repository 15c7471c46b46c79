import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { command, redisOf } from '../../setup/cluster.ts'
import type { RedisServer } from '../../setup/redis-server.ts'
import { PRIMARY, type Sentinel, sentinelOf } from '../../setup/sentinel.ts'

/** When each sentinel takes the primary for dead: if all did at once, each could vote for itself, and they would try again after six seconds only. */
const DOWN_AFTER = [1000, 1000, 1500]
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
    const watching = DOWN_AFTER.map((downAfter) => sentinelOf(primary, { quorum: 2, downAfter }))
    const set = new RedisSet(servers, await Promise.all(watching))
    await set.whole()
    return set
  }

  /** All replicas have everything, and all sentinels know it. On a busy machine, sentinels take a primary for dead that is not: then it is another one. */
  async whole(): Promise<void> {
    const faults = async () => {
      await this.follow()
      const [missing, ...known] = await Promise.all([
        this.missingReplicas(),
        ...this.sentinels.map((sentinel) => this.faultsKnownTo(sentinel)),
      ])
      return [...missing, ...known.flat()]
    }
    await expect.poll(faults, { timeout: 90_000 }).toEqual([])
  }

  /** Sentinel takes the primary for dead, or was asked to change it: another one is the primary now. Gives the one before. */
  async switched(): Promise<RedisServer> {
    const before = this.primary
    await expect.poll(() => this.primaryPort(), { interval: 20, timeout: 60_000 }).not.toBe(before.port)
    this.primary = this.serverAt(await this.primaryPort())
    return before
  }

  /** The primary has all of its replicas. */
  async complete(): Promise<void> {
    const missing = async () => {
      await this.follow()
      return this.missingReplicas()
    }
    await expect.poll(missing, { interval: 30, timeout: 90_000 }).toEqual([])
  }

  private async follow(): Promise<void> {
    const found = this.serverAt(await this.primaryPort())
    if (found === this.primary) return
    const before = this.primary
    this.primary = found
    await this.demote(before)
  }

  private serverAt(port: number): RedisServer {
    return this.servers.find((server) => server.port === port) as RedisServer
  }

  private async primaryPort(): Promise<number> {
    const [sentinel] = this.sentinels as [Sentinel]
    const found = (await command(sentinel, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', PRIMARY)) as string[]
    return Number(found[1])
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

  private async missingReplicas(): Promise<string[]> {
    const info = String(await command(this.primary, 'INFO', 'replication'))
    const online = (info.match(/state=online/g) ?? []).length
    return online === REPLICAS ? [] : [`${online} replicas`]
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
    if (found.length !== REPLICAS + DOWN_AFTER.length) faults.push(`${found.length} known`)
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
  // After a copy without a file, a primary may wait up to a second for the next sign of life of the replica before it sends what follows.
  const settings = ['--appendonly', 'yes', '--appendfsync', 'always', '--repl-diskless-sync', 'no']
  return redisOf('--dir', directory, ...settings, ...options)
}
