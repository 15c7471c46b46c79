import type { Logger } from 'pino'
import type { Broker } from './broker.ts'
import { EmbeddedBroker, type EmbeddedOptions } from './embedded/embedded-broker.ts'
import { MemoryStore } from './embedded/store/memory-store.ts'
import { giveNewEpochs } from './embedded/stream/restored.ts'
import { LiveOnlyBroker } from './live-only-broker.ts'

/** Instead of a data directory: keep everything in memory, until the hub ends. */
export const IN_MEMORY = 'memory'

/** Instead of a data directory: there are no streams and queues. */
export const NOTHING = 'nothing'

/** Opens the broker on a data directory, or in memory. Throws what `LmdbStore.open` does. */
export async function loadBroker(
  data: string,
  options: EmbeddedOptions & { readonly lockWaitMs: number },
  log: Logger,
): Promise<Broker> {
  if (data === NOTHING) return new LiveOnlyBroker(new MemoryStore(), options, log)
  if (data === IN_MEMORY) return new EmbeddedBroker(new MemoryStore(), options, log)
  const { LmdbStore } = await import('./embedded/store/lmdb-store.ts')
  const store = await LmdbStore.open(data, { lockWaitMs: options.lockWaitMs, log })
  let broker: Broker | undefined
  try {
    if (store.isCopy) {
      await giveNewEpochs(store)
      await store.adopt()
      log.info({ data }, 'started on a backup: all streams have a new epoch')
    }
    broker = new EmbeddedBroker(store, options, log)
    await store.allocate()
    return broker
  } catch (error) {
    // Or the directory would stay locked.
    await (broker ?? store).close()
    throw error
  }
}
