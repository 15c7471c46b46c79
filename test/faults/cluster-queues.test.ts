import { setTimeout as wait } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { type Client, connect, type Delivery } from '../../client/node.ts'
import { type HubOptions, startHub } from '../../server/index.ts'
import { clientOf, command, node, redisOf, SLOW } from '../setup/cluster.ts'
import type { RedisServer } from '../setup/redis-server.ts'
import { range } from '../setup/streams.ts'

// Queues of a cluster are in Redis: published on one node, consumed on others, whatever happens to a node

const RELAXED = { clusterDurability: 'relaxed' } as const

async function clientOn({ url }: RedisServer, options: HubOptions = {}): Promise<Client> {
  const hub = await startHub({ cluster: url, ...RELAXED, port: 0, engine: 'ws', drainTimeout: 100, ...options })
  const client = connect(`ws://127.0.0.1:${hub.port}/`, { backoff: { base: 10, cap: 100 } })
  onTestFinished(async () => {
    await client.close({ timeout: 100 })
    await hub.close()
  })
  return client
}

/** Consumes a queue and acks everything; gives what came. */
function consumeAll(client: Client, queue: string): Delivery<number>[] {
  const seen: Delivery<number>[] = []
  client.consume<number>(queue, (delivery) => void seen.push(delivery))
  return seen
}

const numbersIn = (seen: readonly Delivery<number>[]) => seen.map(({ data }) => data)
const ascending = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)

it('what is published on one node is consumed on others, each message once, and each group in order', async () => {
  const redis = await redisOf()
  const [publisher, first, second] = [await clientOn(redis), await clientOn(redis), await clientOn(redis)]
  await publisher.admin.queues.declare({ name: 'jobs', bindings: [{ topic: 'jobs.#' }] })
  const [some, others] = [consumeAll(first, 'jobs'), consumeAll(second, 'jobs')]
  const publish = (n: number) => publisher.publish('jobs.new', n, { key: `k${n % 7}` })
  await Promise.all(range(0, 140).map(publish))
  await expect.poll(() => some.length + others.length).toBe(140)
  expect(ascending([...numbersIn(some), ...numbersIn(others)])).toEqual(range(0, 140))
  for (const each of [some, others].map(numbersIn)) {
    for (const group of range(0, 7)) {
      const inGroup = each.filter((n) => n % 7 === group)
      expect(inGroup).toEqual(ascending(inGroup))
    }
  }
  await expect.poll(() => publisher.admin.queues.show('jobs')).toMatchObject({ depth: 0, inFlight: 0, ready: 0 })
})

it('a consumer on one node gets what is published, delayed or given back on another', async () => {
  const redis = await redisOf()
  const [publisher, consumer] = [await clientOn(redis), await clientOn(redis)]
  await publisher.admin.queues.declare({ name: 'jobs', bindings: [{ topic: 'jobs.#' }] })
  const seen = consumeAll(consumer, 'jobs')
  for (const n of range(0, 20)) {
    await publisher.publish('jobs.new', n)
    await expect.poll(() => seen.length, { interval: 2 }).toBe(n + 1)
  }
  await publisher.publish('jobs.new', 20, { delay: 300 })
  await publisher.publish('jobs.new', 21)
  await expect.poll(() => numbersIn(seen).slice(20)).toEqual([21, 20])
})

it('a publish that waits for room on one node goes on when a consumer on another makes some', async () => {
  const redis = await redisOf()
  const [publisher, consumer] = [await clientOn(redis), await clientOn(redis)]
  const full = { maxMessages: 2, overflow: 'block' } as const
  await publisher.admin.queues.declare({ name: 'jobs', bindings: [{ topic: 'jobs.#' }], ...full })
  await Promise.all(range(0, 2).map((n) => publisher.publish('jobs.new', n)))
  const waiting = range(2, 10).map((n) => publisher.publish('jobs.new', n))
  const seen = consumeAll(consumer, 'jobs')
  await Promise.all(waiting)
  await expect.poll(() => numbersIn(seen)).toEqual(range(0, 10))
})

it('an ack that publishes does both or neither, and dead letters are redriven from any node', async () => {
  const redis = await redisOf()
  const [publisher, consumer] = [await clientOn(redis), await clientOn(redis)]
  await publisher.admin.queues.declare({ name: 'jobs', bindings: [{ topic: 'jobs.#' }], maxAttempts: 1 })
  await publisher.admin.queues.declare({ name: 'results', bindings: [{ topic: 'results.#' }] })
  const results = consumeAll(publisher, 'results')
  let fails = true
  consumer.consume<number>('jobs', async (delivery) => {
    if (fails) throw new Error('not yet')
    await delivery.ack({ publish: [{ topic: 'results.new', data: delivery.data * 2 }] })
  })
  await publisher.publish('jobs.new', 21)
  await expect
    .poll(() => publisher.admin.queues.deadLetters.list('jobs'))
    .toMatchObject([{ reason: 'attempts', error: expect.stringContaining('not yet') }])
  fails = false
  expect(await publisher.admin.queues.deadLetters.redrive('jobs')).toBe(1)
  await expect.poll(() => numbersIn(results)).toEqual([42])
})

