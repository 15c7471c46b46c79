import type { Client } from '../../client/client.ts'

/** What code without a compiler may pass, by its description. */
export const ODD: Record<string, unknown> = {
  nothing: undefined,
  null: null,
  'not a number': Number.NaN,
  'a negative number': -1,
  'a number beyond all': 2 ** 60,
  'an empty text': '',
  'a text of 300 kB': 'x'.repeat(300_000),
  'half a surrogate': '\ud800',
  'a symbol': Symbol('odd'),
  'a function': () => {},
  'a bigint': 1n,
  'an object without a prototype': Object.create(null),
  'an object of unknown options': { colour: 'red', base: 1 },
  'a forbidden key': JSON.parse('{"__proto__":{"x":1}}'),
  'a forbidden key deep inside': { a: [{ b: JSON.parse('{"__proto__":1}') }] },
  'constructor.prototype': JSON.parse('{"constructor":{"prototype":1}}'),
  'a cycle': cycle(),
  'a map': new Map([['a', 1]]),
  'a set in a list': [new Set([1])],
  'a date that is none': new Date(Number.NaN),
  floats: new Float32Array([1.5]),
  'bytes in a field': { a: new Uint8Array(3) },
  'a blob': new Blob(['x']),
  '200 levels': JSON.parse('['.repeat(200) + ']'.repeat(200)),
  'a toJSON that throws': { toJSON: () => raise() },
  'a getter that throws': Object.defineProperty({}, 'a', { enumerable: true, get: raise }),
  'a revoked proxy': revoked(),
  'a proxy that throws': new Proxy({}, { get: raise, ownKeys: raise, getPrototypeOf: raise }),
  'a promise': new Promise(() => {}),
  '60,000 numbers': { letters: Array.from({ length: 60_000 }, (_, n) => n) },
}

