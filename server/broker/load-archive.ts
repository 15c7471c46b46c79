import type { Logger } from 'pino'
import { type ClusterPlace, clusterAddress, shownCluster } from '../bus/load-bus.ts'
import type { Archive } from './archive.ts'

/** How to reach a Redis: the options of a hub, without the address. */
export interface ArchiveOptions extends Omit<ClusterPlace, 'cluster'> {
  readonly clusterPrefix: string
}

/** Whether a place is a Redis rather than a directory. */
export function isRedis(place: string): boolean {
  return /^rediss?(\+(sentinel|cluster))?:/.test(place)
}

/**
 * Opens a data directory, or the URL of a Redis, for a copy. `mustExist`: it is the source.
 *
 * Rejects with the errors of `LmdbStore.open` and `RedisArchive.open`.
 */
export async function openArchive(
  place: string,
  mustExist: boolean,
  options: ArchiveOptions,
  log: Logger,
): Promise<Archive> {
  if (!isRedis(place)) {
    const { EmbeddedArchive } = await import('./embedded/archive/embedded-archive.ts')
    return EmbeddedArchive.open(place, mustExist, log)
  }
  const address = await clusterAddress({ ...options, cluster: place })
  if (!address) throw new Error('the URL of a Redis has an address')
  const { RedisArchive } = await import('./redis/archive/redis-archive.ts')
  const { clusterPrefix: prefix } = options
  return RedisArchive.open(`${shownCluster(place)} (prefix ${prefix})`, address, prefix, mustExist, log)
}
