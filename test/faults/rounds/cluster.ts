import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Balancer } from '../../setup/balancer.ts'
import { command } from '../../setup/cluster.ts'
import { configFile } from '../../setup/hub-process.ts'
import { RedisServer } from '../../setup/redis-server.ts'
import { ClusterNode } from './cluster-node.ts'
import { QUEUES, STREAMS } from './declarations.ts'
import type { Hubs } from './hubs.ts'

const NODES = 3
/** Connections of a hub to Redis: two of its bus, three of its broker. */
const LINKS = 5
/** How long all may take to be as before, in milliseconds. */
const SETTLED_MS = 20_000

/** Hubs on one Redis that keeps what it acknowledges, behind a load balancer. */
export class Cluster implements Hubs {
  readonly port: number
  readonly restores = []
  private readonly redis: RedisServer
  private readonly balancer: Balancer
  private readonly nodes: readonly ClusterNode[]
  private redisIsBusy: Promise<unknown> = Promise.resolve()

  private constructor(redis: RedisServer, nodes: readonly ClusterNode[], balancer: Balancer) {
    this.redis = redis
    this.nodes = nodes
    this.balancer = balancer
    this.port = Number(new URL(balancer.url).port)
  }

  /** `engines`: the hubs have them in turn. */
  static async start(folder: string, engines: readonly string[]): Promise<Cluster> {
    const dir = join(folder, 'redis')
    await mkdir(dir)
    const redis = await RedisServer.start('--dir', dir, '--appendonly', 'yes', '--appendfsync', 'always')
    const config = await configFile(join(folder, 'config.json'), STREAMS, QUEUES)
    const starting = Array.from({ length: NODES }, (_, n) =>
      ClusterNode.start(redis.port, {
        config,
        engine: engines[n % engines.length] as string,
        'node-name': `node-${n}`,
      }),
    )
    const nodes = await Promise.all(starting)
    const balancer = await Balancer.start(nodes.map(({ port }) => port))
    return new Cluster(redis, nodes, balancer)
  }

  get crashes(): string[] {
    return this.nodes.flatMap(({ crashes }) => crashes)
  }

  pick(random: () => number): ClusterNode {
    return this.nodes[Math.floor(random() * this.nodes.length)] as ClusterNode
  }

  /** As an upgrade does. */
  async roll(): Promise<void> {
    for (const node of this.nodes) await node.restart('SIGTERM')
  }

  restartRedis(downMs: number): Promise<void> {
    return this.withRedis(async () => {
      await this.redis.stop()
      await wait(downMs)
      await this.redis.start()
    })
  }

  pauseRedis(ms: number): Promise<void> {
    return this.withRedis(async () => {
      this.redis.signal('SIGSTOP')
      await wait(ms)
      this.redis.signal('SIGCONT')
    })
  }

  fillRedis(ms: number): Promise<void> {
    return this.withRedis(async () => {
      await command(this.redis, 'CONFIG', 'SET', 'maxmemory', '1mb')
      await wait(ms)
      await command(this.redis, 'CONFIG', 'SET', 'maxmemory', '0')
    })
  }

  command(name: string, ...args: string[]): Promise<void> {
    return this.withRedis(() => command(this.redis, name, ...args))
  }

  /** A hub hears of what the others have stored a little later, and seconds later on a link that was slow: until then it shows streams as they were. */
  async agree(): Promise<void> {
    const until = performance.now() + SETTLED_MS
    while (!(await this.doAgree()) && performance.now() < until) await wait(50)
  }

  private async doAgree(): Promise<boolean> {
    const all = await Promise.all(
      STREAMS.map(({ name }) => Promise.all(this.nodes.map((node) => node.next(name).catch(() => Number.NaN)))),
    )
    return all.every((offsets) => offsets.every((next) => next === offsets[0]))
  }

  async leftovers(connections: number): Promise<string[]> {
    const until = performance.now() + SETTLED_MS
    for (;;) {
      const wrong = (await Promise.all([this.inRedis(), this.connectionsOtherThan(connections)])).flat()
      if (wrong.length === 0 || performance.now() > until) {
        return [...wrong, ...(await Promise.all(this.nodes.map((node) => node.faults()))).flat()]
      }
      await wait(50)
    }
  }

  async close(): Promise<void> {
    this.balancer.close()
    await Promise.all(this.nodes.map((node) => node.close()))
    this.redis.signal('SIGCONT')
    await this.redis.stop()
  }

  /** One after the other: what is down or full cannot be asked for more. */
  private async withRedis(act: () => Promise<unknown>): Promise<void> {
    const done = this.redisIsBusy.then(act)
    this.redisIsBusy = done.catch(() => {})
    await done
  }

  /** Of messages on lease, of nodes that are gone, and of links. */
  private async inRedis(): Promise<string[]> {
    const keys = (await command(this.redis, 'KEYS', '{fanfare}:q:*:l:*')) as string[]
    const nodes = (await command(this.redis, 'ZCARD', '{fanfare}:nodes')) as number
    const clients = String(await command(this.redis, 'CLIENT', 'LIST')).split('\n')
    const links = clients.filter((line) => line !== '').length - 1
    return [
      ...keys.map((key) => `leases are left in ${key}`),
      ...(nodes === NODES ? [] : [`${nodes} nodes in Redis`]),
      ...(links === NODES * LINKS ? [] : [`${links} links to Redis`]),
    ]
  }

  private async connectionsOtherThan(wanted: number): Promise<string[]> {
    const states = await Promise.all(this.nodes.map((node) => node.state()))
    const notReady = this.nodes.filter((_, n) => !states[n]?.isReady).map(({ name }) => `${name} is not ready`)
    const open = states.reduce((sum, { connections }) => sum + connections, 0)
    return open === wanted ? notReady : [...notReady, `${open} connections of ${wanted} clients`]
  }
}