it('what a node had on lease when it was killed comes again on another, as a failed attempt', async () => {
  const redis = await redisOf()
  const [killed, survivor] = [await node(redis.url, { 'cluster-durability': 'relaxed' }), await clientOn(redis)]
  const doomed = clientOf(killed)
  const backoff = { base: 10, cap: 10 }
  await survivor.admin.queues.declare({ name: 'jobs', bindings: [{ topic: 'jobs.#' }], backoff })
  let held = 0
  doomed.consume('jobs', () => {
    held++
    return new Promise(() => {})
  })
  await Promise.all(range(0, 5).map((n) => survivor.publish('jobs.new', n, { key: 'one group' })))
  await expect.poll(() => held).toBe(1)
  await killed.kill()
  const seen = consumeAll(survivor, 'jobs')
  await expect.poll(() => numbersIn(seen), { timeout: 20_000 }).toEqual(range(0, 5))
  expect(seen[0]).toMatchObject({ attempt: 2, lastError: 'The hub of the consumer was lost.' })
})

it.runIf(SLOW)(
  'nodes keep what they have on lease when it was Redis that was away',
  async () => {
    const redis = await redisOf()
    const [publisher, consumer] = [await clientOn(redis), await clientOn(redis)]
    await publisher.admin.queues.declare({ name: 'jobs', bindings: [{ topic: 'jobs.#' }] })
    const attempts: number[] = []
    let finish = () => {}
    const isFinished = new Promise<void>((resolve) => {
      finish = resolve
    })
    for (const client of [publisher, consumer]) {
      const handle = async ({ attempt }: Delivery<number>) => {
        attempts.push(attempt)
        await isFinished
      }
      client.consume<number>('jobs', handle, { prefetch: 1 })
    }
    await Promise.all(range(0, 2).map((n) => publisher.publish('jobs.new', n)))
    await expect.poll(() => attempts.length).toBe(2)
    redis.signal('SIGSTOP')
    // Longer than a node may give no sign of life.
    await wait(7_000)
    redis.signal('SIGCONT')
    await publisher.publish('jobs.none', 1).catch(() => {})
    finish()
    await expect.poll(() => publisher.admin.queues.show('jobs')).toMatchObject({ depth: 0, inFlight: 0 })
    expect(attempts.slice(0, 2)).toEqual([1, 1])
    expect(attempts.filter((attempt) => attempt > 1)).toEqual([])
  },
  60_000,
)

it('queues are declared again, empty, where Redis has lost everything', async () => {
  const redis = await redisOf()
  const [publisher, consumer] = [await clientOn(redis), await clientOn(redis)]
  await publisher.admin.queues.declare({ name: 'jobs', bindings: [{ topic: 'jobs.#' }] })
  const seen = consumeAll(consumer, 'jobs')
  await publisher.publish('jobs.new', 0)
  await expect.poll(() => seen.length).toBe(1)
  await command(redis, 'FLUSHALL')
  await publisher.publish('jobs.new', 1)
  await expect.poll(() => numbersIn(seen), { timeout: 10_000 }).toEqual([0, 1])
})

it('a declaration or an update holds on every node once it is answered', async () => {
  const redis = await redisOf()
  const [one, other] = [await clientOn(redis), await clientOn(redis)]
  for (const n of range(0, 5)) {
    const name = `new-${n}`
    await one.admin.queues.declare({ name, bindings: [{ topic: `${name}.a` }] })
    expect((await other.publish(`${name}.a`, n)).queues).toEqual([name])
    await other.admin.queues.update(name, { bindings: [{ topic: `${name}.b` }] })
    expect((await one.publish(`${name}.b`, n)).queues).toEqual([name])
    await one.admin.streams.declare({ name, topics: [`${name}.c`] })
    expect((await other.publish(`${name}.c`, n)).positions).toHaveProperty([name, 'offset'], 0)
    await other.admin.streams.update(name, { topics: [`${name}.d`] })
    expect((await one.publish(`${name}.d`, n)).positions).toHaveProperty([name, 'offset'], 1)
  }
})

it('the figures of a queue are those of all nodes, the same on each', async () => {
  const redis = await redisOf()
  const leaving = await node(redis.url, { 'cluster-durability': 'relaxed' })
  const clients = [await clientOn(redis), await clientOn(redis), clientOf(leaving)]
  const [one, other, third] = clients as [Client, Client, Client]
  const jobs = { name: 'jobs', bindings: [{ topic: 'jobs.#' }], maxMessages: 40, overflow: 'block' } as const
  await one.admin.queues.declare(jobs)
  const shown = () => Promise.all(clients.map((client) => client.admin.queues.show('jobs')))
  const everywhere = (figures: object) =>
    expect.poll(shown).toEqual(clients.map(() => expect.objectContaining(figures)))
  // Two finish nothing.
  for (const client of [other, third]) client.consume('jobs', () => new Promise(() => {}), { prefetch: 1 })
  const published = range(0, 45).map((n) => third.publish('jobs.new', n))
  await everywhere({ consumers: 2, waitingPublishes: 5 })
  for (const _ of range(0, 3)) one.consume('jobs', () => new Promise((done) => setTimeout(done, 20)), { prefetch: 1 })
  await Promise.all(published)
  await everywhere({ consumers: 5, waitingPublishes: 0 })
  const rates = async () => {
    const all = await shown()
    return new Set(all.map(({ wantedConsumers, keepUpConsumers }) => `${wantedConsumers} ${keepUpConsumers}`)).size
  }
  await expect.poll(rates).toBe(1)
  const { entries } = await one.admin.hub.attention()
  expect(JSON.stringify(entries)).not.toContain('no-consumer')
  await leaving.kill()
  clients.pop()
  await everywhere({ consumers: 4 })
})
