import type { DeliveryHandler } from './consume-options.ts'
import type { Delivery } from './delivery.ts'
import { COUNT, checkArgument, checkFunction, methods } from './options.ts'

/**
 * Remembers the keys of messages that have been handled. Yours may be a table in the database that the handler writes.
 * One store may serve several queues: a key names the queue, and what makes the message the same one there.
 */
export interface ProcessedStore {
  /** Whether the message of this key has been handled. */
  has(key: string): boolean | Promise<boolean>
  /** Resolves when the key will be remembered, also after a crash. */
  add(key: string): void | Promise<void>
}

const STORE = methods('has', 'add')

/**
 * Makes a handler skip what it has done: a message that comes again after its handler has succeeded is acked and not
 * handled. Between the handler's own effect and `add` lies a moment in which a crash makes it run again; only a store
 * that is written in one transaction with the effect closes it. A handler that throws is not remembered.
 *
 * A message is the same if its queue, its topic, its publisher (the subject; clients without one are one publisher) and
 * its id are. A store also knows the messages of which an earlier version has noted the id only. Throws `bad_option`.
 */
export function idempotent<Data>(handler: DeliveryHandler<Data>, store: ProcessedStore): DeliveryHandler<Data> {
  checkFunction('idempotent', handler)
  checkArgument('idempotent', 'store', store, STORE)
  const running = new Map<string, Promise<void>>()
  return async (delivery) => {
    const key = keyOf(delivery)
    // The same message may come twice at once, when a lease ran out while its handler went on.
    const first = running.get(key)
    if (first) return first
    const run = once(key, handler, store, delivery).finally(() => running.delete(key))
    running.set(key, run)
    return run
  }
}

/** No part has a space, so that no two messages have one key, and no key is only the id. */
function keyOf({ queue, scope, topic, id }: Delivery): string {
  return `${queue} ${scope ?? topic} ${id}`
}

async function once<Data>(
  key: string,
  handler: DeliveryHandler<Data>,
  store: ProcessedStore,
  delivery: Delivery<Data>,
): Promise<void> {
  if ((await store.has(key)) || (await store.has(delivery.id))) return
  await handler(delivery)
  await store.add(key)
}

/** Remembers the newest keys, 100,000 by default, as long as the process lives. */
export function memoryStore(limit = 100_000): ProcessedStore {
  checkArgument('memoryStore', 'limit', limit, COUNT)
  const keys = new Set<string>()
  return {
    has: (key) => keys.has(key),
    add(key) {
      keys.add(key)
      const [oldest] = keys
      if (keys.size > limit) keys.delete(oldest as string)
    },
  }
}
