import { MemoryStore } from '../../server/broker/embedded/store/memory-store.ts'

/** A store that outlives its broker, as a disk does. */
export class LastingStore extends MemoryStore {
  override close(): Promise<void> {
    return Promise.resolve()
  }
}

/** A declaration of a stream on all topics, with what differs. */
export function streamOptions(name: string, more: object = {}) {
  const kept = { maxAgeMs: 604_800_000, maxBytes: 1_000_000, lastValue: false, durability: 'disk' as const }
  return { name, topics: ['#'], ...kept, ...more }
}
