import { readFile } from 'node:fs/promises'
import type { Logger } from 'pino'
import { FanfareError } from '../../shared/errors.ts'
import type { Bus } from './bus.ts'
import { InProcessBus } from './in-process-bus.ts'
import type { RedisAddress } from './redis/redis-address.ts'

/** Instead of the address of a cluster: this hub is alone. */
export const NO_CLUSTER = 'off'

/** The address of a cluster for people, without user and password. */
export function shownCluster(cluster: string): string {
  return cluster.replace(/\/\/.*@/, '//')
}

/** Where the Redis of a cluster is. */
export interface ClusterPlace {
  readonly cluster: string
  readonly clusterPasswordFile: string
  readonly clusterCaFile: string
}

export interface BusOptions extends ClusterPlace {
  readonly clusterPrefix: string
  readonly nodeName: string
  readonly version: string
}

/** The bus to the other hubs of a cluster, or that of a hub that is alone. Throws `bad_config`. */
export async function loadBus(options: BusOptions, log: Logger): Promise<Bus> {
  const name = options.nodeName || undefined
  const redis = await clusterAddress(options)
  if (!redis) return new InProcessBus(name)
  const { RedisBus } = await import('./redis/redis-bus.ts')
  return new RedisBus({ redis, prefix: options.clusterPrefix, name, version: options.version }, log)
}

/** The Redis of a cluster; undefined for a hub that is alone. Throws `bad_config`. */
export async function clusterAddress(options: ClusterPlace): Promise<RedisAddress | undefined> {
  if (options.cluster === NO_CLUSTER) return undefined
  const { redisAddress } = await import('./redis/redis-address.ts')
  const password = await contentOf(options.clusterPasswordFile, 'clusterPasswordFile')
  const ca = await contentOf(options.clusterCaFile, 'clusterCaFile')
  const redis = redisAddress(options.cluster, password?.trim(), ca)
  await import('./redis/connection.ts').catch((error) => {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new FanfareError('bad_config', 'cluster needs the package ioredis. Install it: npm install ioredis@6')
  })
  return redis
}

async function contentOf(file: string, option: string): Promise<string | undefined> {
  if (file === '') return undefined
  return readFile(file, 'utf8').catch((error) => {
    throw new FanfareError('bad_config', `${option}: ${(error as Error).message}.`)
  })
}
