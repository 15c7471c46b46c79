import { RedisServer } from '../../setup/redis-server.ts'
import { fanfare, type Running, type Target } from '../targets.ts'

/** What a load of a cluster is asked for. */
export interface ClusterLoad {
  readonly engine: string
  readonly size: number
  readonly subscribers: number
  readonly seconds: number
  readonly clients: number
}

/** A Redis that ends with this process. */
export async function startRedis(): Promise<RedisServer> {
  const redis = await RedisServer.start()
  process.once('exit', () => redis.signal('SIGKILL'))
  return redis
}

/** Hubs of one cluster, all on the core of servers. */
export function startNodes(count: number, engine: string, redis: RedisServer): Promise<Running[]> {
  return startAll(fanfare(engine, ['--cluster', redis.url]), count)
}

export function startAll(target: Target, count: number): Promise<Running[]> {
  return Promise.all(Array.from({ length: count }, () => target.start()))
}

export async function stopAll(nodes: readonly Running[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.stop()))
}

export function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
