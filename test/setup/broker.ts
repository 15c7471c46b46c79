import type { Broker, Kept } from '../../server/broker/broker.ts'
import { MemoryStore } from '../../server/broker/embedded/memory-store.ts'

/** A store that outlives its broker, as a disk does. */
export class LastingStore extends MemoryStore {
  override close(): Promise<void> {
    return Promise.resolve()
  }
}

/** Publishes right at a broker, and gives what became of it. */
export function publishTo(broker: Broker, topic: string, streams: readonly string[], data: unknown): Promise<Kept> {
  return new Promise((kept, refused) => {
    broker.publish({
      id: 'unused',
      ownId: false,
      topic,
      key: undefined,
      expiresAt: undefined,
      streams,
      encode: (publishedAt, offsets) => JSON.stringify({ type: 'message', topic, offsets, publishedAt, data }),
      kept,
      refused,
    })
  })
}

/** A declaration of a stream on all topics, with what differs. */
export function streamOptions(name: string, more: object = {}) {
  const kept = { maxAgeMs: 604_800_000, maxBytes: 1_000_000, lastValue: false, durability: 'disk' as const }
  return { name, topics: ['#'], ...kept, ...more }
}
