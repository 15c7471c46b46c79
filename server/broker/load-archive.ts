import { resolve } from 'node:path'
import type { Logger } from 'pino'
import { FanfareError } from '../../shared/errors.ts'
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

/** Throws `bad_config` if a copy from one place to another would not be one, or if one of them is the URL of something else. */
export function checkPlaces(from: string, to: string): void {
  for (const place of [from, to]) {
    const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(place)?.[0]
    if (scheme === undefined || isRedis(place)) continue
    throw new FanfareError(
      'bad_config',
      `${scheme}… is neither a data directory nor the URL of a Redis (redis://, rediss://, redis+sentinel:// or redis+cluster://).`,
    )
  }
  if (from !== to && (isRedis(from) || isRedis(to) || resolve(from) !== resolve(to))) return
  throw new FanfareError('bad_config', 'Source and target of the copy are the same place. Name another one.')
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
