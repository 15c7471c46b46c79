import type { PublishOptions } from '../../client/publisher.ts'
import type { SubscribeOptions } from '../../client/subscribe-options.ts'
import { pick, type Random, whole } from '../fuzz/random.ts'

export const STREAM = { name: 's', topics: ['s.#'], maxMessages: 200 }
export const QUEUES = [
  { name: 'q', backoff: { base: 1, cap: 20 }, maxMessages: 5_000 },
  { name: 'jobs', backoff: { base: 1, cap: 20 }, maxMessages: 5_000, bindings: [{ topic: 'b.#' }] },
]

const TOPICS = ['a', 'b.c', 'b.d.e', 's.a', 's.b.c', 'nobody.hears']
/** Each with a topic that it matches. */
const PATTERNS: readonly (readonly [pattern: string, topic: string])[] = [
  ['a', 'a'],
  ['b.*', 'b.c'],
  ['b.#', 'b.d.e'],
  ['#', 'a'],
  ['s.a', 's.a'],
  ['*.c', 'b.c'],
]
const STREAM_PATTERNS: readonly (readonly [pattern: string, topic: string])[] = [
  ['s.#', 's.b.c'],
  ['s.a', 's.a'],
]
const RESPOND_PATTERNS: readonly (readonly [pattern: string, topic: string])[] = [
  ['r.a', 'r.a'],
  ['r.*', 'r.a'],
  ['r.#', 'r.b.c'],
]

/** Whether it happens, once in this many times. */
export function once(random: Random, times: number): boolean {
  return random() * times < 1
}

export function topic(random: Random): string {
  return pick(random, TOPICS)
}

export function requestTopic(random: Random): string {
  return pick(random, ['r.a', 'r.b', 'r.b.c', 'r.nobody', 'nobody'])
}

export function data(random: Random, depth = 0): unknown {
  const kind = whole(random, depth > 2 ? 6 : 9)
  if (kind === 0) return null
  if (kind === 1) return whole(random, 1e9) - 5e8
  if (kind === 2) return random() < 0.5
  if (kind === 3) return 'ä€𝄞"\\\n\u0000x'.repeat(whole(random, 8))
  if (kind === 4) return ''
  if (kind === 5) return random() * 1e-7
  if (kind === 6) return Array.from({ length: whole(random, 5) }, () => data(random, depth + 1))
  if (kind === 7) return bytesOrText(random, depth)
  return { x: data(random, depth + 1), 'ö y': data(random, depth + 1) }
}

/** Bytes are a payload, and nothing in one. */
function bytesOrText(random: Random, depth: number): unknown {
  if (depth > 0) return 'x'.repeat(whole(random, 2_000))
  const bytes = Uint8Array.from({ length: whole(random, 500) }, () => whole(random, 256))
  return pick(random, [bytes, bytes.buffer, new DataView(bytes.buffer)])
}

export function publishOptions(random: Random): PublishOptions {
  return {
    ...(once(random, 4) && { key: `k${whole(random, 4)}` }),
    ...(once(random, 4) && { headers: { x: `${whole(random, 2)}` } }),
    ...(once(random, 10) && { priority: whole(random, 10) }),
    ...(once(random, 10) && { delay: whole(random, 100) }),
    ...(once(random, 20) && { expiresAt: Date.now() + whole(random, 200) }),
    ...(once(random, 10) && { id: `id-${whole(random, 100)}` }),
  }
}

export interface SubscribeArguments {
  readonly pattern: string
  /** One that it matches. */
  readonly topic: string
  readonly options: SubscribeOptions
  readonly fromStream: boolean
}

/** `name` is the subscription's own. */
export function subscribeArguments(random: Random, name: string): SubscribeArguments {
  const fromStream = once(random, 3)
  const [pattern, topic] = pick(random, fromStream ? STREAM_PATTERNS : PATTERNS)
  const live = !fromStream &&
    once(random, 3) && { policy: pick(random, ['drop-oldest', 'drop-newest', 'conflate'] as const) }
  const starts = ['earliest', 'latest', { last: 5 }, { offset: 3 }] as const
  const stored = fromStream && {
    from: pick(random, starts) as NonNullable<SubscribeOptions['from']>,
    ...(once(random, 2) && { cursor: name }),
    ...(once(random, 2) && { stream: STREAM.name }),
  }
  const options = {
    ...live,
    ...stored,
    ...(once(random, 4) && { bufferLimit: 1 + whole(random, 20) }),
    ...(once(random, 5) && { filter: { all: { x: '1' } } }),
  }
  return { pattern, topic, options, fromStream }
}

export function respondArguments(random: Random): readonly [pattern: string, topic: string] {
  return pick(random, RESPOND_PATTERNS)
}

export function queue(random: Random): string {
  return pick(random, QUEUES).name
}
