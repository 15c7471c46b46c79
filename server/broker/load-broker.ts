import type { Logger } from 'pino'
import { FanfareError } from '../../shared/errors.ts'
import { type ClusterPlace, clusterAddress } from '../bus/load-bus.ts'
import type { CopyState } from './archive.ts'
import type { Broker } from './broker.ts'
import { EmbeddedBroker, type EmbeddedOptions } from './embedded/embedded-broker.ts'
import { copyKey, fromJson } from './embedded/store/keys.ts'
import { MemoryStore } from './embedded/store/memory-store.ts'
import type { Store } from './embedded/store/store.ts'
import { giveNewEpochs } from './embedded/stream/restored.ts'

/** Instead of a data directory: store everything in memory until the hub ends. */
export const IN_MEMORY = 'memory'

/** Opens the broker on a data directory, or in memory. Throws the errors of `LmdbStore.open`. */
export async function loadBroker(
  data: string,
  options: EmbeddedOptions & { readonly lockWaitMs: number },
  log: Logger,
): Promise<Broker> {
  if (data === IN_MEMORY) return new EmbeddedBroker(new MemoryStore(), options, log)
  const { LmdbStore } = await import('./embedded/store/lmdb-store.ts')
  const store = await LmdbStore.open(data, { lockWaitMs: options.lockWaitMs, log })
  let broker: Broker | undefined
  try {
    await endCopy(store, data)
    if (store.isCopy) {
      await giveNewEpochs(store)
      await store.adopt()
      log.info({ data }, 'started on a backup: all streams have a new epoch')
    }
    broker = new EmbeddedBroker(store, options, log)
    await store.allocate()
    return broker
  } catch (error) {
    // Otherwise the directory would stay locked.
    await (broker ?? store).close()
    throw error
  }
}

/** A copy into the directory has to be complete before a hub starts on it; afterwards it cannot be checked again. */
async function endCopy(store: Store, data: string): Promise<void> {
  const stored = store.get(copyKey())
  if (!stored) return
  const { source, isFinished } = fromJson(stored) as CopyState
  if (!isFinished)
    throw new FanfareError(
      'data_unusable',
      `${data} holds an unfinished copy of ${source.place}. Run fanfare copy again to finish it, or choose another directory.`,
    )
  await store.commit([{ key: copyKey(), value: undefined }], 'room')
}

export interface ClusterOptions extends ClusterPlace, EmbeddedOptions {
  readonly clusterPrefix: string
  readonly clusterDurability: 'strict' | 'relaxed'
  readonly clusterReplicas: number
  readonly nodeName: string
}

/** The broker of a hub of a cluster; undefined for a hub that is alone. It connects when it is opened. Throws `bad_config`. */
export async function loadClusterBroker(options: ClusterOptions, log: Logger): Promise<Broker | undefined> {
  const address = await clusterAddress(options)
  if (!address) return undefined
  const { BrokerLink } = await import('./redis/link.ts')
  const { Keys } = await import('./redis/keys.ts')
  const { RedisBroker } = await import('./redis/redis-broker.ts')
  const { clusterDurability: durability, clusterReplicas: replicas, nodeName: name, clock: _, ...rest } = options
  const link = new BrokerLink(address, new Keys(options.clusterPrefix), replicas > 0, log)
  return new RedisBroker(link, { ...rest, name, durability, replicas }, log)
}