export type Odd = never
/** Every method of the public API, with an odd argument in each place. */
export const METHODS: Record<string, (client: Client, odd: Odd) => unknown> = {
  'publish to it': (client, odd) => client.publish(odd as string, 1),
  'publish it': (client, odd) => client.publish('a', odd),
  'publish with it': (client, odd) => client.publish('a', 1, odd),
  'publish with it as key': (client, odd) => client.publish('a', 1, { key: odd }),
  'publish with it as headers': (client, odd) => client.publish('a', new Uint8Array(1), { headers: odd }),
  'publish with it as a header': (client, odd) => client.publish('a', 1, { headers: { a: odd } }),
  'publish with it as delay': (client, odd) => client.publish('a', 1, { delay: odd, priority: odd, id: odd }),
  'publish with it as signal': (client, odd) => client.publish('a', 1, { signal: odd }),
  'enqueue to it': (client, odd) => client.enqueue(odd as string, 1),
  'enqueue it': (client, odd) => client.enqueue('q', odd),
  'enqueue with it': (client, odd) => client.enqueue('q', 1, odd),
  'subscribe to it': (client, odd) => client.subscribe(odd, () => {}),
  'subscribe with it': (client, odd) => client.subscribe('a', odd),
  'subscribe with a handler and it': (client, odd) => client.subscribe('a', () => {}, odd),
  'subscribe with it as filter': (client, odd) => client.subscribe('a', { filter: odd }),
  'subscribe with it in a filter': (client, odd) => client.subscribe('a', { filter: { all: odd } }),
  'subscribe with it as start': (client, odd) => client.subscribe('s.a', { from: odd }),
  'subscribe with it as cursor': (client, odd) => client.subscribe('s.a', { cursor: odd, stream: odd }),
  'subscribe with it as limit': (client, odd) => client.subscribe('a', { bufferLimit: odd }),
  'subscribe with it as callback': (client, odd) => client.subscribe('a', { onGap: odd, onResubscribed: odd }),
  'consume it': (client, odd) => client.consume(odd, () => {}),
  'consume with it': (client, odd) => client.consume('q', odd),
  'consume with it as option': (client, odd) => client.consume('q', { concurrency: odd, prefetch: odd }),
  'consume with it as deadline': (client, odd) => client.consume('q', { ackDeadline: odd, onError: odd }),
  'request from it': (client, odd) => client.request(odd, 1),
  'request it': (client, odd) => client.request('a', odd),
  'request with it': (client, odd) => client.request('a', 1, odd),
  'request with it as time': (client, odd) => client.request('a', 1, { timeout: odd }),
  'request with it as headers': (client, odd) => client.request('a', 1, { headers: odd }),
  'respond to it': (client, odd) => client.respond(odd, () => 1),
  'respond with it': (client, odd) => client.respond('r', odd),
  'respond with it as option': (client, odd) => client.respond('r', () => 1, odd),
  'call it': (client, odd) => client.call(odd),
  'call with it': (client, odd) => client.call('queues.show', odd),
  'call with options of it': (client, odd) => client.call('hub.show', {}, odd),
  'call with it as time': (client, odd) => client.call('hub.show', {}, { timeout: odd }),
  'ready with it': (client, odd) => client.ready(odd),
  'ready with it as signal': (client, odd) => client.ready({ signal: odd }),
  'onState of it': (client, odd) => client.onState(odd),
  'streams.show': (client, odd) => client.admin.streams.show(odd),
  'streams.declare': (client, odd) => client.admin.streams.declare(odd),
  'streams.declare of topics': (client, odd) => client.admin.streams.declare({ name: 't', topics: odd }),
  'streams.trim': (client, odd) => client.admin.streams.trim('s', odd),
  'streams.delete': (client, odd) => client.admin.streams.delete(odd),
  'streams.cursors': (client, odd) => client.admin.streams.cursors('s', odd),
  'streams.deleteCursor': (client, odd) => client.admin.streams.deleteCursor('s', odd),
  'queues.show': (client, odd) => client.admin.queues.show(odd),
  'queues.declare': (client, odd) => client.admin.queues.declare(odd),
  'queues.declare with a match': (client, odd) =>
    client.admin.queues.declare({ name: 'm', bindings: [{ topic: 'a', match: odd }] }),
  'queues.delete': (client, odd) => client.admin.queues.delete(odd),
  'queues.purge': (client, odd) => client.admin.queues.purge(odd),
  'queues.unpark': (client, odd) => client.admin.queues.unpark('q', odd),
  'deadLetters.list of it': (client, odd) => client.admin.queues.deadLetters.list('q', odd),
  'deadLetters.list with it': (client, odd) => client.admin.queues.deadLetters.list('q', {}, odd),
  'deadLetters.list with it as limit': (client, odd) => client.admin.queues.deadLetters.list('q', {}, { limit: odd }),
  'deadLetters.redrive': (client, odd) => client.admin.queues.deadLetters.redrive('q', odd),
  'deadLetters.redrive with it': (client, odd) => client.admin.queues.deadLetters.redrive('q', {}, odd),
  'deadLetters.purge': (client, odd) => client.admin.queues.deadLetters.purge('q', odd),
  'connections.list': (client, odd) => client.admin.connections.list(odd),
  'connections.show': (client, odd) => client.admin.connections.show(odd),
  'connections.disconnect': (client, odd) => client.admin.connections.disconnect(odd),
  'topics.list': (client, odd) => client.admin.topics.list(odd),
}

/** What was not as it should be: only a FanfareError, or what the argument itself throws, may refuse it. */
export async function outcome(what: string, call: () => unknown): Promise<string | undefined> {
  try {
    const made = (await call()) as { ready?: unknown; unsubscribe?(): unknown; close?(): unknown } | undefined
    // Of a queue it is a number.
    const ready = made?.ready instanceof Promise ? made.ready.catch(refusal(what)) : undefined
    await (made?.unsubscribe?.() ?? made?.close?.())
    return (await ready) as string | undefined
  } catch (error) {
    return refusal(what)(error)
  }
}

function refusal(what: string) {
  return (error: unknown): string | undefined => {
    // A page has its own class. The last is the engine's own message.
    if ((error as Error)?.name === 'FanfareError' || /^odd$|has been revoked/.test((error as Error)?.message))
      return undefined
    return `${what}: ${error instanceof Error ? error.stack : typeof error}`
  }
}

function raise(): never {
  throw new Error('odd')
}

function cycle(): unknown {
  const list: unknown[] = []
  list.push({ list })
  return list
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
