import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Subscription } from '../../server/topic/subscription.ts'
import { PatternIndex } from '../../shared/pattern-index.ts'
import { parsePattern, parseTopic } from '../../shared/topic.ts'

export interface MatchResult {
  readonly microsPerMatch: number
  readonly found: number
  readonly bytesPerSubscription: number
}

/** Subscriptions to one device's topics, in the shapes that a fleet of them would have. */
const SHAPES = ['temperature', '*', '#', 'temperature.#']
const MATCHES = 2_000_000

/**
 * Matches topics against that many subscriptions, four to a device, of which each topic finds four. Topics are spread
 * over `devices` devices: with few, what a match walks stays in the processor's cache, however many others there are.
 */
export function match(subscriptions: number, devices: number): MatchResult {
  const before = heapBytes()
  const index = new PatternIndex<Subscription>()
  for (let n = 0; n < subscriptions; n++) {
    const pattern = `fleet.device-${Math.floor(n / SHAPES.length)}.${SHAPES[n % SHAPES.length]}`
    index.add(new Subscription(nobody, n, parsePattern(pattern), undefined, 'drop-oldest'))
  }
  const bytesPerSubscription = (heapBytes() - before) / subscriptions
  const topics = topicsOf(devices, subscriptions / SHAPES.length)
  // The first round is for the compiler.
  matchAll(index, topics)
  const start = process.cpuUsage()
  const found = matchAll(index, topics)
  const { user, system } = process.cpuUsage(start)
  return { microsPerMatch: (user + system) / MATCHES, found: found / MATCHES, bytesPerSubscription }
}

const nobody = { deliver: () => {}, missed: () => {} }

/** In no order, as messages come. */
function topicsOf(devices: number, outOf: number): string[][] {
  return Array.from({ length: devices }, () =>
    parseTopic(`fleet.device-${Math.floor(Math.random() * outOf)}.temperature`),
  )
}

function matchAll(index: PatternIndex<Subscription>, topics: readonly (readonly string[])[]): number {
  let found = 0
  for (let n = 0; n < MATCHES; n++) {
    for (const list of index.match(topics[n % topics.length] as string[])) found += list.length
  }
  return found
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
