import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { type Client, connect, type FanfareError, type Position } from '../../client/node.ts'
import { type HubOptions, startHub } from '../../server/index.ts'
import { command, durableRedis, redisOf, SLOW, wayTo } from '../setup/cluster.ts'
import { knowsReplica, PRIMARY, sentinelOf } from '../setup/sentinel.ts'
import { range } from '../setup/streams.ts'

// Streams of a cluster are in Redis: published on one node, read on another, whatever happens to Redis

const ORDERS = { name: 'orders', topics: ['orders.#'] }

/** A client of a node of its own. */
async function clientOn(url: string, options: HubOptions = {}): Promise<Client> {
  const hub = await startHub({ cluster: url, port: 0, engine: 'ws', drainTimeout: 100, ...options })
  const client = connect(`ws://127.0.0.1:${hub.port}/`, { backoff: { base: 10, cap: 100 } })
  onTestFinished(async () => {
    await client.close({ timeout: 100 })
    await hub.close()
  })
  return client
}

/** Two nodes: on one it is published, on the other read. */
async function twoNodes(
  { url }: { readonly url: string },
  options: HubOptions = { streams: [ORDERS] },
): Promise<[Client, Client]> {
  return [await clientOn(url, options), await clientOn(url, options)]
}

/** What a subscription on the stream sees: numbers, and the reasons of gaps. */
async function readAll(client: Client): Promise<(number | string)[]> {
  const seen: (number | string)[] = []
  const subscription = client.subscribe<number>('orders.#', ({ data }) => void seen.push(data), {
    from: 'earliest',
    onGap: ({ reason }) => void seen.push(reason),
  })
  await subscription.ready
  return seen
}

const publishAll = (client: Client, from: number, to: number) =>
  Promise.all(range(from, to).map((n) => client.publish('orders.new', n)))

/** Publishes again, with the same id, as long as the outcome is unknown. */
async function publishUntilKept(client: Client, n: number): Promise<void> {
  for (;;) {
    const outcome = await client.publish('orders.new', n, { id: `order-${n}` }).then(
      () => 'kept',
      ({ code }: FanfareError) => code,
    )
    if (outcome === 'kept') return
    if (!['outcome_unknown', 'cluster_unreachable'].includes(outcome)) throw new Error(outcome)
  }
}

it('what is published on one node is replayed, followed and administrated on another', async () => {
  const redis = await durableRedis()
  const [publisher, reader] = await twoNodes(redis, {})
  await publisher.admin.streams.declare(ORDERS)
  await publishAll(publisher, 0, 700)
  await expect.poll(() => reader.admin.streams.list()).toMatchObject([{ name: 'orders', next: 700 }])
  const seen = await readAll(reader)
  await publishAll(publisher, 700, 1000)
  await publishAll(reader, 1000, 1100)
  await expect.poll(() => seen).toEqual(range(0, 1100))
  await reader.admin.streams.trim('orders', 1050)
  await expect.poll(() => publisher.admin.streams.list()).toMatchObject([{ first: 1050, next: 1100 }])
})

it('an id that is published again on another node is kept once', async () => {
  const redis = await durableRedis()
  const [one, other] = await twoNodes(redis)
  const options = { id: 'once' }
  const first = await one.publish('orders.new', 1, options)
  const second = await other.publish('orders.new', 1, options)
  expect([first.duplicate, second.duplicate]).toEqual([false, true])
  expect(second.positions).toEqual(first.positions)
})

it('a reader goes on with another node where it was', async () => {
  const redis = await durableRedis()
  const [publisher, reader] = await twoNodes(redis)
  const receipts = await publishAll(publisher, 0, 10)
  const from = receipts[4]?.positions['orders'] as Position
  const seen: number[] = []
  const subscription = reader.subscribe<number>('orders.#', ({ data }) => void seen.push(data), { from })
  await subscription.ready
  await expect.poll(() => seen).toEqual(range(4, 10))
})

