import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { redisAddress } from '../../server/bus/redis/redis-address.ts'
import { RedisBus } from '../../server/bus/redis/redis-bus.ts'
import { BusHistory, type HistoryNode } from '../setup/bus-history.ts'
import { CuttableProxy } from '../setup/cuttable-proxy.ts'
import { RedisServer } from '../setup/redis-server.ts'
import { seeded } from '../setup/seeded.ts'

const ROUNDS = Number(process.env['LINK_ROUNDS'] ?? 6)
const SEED = Number(process.env['LINK_SEED'] ?? 1)
const NODES = 3
const STEPS = 80
const TOPICS = ['a', 'a.b', 'a.c', 'b', 'b.c.d', 'c']
const PATTERNS = ['a', 'a.*', 'a.#', '#', 'b.c.d', 'b.#', 'c']
/** No client publishes there. */
const QUIET = 'quiet.#'
/** A node that is away for longer is taken for dead, and all may be missed: a round on a very busy machine takes so long. */
const GIVEN_UP_MS = 5_000

describe('links between nodes and Redis that are cut at random', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.stop())

  it(
    `lose nothing in silence, and keep the order of each publisher, in ${ROUNDS} rounds from seed ${SEED}`,
    async () => {
      for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
        expect(await round(redis, seed), `seed ${seed}`).toEqual([])
      }
    },
    60_000 + ROUNDS * 5_000,
  )
})

interface Node {
  readonly history: HistoryNode
  readonly proxy: CuttableProxy
}

async function round(redis: RedisServer, seed: number): Promise<string[]> {
  const random = seeded(seed)
  const history = new BusHistory()
  const nodes: Node[] = []
  try {
    while (nodes.length < NODES) {
      const proxy = await CuttableProxy.start(redis.port)
      const address = redisAddress(proxy.url.replace(/^ws/, 'redis'))
      const bus = new RedisBus(
        { redis: address, prefix: `round-${seed}`, name: undefined, version: 'test' },
        pino({ enabled: false }),
      )
      nodes.push({ history: await history.add(bus), proxy })
    }
    for (const node of nodes) for (const pattern of [QUIET, 'a.#', 'b.#']) await node.history.subscribe(pattern)
    const since = performance.now()
    for (let step = 0; step < STEPS; step++) await act(nodes, random)
    for (const { proxy } of nodes) proxy.open()
    await history.settled()
    return history.faults(performance.now() - since < GIVEN_UP_MS ? QUIET : undefined)
  } finally {
    await Promise.all(nodes.map((node) => node.history.bus.close()))
    await Promise.all(nodes.map(({ proxy }) => proxy.close()))
  }
}

async function act(nodes: readonly Node[], random: () => number): Promise<void> {
  const below = (limit: number) => Math.floor(random() * limit)
  const pick = <Item>(items: readonly Item[]) => items[below(items.length)] as Item
  const { history, proxy } = pick(nodes)
  const what = below(20)
  if (what < 11) for (let n = below(30); n >= 0; n--) history.publish(pick(TOPICS))
  else if (what < 14) void history.subscribe(pick(PATTERNS))
  else if (what < 15) history.unsubscribe(random())
  else if (what < 16) proxy.cut()
  else if (what < 17) proxy.shut()
  else for (const node of nodes) node.proxy.open()
  await new Promise((resolve) => setTimeout(resolve, below(30)))
}
