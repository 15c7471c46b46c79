import type { Logger } from 'pino'
import type { Broker } from './broker.ts'
import { EmbeddedBroker, type EmbeddedOptions } from './embedded/embedded-broker.ts'
import { MemoryStore } from './embedded/memory-store.ts'

/** Instead of a data directory: keep everything in memory, until the hub ends. */
export const IN_MEMORY = 'memory'

/** Opens the broker on a data directory, or in memory. Throws what `LmdbStore.open` does. */
export async function loadBroker(data: string, options: EmbeddedOptions, log: Logger): Promise<Broker> {
  if (data === IN_MEMORY) return new EmbeddedBroker(new MemoryStore(), options, log)
  const { LmdbStore } = await import('./embedded/lmdb-store.ts')
  const store = await LmdbStore.open(data)
  try {
    return new EmbeddedBroker(store, options, log)
  } catch (error) {
    // Or the directory would stay locked.
    await store.close()
    throw error
  }
}