it('a reader goes on with a node that has not seen yet what the reader has read elsewhere', async () => {
  const redis = await durableRedis()
  const way = await wayTo(redis)
  const publisher = await clientOn(redis.url, { streams: [ORDERS] })
  const reader = await clientOn(way.redisUrl, { streams: [ORDERS] })
  await publishAll(publisher, 0, 10)
  await expect.poll(() => reader.admin.streams.show('orders')).toMatchObject({ next: 10 })
  way.hold()
  const receipts = await publishAll(publisher, 10, 20)
  const { epoch, offset } = receipts.at(-1)?.positions['orders'] ?? { epoch: '', offset: 0 }
  const seen: (number | string)[] = []
  const subscription = reader.subscribe<number>('orders.#', ({ data }) => void seen.push(data), {
    from: { epoch, offset: offset + 1 },
    onGap: ({ reason }) => void seen.push(reason),
  })
  // Whatever it can say without Redis, it says before it answers this.
  await reader.admin.hub.whoami()
  way.release()
  await subscription.ready
  await publishAll(publisher, 20, 23)
  await expect.poll(() => seen).toEqual([20, 21, 22])
})

it('nothing that was acknowledged is lost, and nothing comes twice, when Redis is killed again and again', async () => {
  const redis = await durableRedis()
  const [publisher, reader] = await twoNodes(redis)
  const seen = await readAll(reader)
  const acknowledged: number[] = []
  let n = 0
  for (let round = 0; round < 3; round++) {
    const batch = range(n, n + 400).map((each) =>
      publisher.publish('orders.new', each).then(() => void acknowledged.push(each)),
    )
    n += 400
    await expect.poll(() => acknowledged.length).toBeGreaterThan(round * 400 + 20)
    await redis.stop()
    await redis.start()
    await Promise.all(batch)
  }
  await expect.poll(() => seen.filter((each) => typeof each === 'number').length, { timeout: 20_000 }).toBe(n)
  expect(seen).toEqual(range(0, n))
}, 60_000)

it('a Redis that has lost its data is told by a new epoch and a gap, and publishing goes on', async () => {
  const redis = await durableRedis()
  const [publisher, reader] = await twoNodes(redis)
  const seen = await readAll(reader)
  await publishAll(publisher, 0, 10)
  await expect.poll(() => seen).toEqual(range(0, 10))
  await command(redis, 'FLUSHALL')
  await publishAll(publisher, 10, 20)
  await expect.poll(() => seen, { timeout: 10_000 }).toEqual([...range(0, 10), 'epoch', ...range(10, 20)])
}, 30_000)

it('one that keeps nothing on its disk loses streams when it restarts, which readers are told', async () => {
  const redis = await redisOf()
  const [publisher, reader] = await twoNodes(redis, { streams: [ORDERS], clusterDurability: 'relaxed' })
  const seen = await readAll(reader)
  await publishAll(publisher, 0, 10)
  await expect.poll(() => seen).toEqual(range(0, 10))
  await redis.stop()
  await redis.start()
  await publishAll(publisher, 10, 20)
  await expect.poll(() => seen.slice(-10), { timeout: 20_000 }).toEqual(range(10, 20))
  expect(seen.slice(0, -10)).toEqual([...range(0, 10), 'epoch'])
}, 60_000)

it('scripts that somebody has flushed are loaded again', async () => {
  const redis = await durableRedis()
  const [publisher, reader] = await twoNodes(redis)
  const seen = await readAll(reader)
  for (const n of range(0, 5)) {
    await command(redis, 'SCRIPT', 'FLUSH')
    await publisher.publish('orders.new', n)
  }
  await expect.poll(() => seen).toEqual(range(0, 5))
})

it('a Redis without memory refuses messages, and a trim makes room', async () => {
  const redis = await durableRedis()
  const [publisher] = await twoNodes(redis)
  await publishAll(publisher, 0, 100)
  await command(redis, 'CONFIG', 'SET', 'maxmemory', '1mb')
  await expect(publisher.publish('orders.new', 'x'.repeat(1000))).rejects.toMatchObject({ code: 'storage_full' })
  // Nothing keeps it.
  await publisher.publish('other', 1)
  expect(await publisher.admin.streams.trim('orders')).toMatchObject({ first: 100, next: 100 })
  await command(redis, 'CONFIG', 'SET', 'maxmemory', '0')
  await publisher.publish('orders.new', 100)
})

