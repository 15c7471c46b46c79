import type { DeliveryHandler } from './consumer.ts'
import type { Delivery } from './delivery.ts'

/** Remembers the ids of messages that have been handled. Yours may be a table in the database that the handler writes. */
export interface ProcessedStore {
  /** Whether the message of this id has been handled. */
  has(id: string): boolean | Promise<boolean>
  /** Resolves when the id will be remembered, also after a crash. */
  add(id: string): void | Promise<void>
}

/**
 * Makes a handler skip what it has done: a message that comes again after its handler has succeeded is acked and not
 * handled. Between the handler's own effect and `add` lies a moment in which a crash makes it run again; only a store
 * that is written in one transaction with the effect closes it. A handler that throws is not remembered.
 */
export function idempotent<Data>(handler: DeliveryHandler<Data>, store: ProcessedStore): DeliveryHandler<Data> {
  const running = new Map<string, Promise<void>>()
  return async (delivery) => {
    const { id } = delivery
    // The same message may come twice at once, when a lease ran out while its handler went on.
    const first = running.get(id)
    if (first) return first
    const run = once(handler, store, delivery).finally(() => running.delete(id))
    running.set(id, run)
    return run
  }
}

async function once<Data>(
  handler: DeliveryHandler<Data>,
  store: ProcessedStore,
  delivery: Delivery<Data>,
): Promise<void> {
  if (await store.has(delivery.id)) return
  await handler(delivery)
  await store.add(delivery.id)
}

/** Remembers the newest ids, 100,000 by default, as long as the process lives. */
export function memoryStore(limit = 100_000): ProcessedStore {
  const ids = new Set<string>()
  return {
    has: (id) => ids.has(id),
    add(id) {
      ids.add(id)
      if (ids.size <= limit) return
      for (const oldest of ids) {
        ids.delete(oldest)
        break
      }
    },
  }
}
