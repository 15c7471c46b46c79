import { encodeRecord } from '../../shared/codec.ts'
import { headers, METHODS, nested, ODD_NAMES, paramsOf } from './odd-values.ts'
import { pick, type Random, whole } from './random.ts'

type Fields = Record<string, unknown>

/** A WebSocket message: text, or bytes of a binary one. */
export type FuzzMessage = string | Uint8Array

/** Names that fuzzed frames use: few, so that they meet each other, and none that a control client has. */
const TOPICS = ['fuzz.a', 'fuzz.b.c', 'fuzz.kept.a', 'fuzz.work.a', '$queue.fuzz', '$sys.hub', '', 'a..b', 'fuzz.*']
const PATTERNS = ['fuzz.#', 'fuzz.*', 'fuzz.kept.#', '#', '*.a', '$sys.#', '$sys.queues.*', '', '#.#', 'a.#b']
const NAMES = ['fuzz', 'fuzz-2', 'none', 'x'.repeat(64)]
/** Part of the messages that are the same frame over and over, and how often. */
const FLOODS = 0.002
const FLOOD = 2000
const POLICIES = ['drop-oldest', 'drop-newest', 'conflate', 'pause', 'disconnect']
/** What stands in for a value that is as it should be. */
const JUNK: readonly unknown[] = [
  null,
  true,
  '',
  0,
  -1,
  1.5,
  1e308,
  2 ** 31,
  Number.MAX_SAFE_INTEGER,
  'a b',
  [],
  {},
  'x'.repeat(3000),
  '\u0000\ud800',
  [[[[[[]]]]]],
  { toString: 1 },
  '__proto__',
]

/** Generates WebSocket messages: valid frames, and the given share (0 to 1) of mutated or torn ones and of noise. */
export function fuzzMessage(random: Random, hostility: number): FuzzMessage {
  if (random() < FLOODS) return JSON.stringify(Array(FLOOD).fill(frame(random)))
  if (random() >= hostility) return random() < 0.9 ? JSON.stringify(batchOf(random, frame)) : record(random)
  const kind = random()
  if (kind < 0.5) return JSON.stringify(batchOf(random, mutated))
  if (kind < 0.6) return JSON.stringify(batchOf(random, misplaced))
  if (kind < 0.75) return torn(random, JSON.stringify(batchOf(random, frame)))
  if (kind < 0.9) return tornBytes(random, record(random))
  return random() < 0.5 ? noise(random, 300) : Buffer.from(noise(random, 300)).toString('latin1')
}

function batchOf(random: Random, make: (random: Random) => unknown): unknown {
  return random() < 0.7 ? make(random) : Array.from({ length: 1 + whole(random, 20) }, () => make(random))
}

function mutated(random: Random): unknown {
  const fields: Fields = { ...frame(random) }
  const names = Object.keys(fields)
  for (let changes = 1 + whole(random, 2); changes > 0; changes--) {
    const name = pick(random, names)
    if (random() < 0.3) delete fields[name]
    else fields[name] = random() < 0.7 ? pick(random, JUNK) : frame(random)
  }
  return fields
}

/** A frame of any type, sound as far as its shape goes; its numbers and names may mean nothing. */
function frame(random: Random): Fields {
  const type = pick(random, FRAME_TYPES)
  return MAKERS[type]?.(random) ?? numbered(type, random)
}

function misplaced(random: Random): Fields {
  return numbered(pick(random, MISPLACED), random)
}

function numbered(type: string, random: Random): Fields {
  return { type, sub: number(random), seq: number(random), offset: number(random) }
}

const MAKERS: Record<string, (random: Random) => Fields> = {
  publish,
  subscribe: (random) => ({
    type: 'subscribe',
    sub: number(random),
    pattern: pick(random, PATTERNS),
    ...(random() < 0.5 && { policy: pick(random, POLICIES) }),
    ...(random() < 0.3 && { from: pick(random, ['earliest', 'latest', { offset: number(random) }, { last: 3 }]) }),
    ...(random() < 0.3 && { stream: pick(random, NAMES) }),
    ...(random() < 0.2 && { cursor: pick(random, NAMES) }),
    ...(random() < 0.2 && { filter: { any: headers(random) } }),
  }),
  consume: (random) => ({
    type: 'consume',
    consumer: number(random),
    queue: pick(random, NAMES),
    prefetch: number(random),
    ...(random() < 0.3 && { ackDeadlineMs: number(random) }),
  }),
  ack: (random) => ({ ...delivery(random, 'ack'), ...(random() < 0.3 && { publish: [publish(random)] }) }),
  nack: (random) => ({ ...delivery(random, 'nack'), delayMs: number(random) }),
  reject: (random) => ({ ...delivery(random, 'reject'), error: 'fuzz' }),
  extend: (random) => ({ ...delivery(random, 'extend'), ms: number(random) }),
  cancel: (random) => ({ type: 'cancel', consumer: number(random) }),
  respond: (random) => ({ type: 'respond', sub: number(random), pattern: pick(random, PATTERNS) }),
  ask: (random) => ({
    type: 'ask',
    seq: number(random),
    topic: pick(random, TOPICS),
    timeoutMs: number(random),
    data: payload(random),
  }),
  reply: (random) => ({ type: 'reply', request: number(random), data: payload(random) }),
  call: (random) => {
    const method = pick(random, METHODS)
    const name = pick(random, random() < 0.3 ? ODD_NAMES : NAMES)
    return { type: 'call', seq: number(random), method, params: paramsOf(random, method, name) }
  },
}
const BARE = ['ping', 'pause', 'resume', 'unsubscribe', 'commit']
const FRAME_TYPES = [...Object.keys(MAKERS), ...BARE]
/** Those that only a hub sends, one that comes first or never, and one that does not exist. */
const MISPLACED = ['welcome', 'message', 'receipt', 'gap', 'error', 'hello', 'no']

function publish(random: Random): Fields {
  return {
    type: 'publish',
    seq: number(random),
    topic: pick(random, TOPICS),
    data: payload(random),
    ...(random() < 0.2 && { id: `id-${number(random)}` }),
    ...(random() < 0.3 && { key: `key-${number(random)}` }),
    ...(random() < 0.2 && { headers: headers(random) }),
    ...(random() < 0.1 && { expiresAt: Date.now() + number(random) }),
    ...(random() < 0.1 && { delayMs: number(random) }),
    ...(random() < 0.1 && { priority: number(random) }),
  }
}

function payload(random: Random): unknown {
  return random() < 0.9 ? pick(random, JUNK) : nested(whole(random, 2000))
}

function record(random: Random): Uint8Array {
  const { data: _, ...header } = publish(random)
  return encodeRecord(JSON.stringify(header), noise(random, 200))
}

function delivery(random: Random, type: string): Fields {
  return { type, consumer: number(random), delivery: number(random) }
}

function torn(random: Random, text: string): string {
  return text.slice(0, whole(random, text.length))
}

/** Cut off, or with some bytes that are others. */
function tornBytes(random: Random, bytes: Uint8Array): Uint8Array {
  if (random() < 0.5) return bytes.slice(0, whole(random, bytes.length))
  const changed = Uint8Array.from(bytes)
  for (let n = 0; n < 4; n++) changed[whole(random, changed.length)] = whole(random, 256)
  return changed
}

export function noise(random: Random, most: number): Uint8Array {
  return Uint8Array.from({ length: whole(random, most) }, () => whole(random, 256))
}

function number(random: Random): number {
  return 1 + whole(random, 8)
}
