/** What the hubs of a round declare. */
export const STREAMS = [
  { name: 'orders', topics: ['orders.#'] },
  { name: 'invoices', topics: ['invoices.#'] },
  { name: 'state', topics: ['state.#'], lastValue: true },
]

const RETRIES = { backoff: { base: 10, cap: 100 }, ackDeadline: 2000 }
/** Whatever the faults do to an attempt, it is not the order's failure: only a bug makes a dead letter for it. */
const ENOUGH = { ...RETRIES, maxAttempts: 50 }

export const QUEUES = [
  { name: 'work', bindings: [{ topic: 'orders.new' }], ...ENOUGH },
  { name: 'narrow', bindings: [{ topic: 'orders.narrow' }], maxMessages: 4, overflow: 'block', ...ENOUGH },
  { name: 'doomed', bindings: [{ topic: 'orders.doomed' }], ...RETRIES, maxAttempts: 3 },
]
