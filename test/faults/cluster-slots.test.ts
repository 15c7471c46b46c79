import { expect, it, onTestFinished } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { command, SLOW } from '../setup/cluster.ts'
import { RedisCluster } from '../setup/redis-cluster.ts'
import type { RedisServer } from '../setup/redis-server.ts'
import { range } from '../setup/streams.ts'

// A Redis Cluster keeps all keys of a hub cluster on one of its nodes: hubs find it, and follow it

const ORDERS = { name: 'orders', topics: ['orders.#'] }

/** A client of a hub of its own. */
async function clientOn(cluster: string, options = {}): Promise<Client> {
  const hub = await startHub({
    ...{ cluster, port: 0, engine: 'ws', drainTimeout: 100 },
    ...{ streams: [ORDERS], queues: [{ name: 'jobs' }], ...options },
  })
  const client = connect(`ws://127.0.0.1:${hub.port}/`, { backoff: { base: 10, cap: 100 } })
  onTestFinished(async () => {
    await client.close({ timeout: 100 })
    await hub.close()
  })
  return client
}

/** What a subscription on the stream, and a consumer of the queue, get. */
async function watching(client: Client): Promise<{ stream: (number | string)[]; jobs: number[] }> {
  const [stream, jobs]: [(number | string)[], number[]] = [[], []]
  const subscription = client.subscribe<number>('orders.#', ({ data }) => void stream.push(data), {
    from: 'earliest',
    onGap: ({ reason }) => void stream.push(reason),
  })
  await subscription.ready
  client.consume<number>('jobs', ({ data }) => void jobs.push(data))
  return { stream, jobs }
}

/** Stores in both; again with the same id while the outcome is unknown. */
async function store(client: Client, n: number): Promise<void> {
  const again = async (attempt: () => Promise<unknown>): Promise<void> => {
    for (;;) {
      const code = await attempt().then(
        () => 'kept',
        (error) => error.code,
      )
      if (code === 'kept') return
      if (!['outcome_unknown', 'cluster_unreachable'].includes(code)) throw new Error(code)
    }
  }
  await again(() => client.publish('orders.new', n, { id: `order-${n}` }))
  await again(() => client.enqueue('jobs', n, { id: `job-${n}` }))
}

it.each([1, 3])(
  'hubs meet on a Redis Cluster with %i primaries, whichever node each of them is given',
  async (primaries) => {
    const redis = await RedisCluster.start(primaries)
    const clients = await Promise.all(redis.nodes.map(({ url }) => clientOn(url)))
    const [first, last] = [clients[0], clients.at(-1)] as [Client, Client]
    const seen = await watching(last)
    const live: unknown[] = []
    await last.subscribe('live', ({ data }) => void live.push(data)).ready
    for (const n of range(0, 20)) await store(first, n)
    await first.publish('live', 1)
    await expect.poll(() => seen.stream).toEqual(range(0, 20))
    await expect.poll(() => seen.jobs.toSorted((a, b) => a - b)).toEqual(range(0, 20))
    await expect.poll(() => live).toEqual([1])
    expect((await first.admin.nodes.list()).nodes).toHaveLength(primaries)
  },
)

it('hubs wait while their slot moves to another node, and go on there: nothing is lost, doubled or half done', async () => {
  const redis = await RedisCluster.start(3)
  const [publisher, reader] = [await clientOn(redis.url), await clientOn(redis.url)]
  const seen = await watching(reader)
  for (const n of range(0, 10)) await store(publisher, n)
  const { slot, owner } = await redis.owner()
  const target = redis.nodes.find((node) => node !== owner) as RedisServer
  await redis.beginMove(slot, owner, target)
  const stored = Promise.all(range(10, 20).map((n) => store(publisher, n)))
  await redis.moveKeys(slot, owner, target, 3)
  await redis.endMove(slot, owner, target)
  await stored
  const sorted = () => seen.stream.filter((each) => typeof each === 'number').sort((a, b) => a - b)
  await expect.poll(sorted).toEqual(range(0, 20))
  await expect.poll(() => [...new Set(seen.jobs)].sort((a, b) => a - b)).toEqual(range(0, 20))
  await expect.poll(async () => (await publisher.admin.queues.list())[0]?.depth).toBe(0)
  expect((await redis.owner()).owner).toBe(target)
})

it('a full Redis Cluster with replicas takes acks, purges and live messages, and refuses what it would have to store', async () => {
  const redis = await RedisCluster.start(1)
  const [owner] = redis.nodes as [RedisServer]
  await redis.addReplica(owner)
  const client = await clientOn(owner.url, { clusterReplicas: 1 })
  await Promise.all(range(0, 3).map((n) => client.enqueue('jobs', n)))
  await command(owner, 'CONFIG', 'SET', 'maxmemory', '1')
  await expect(client.publish('orders.new', 1)).rejects.toMatchObject({ code: 'storage_full' })
  for await (const delivery of client.consume('jobs')) {
    await delivery.ack()
    break
  }
  expect(await client.admin.queues.purge('jobs')).toBe(2)
  await client.publish('live', 1)
  await command(owner, 'CONFIG', 'SET', 'maxmemory', '0')
  await client.publish('orders.new', 2)
})

it.runIf(SLOW)('hubs follow a failover of the Redis Cluster', async () => {
  const redis = await RedisCluster.start(3)
  const { owner } = await redis.owner()
  const replica = await redis.addReplica(owner)
  const options = { clusterReplicas: 1 }
  const [publisher, reader] = [await clientOn(redis.url, options), await clientOn(redis.url, options)]
  const seen = await watching(reader)
  for (const n of range(0, 10)) await store(publisher, n)
  await owner.stop()
  const stored = Promise.all(range(10, 15).map((n) => store(publisher, n)))
  await expect.poll(() => command(replica, 'ROLE')).toContain('master')
  // It becomes a replica of the new one, which has to have one.
  await owner.start()
  await stored
  await expect.poll(() => seen.stream.toSorted((a, b) => Number(a) - Number(b))).toEqual(range(0, 15))
})
