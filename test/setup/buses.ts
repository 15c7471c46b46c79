import { pino } from 'pino'
import { afterAll, afterEach, describe } from 'vitest'
import type { Bus, BusEvents, LiveMessage, NodeName } from '../../server/bus/bus.ts'
import { InProcessBus } from '../../server/bus/in-process-bus.ts'
import { redisAddress } from '../../server/bus/redis/redis-address.ts'
import { RedisBus } from '../../server/bus/redis/redis-bus.ts'
import { randomId } from '../../server/id/random-id.ts'
import { CuttableProxy } from './cuttable-proxy.ts'
import { JoinedBuses } from './joined-buses.ts'
import { RedisServer } from './redis-server.ts'

/** A bus under test, what it has reported, and how its link is cut. */
export interface BusUnderTest {
  readonly bus: Bus
  readonly seen: SeenByBus
  cut(): void
  heal(): void
}

export interface BusFactory {
  /** Opens buses, each of its own node, which know each other; they are closed after the test. */
  open(count: number): Promise<BusUnderTest[]>
}

/**
 * How a set of buses is made: one more entry here puts another bus under all suites. No name ends like one of a broker, by which
 * the suites of brokers are recognized: see `compared-suites.ts`.
 */
type Maker = () => () => Promise<MadeBus>

interface MadeBus {
  readonly bus: Bus
  cut(): void
  heal(): void
  /** Ends what the bus was made with. */
  end?(): Promise<void>
}

const JOINING: Readonly<Record<string, Maker>> = {
  'in one process': () => {
    const buses = new JoinedBuses()
    return async () => {
      const bus = buses.add()
      return { bus, cut: () => bus.cut(), heal: () => bus.heal() }
    }
  },
  'over Redis': () => {
    const prefix = `test-${randomId(8)}`
    return async () => {
      const proxy = await CuttableProxy.start((await redis()).port)
      const address = redisAddress(proxy.url.replace(/^ws/, 'redis'))
      const bus = new RedisBus({ redis: address, prefix, name: undefined, version: 'test' }, pino({ enabled: false }))
      return { bus, cut: () => proxy.shut(), heal: () => proxy.open(), end: () => proxy.close() }
    }
  },
}

/** One for all suites of a file. */
let started: Promise<RedisServer> | undefined
function redis(): Promise<RedisServer> {
  started ??= RedisServer.start()
  return started
}
afterAll(async () => (await started)?.stop())

const ALONE: Maker = () => async () => ({ bus: new InProcessBus(), cut: () => {}, heal: () => {} })

/** Runs a suite on every bus: the rules for a node without others. */
export function onEveryBus(name: string, suite: (buses: BusFactory) => void): void {
  describeOn({ 'of a lone hub': ALONE, ...JOINING }, name, suite)
}

/** Runs a suite on every bus that has other nodes. */
export function onEveryJoiningBus(name: string, suite: (buses: BusFactory) => void): void {
  describeOn(JOINING, name, suite)
}

function describeOn(makers: Readonly<Record<string, Maker>>, name: string, suite: (buses: BusFactory) => void): void {
  for (const [bus, maker] of Object.entries(makers)) describe(`${name} ${bus}`, () => suite(factory(maker)))
}

function factory(maker: Maker): BusFactory {
  let opened: MadeBus[] = []
  afterEach(async () => {
    await Promise.all(opened.map(({ bus }) => bus.close()))
    await Promise.all(opened.map(({ end }) => end?.()))
    opened = []
  })
  return {
    async open(count) {
      const make = maker()
      const all: BusUnderTest[] = []
      while (all.length < count) {
        const made = await make()
        opened.push(made)
        const seen = new SeenByBus()
        await made.bus.open(seen)
        all.push({ ...made, seen })
      }
      // The others learn of the last one a moment later.
      for (const { seen } of all) await seen.until(() => seen.nodes.size === count - 1)
      return all
    },
  }
}

/** Records what a bus reports. */
export class SeenByBus implements BusEvents {
  readonly topics: string[] = []
  readonly received: LiveMessage[] = []
  readonly nodes = new Map<string, NodeName>()
  /** Joined and left nodes, and losses, in order. */
  readonly log: string[] = []
  answer: (question: string, params: unknown, from: string) => Promise<unknown> = async () => null
  private concerns: ((pattern: readonly string[]) => boolean)[] = []
  private readonly waiting = new Set<() => void>()

  messages(batch: readonly LiveMessage[]): void {
    this.received.push(...batch)
    this.topics.push(...batch.map(({ topic }) => topic))
    this.changed()
  }

  missed(concerns: (pattern: readonly string[]) => boolean): void {
    this.concerns.push(concerns)
    this.log.push('missed')
    this.changed()
  }

  joined(node: NodeName): void {
    this.nodes.set(node.id, node)
    this.log.push(`joined ${node.id}`)
    this.changed()
  }

  left(node: string): void {
    this.nodes.delete(node)
    this.log.push(`left ${node}`)
    this.changed()
  }

  asked(question: string, params: unknown, from: string): Promise<unknown> {
    return this.answer(question, params, from)
  }

  hasMissed(pattern: string): boolean {
    return this.concerns.some((concerns) => concerns(pattern.split('.')))
  }

  /** Resolves when a condition holds after an event. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.waiting.add(resolve))
  }

  private changed(): void {
    for (const resolve of this.waiting) resolve()
    this.waiting.clear()
  }
}

/** A message as a hub publishes it. */
export function liveMessage(topic: string, data: unknown = null, id = `id of ${topic}`): LiveMessage {
  const text = JSON.stringify({ type: 'message', id, topic, data })
  const wire = { text, record: undefined, bytes: Buffer.byteLength(text) }
  return { id, topic, key: undefined, headers: undefined, expiresAt: undefined, wire }
}