it('streams are refused on a Redis that can lose what it acknowledges, with both ways out', async () => {
  const redis = await redisOf()
  const client = await clientOn(redis.url)
  const refused = client.admin.streams.declare(ORDERS)
  await expect(refused).rejects.toMatchObject({ code: 'cluster_live_only' })
  await expect(refused).rejects.toThrow(/appendonly no.*appendfsync always.*clusterDurability: 'relaxed'/)
  const configured = startHub({ cluster: redis.url, port: 0, engine: 'ws', streams: [ORDERS] })
  await expect(configured).rejects.toMatchObject({ code: 'cluster_live_only' })
})

it('a Redis that may delete any key is refused', async () => {
  const redis = await redisOf('--maxmemory-policy', 'allkeys-lru')
  const started = startHub({ cluster: redis.url, port: 0, engine: 'ws', clusterDurability: 'relaxed' })
  await expect(started).rejects.toMatchObject({ code: 'bad_config' })
  await expect(started).rejects.toThrow('noeviction')
})

it('one that writes to its disk later loses what it loses with a new epoch and a gap, never in silence', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'fanfare-redis-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const redis = await redisOf('--dir', directory, '--appendonly', 'yes', '--appendfsync', 'everysec')
  const [publisher, reader] = await twoNodes(redis, { streams: [ORDERS], clusterDurability: 'relaxed' })
  const seen = await readAll(reader)
  await publishAll(publisher, 0, 100)
  await expect.poll(() => seen.length).toBe(100)
  await redis.stop()
  await redis.start()
  // The outcome of those that came before the hub noticed what is lost is unknown.
  for (const n of range(100, 110)) await publishUntilKept(publisher, n)
  await expect.poll(() => seen.slice(-10), { timeout: 20_000 }).toEqual(range(100, 110))
  // What is left of it is read again, from the beginning.
  const epoch = seen.indexOf('epoch')
  expect(seen.slice(0, epoch)).toEqual(range(0, 100))
  expect(seen.slice(epoch + 1, -10)).toEqual(range(0, seen.length - 111))
}, 60_000)

it.runIf(SLOW)(
  'a hub leaves a primary that hangs as soon as Sentinel has named another one',
  async () => {
    const primary = await redisOf()
    const replica = await redisOf('--replicaof', '127.0.0.1', `${primary.port}`)
    const sentinel = await sentinelOf(primary)
    await knowsReplica(sentinel)
    const [publisher] = await twoNodes(
      { url: `redis+sentinel://127.0.0.1:${sentinel.port}/${PRIMARY}` },
      { streams: [ORDERS], clusterDurability: 'relaxed' },
    )
    await publishAll(publisher, 0, 10)
    primary.signal('SIGSTOP')
    onTestFinished(() => primary.signal('SIGCONT'))
    await expect.poll(() => command(replica, 'ROLE')).toContain('master')
    const since = performance.now()
    await publishUntilKept(publisher, 10)
    // Otherwise an answer would be overdue after five seconds, and an attempt to connect to it after ten.
    expect(performance.now() - since).toBeLessThan(10_000)
  },
  60_000,
)

it('a failover that may have lost something is told by a new epoch and a gap', async () => {
  const primary = await durableRedis()
  const replica = await durableRedis('--replicaof', '127.0.0.1', `${primary.port}`)
  const sentinel = await sentinelOf(primary)
  await knowsReplica(sentinel)
  const [publisher, reader] = await twoNodes({ url: `redis+sentinel://127.0.0.1:${sentinel.port}/${PRIMARY}` })
  const seen = await readAll(reader)
  await publishAll(publisher, 0, 10)
  await expect.poll(() => seen).toEqual(range(0, 10))
  // Both nodes say each second how many replicas there are.
  await expect.poll(() => command(primary, 'HGET', '{fanfare}:meta', 'replicas')).toBe('1')
  await primary.stop()
  await publishUntilKept(publisher, 10)
  await expect.poll(() => command(replica, 'ROLE'), { timeout: 30_000 }).toContain('master')
  await expect.poll(() => seen.at(-1), { timeout: 30_000 }).toBe(10)
  expect(seen.slice(0, 11)).toEqual([...range(0, 10), 'epoch'])
  // The new primary may not have got the last ones.
  expect(seen.slice(11)).toEqual([...range(0, seen.length - 12), 10])
}, 120_000)
