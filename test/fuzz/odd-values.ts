import { pick, type Random, whole } from './random.ts'

/** Names that a program may stumble over: of objects, of paths, of nothing that a topic can have. Few, so that they meet each other. */
export const ODD_NAMES = [
  'constructor',
  'hasOwnProperty',
  '__proto__',
  '.',
  '..',
  'a..b',
  'é',
  '🎺',
  '.'.repeat(64),
  'a.'.repeat(31),
]

/** Every method; what is declared keeps little, and takes nothing of what a control client publishes. */
const PARAMS: Record<string, (random: Random, name: unknown) => unknown> = {
  'hub.show': () => undefined,
  'nodes.list': () => undefined,
  'connections.list': (random) => ({ from: whole(random, 100), limit: 1 + whole(random, 10) }),
  'connections.show': (_, name) => ({ connection: name }),
  'connections.disconnect': (_, name) => ({ connection: name }),
  'topics.list': (random) => ({ limit: 1 + whole(random, 10) }),
  'streams.list': (random) => ({ from: whole(random, 5), limit: 1 + whole(random, 5) }),
  'streams.show': named,
  'streams.declare': (_, name) => ({ name, topics: ['fuzz.kept.#'], maxMessages: 50 }),
  'streams.trim': (random, name) => ({ name, before: whole(random, 100) }),
  'streams.read': (random, name) => ({ name, from: whole(random, 100), limit: 1 + whole(random, 10) }),
  'streams.delete': named,
  'queues.list': (random) => ({ from: whole(random, 5), limit: 1 + whole(random, 5) }),
  'queues.show': named,
  'queues.declare': (random, name) => ({
    name,
    bindings: [{ topic: 'fuzz.work.#', match: { any: headers(random) } }],
    maxMessages: 50,
    maxDeadLetters: 50,
    overflow: pick(random, ['reject', 'drop-oldest', 'dead-letter']),
  }),
  'queues.delete': named,
  'queues.purge': named,
  'queues.unpark': (random, name) => ({ name, key: `key-${whole(random, 8)}` }),
  'deadLetters.list': (random, name) => ({ name, filter: { letters: Array(whole(random, 300)).fill(1) }, limit: 5 }),
  'deadLetters.redrive': (_, name) => ({ name, to: 'fuzz-2' }),
  'deadLetters.purge': named,
  no: named,
}
export const METHODS = Object.keys(PARAMS)

export function paramsOf(random: Random, method: string, name: unknown): unknown {
  return random() < 0.1 ? nested(whole(random, 300)) : PARAMS[method]?.(random, name)
}

function named(_: Random, name: unknown): unknown {
  return { name }
}

/** Headers of any number and size; a few are too many or too long. */
export function headers(random: Random): Record<string, string> {
  const count = random() < 0.9 ? whole(random, 4) : whole(random, 40)
  const length = () => (random() < 0.9 ? 1 + whole(random, 20) : whole(random, 1000))
  return Object.fromEntries(
    Array.from({ length: count }, (_, n) => [
      `${pick(random, ODD_NAMES.slice(0, 2))}${n}${'k'.repeat(length())}`,
      'v'.repeat(length()),
    ]),
  )
}

/** Lists and objects in each other, as deep as that. */
export function nested(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}
