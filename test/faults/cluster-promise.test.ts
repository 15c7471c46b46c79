import { expect, it, onTestFinished } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { type Hub, type HubOptions, startHub } from '../../server/index.ts'
import { command, durableRedis, redisOf, wayTo } from '../setup/cluster.ts'
import { range } from '../setup/streams.ts'

// What a hub says of the Redis that keeps its streams and queues

const STREAMS = [{ name: 's', topics: ['s'] }]

async function hubOn(url: string, options: HubOptions = {}): Promise<[Hub, Client]> {
  const hub = await startHub({ cluster: url, port: 0, engine: 'ws', drainTimeout: 100, ...options })
  const client = connect(`ws://127.0.0.1:${hub.port}/`, { backoff: { base: 10, cap: 100 } })
  onTestFinished(async () => {
    await client.close({ timeout: 100 })
    await hub.close()
  })
  return [hub, client]
}

/** The figures of Redis that are not 0, by name and labels. */
async function figures({ port }: Hub): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const all = [...text.matchAll(/^fanfare_redis_(\S+) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)])
  expect(all.length).toBeGreaterThan(10)
  return Object.fromEntries(all.filter(([, value]) => value !== 0))
}

const mayLose = async (hub: Hub) => Object.keys(await figures(hub)).filter((name) => name.startsWith('may_lose'))

const cause = (name: string, durability = 'strict') => `may_lose{durability="${durability}",cause="${name}"}`

it('a hub says why its Redis can lose what it acknowledges, and that a durable one cannot', async () => {
  const [durable] = await hubOn((await durableRedis('--maxmemory', '100mb')).url, { streams: STREAMS })
  expect(await mayLose(durable)).toEqual([])
  const { memory_bytes, ...all } = await figures(durable)
  expect(memory_bytes).toBeGreaterThan(100_000)
  expect(all).toEqual({ connections: 3, memory_limit_bytes: 100 * 1024 * 1024 })

  const [live] = await hubOn((await redisOf()).url)
  expect(await mayLose(live)).toEqual([cause('no_disk')])

  const late = await durableRedis('--appendfsync', 'everysec')
  const [relaxed] = await hubOn(late.url, { clusterDurability: 'relaxed', streams: STREAMS })
  expect(await mayLose(relaxed)).toEqual([cause('late_sync', 'relaxed')])

  const primary = await durableRedis()
  await durableRedis('--replicaof', '127.0.0.1', `${primary.port}`)
  await expect.poll(() => command(primary, 'INFO', 'replication')).toContain('state=online')
  const [one] = await hubOn(primary.url, { streams: STREAMS })
  const [all1] = await hubOn(primary.url, { clusterReplicas: 1, clusterPrefix: 'other', streams: STREAMS })
  expect(await mayLose(one)).toEqual([cause('failover')])
  expect(await mayLose(all1)).toEqual([])
})

it('a hub notices settings of Redis that change while it runs, and refuses them once it connects again', async () => {
  const redis = await durableRedis()
  const way = await wayTo(redis)
  const [hub, client] = await hubOn(way.redisUrl, { streams: STREAMS })
  await command(redis, 'CONFIG', 'SET', 'appendfsync', 'everysec')
  await expect.poll(() => mayLose(hub)).toEqual([cause('late_sync')])
  await client.publish('s', 1)
  way.cut()
  const ready = async () => (await fetch(`http://127.0.0.1:${hub.port}/readyz`)).json()
  await expect
    .poll(ready)
    .toMatchObject({ status: 'not ready', reason: expect.stringContaining('appendfsync everysec') })
  expect(await figures(hub)).toMatchObject({ cut_off: 1 })
  const [{ entries }] = [await client.admin.hub.attention()]
  expect(JSON.stringify(entries)).toContain('cannot use the Redis that keeps its streams and queues')
  await command(redis, 'CONFIG', 'SET', 'appendfsync', 'always')
  await expect.poll(ready).toMatchObject({ status: 'ready' })
  expect(await figures(hub)).toMatchObject({ reconnections_total: 1, connections: 3 })
  await client.publish('s', 2)
})

it('a hub counts what Redis had acknowledged and lost', async () => {
  const redis = await durableRedis()
  const [hub, client] = await hubOn(redis.url, { streams: STREAMS })
  for (const n of range(0, 5)) await client.publish('s', n)
  const [node] = (await command(redis, 'ZRANGE', '{fanfare}:nodes', '0', '-1')) as string[]
  const seq = Number(await command(redis, 'HGET', `{fanfare}:n:${node}`, 'seq'))
  await command(redis, 'HSET', `{fanfare}:n:${node}`, 'seq', `${seq - 3}`)
  await client.publish('s', 5)
  const { lost_turns_total, ...some } = await figures(hub)
  expect(some).toMatchObject({ 'losses_total{extent="some"}': 1, new_epochs_total: 1 })
  // There may have been a turn without a publish in between.
  expect(lost_turns_total).toBeGreaterThanOrEqual(3)
  await command(redis, 'FLUSHALL')
  await client.publish('s', 6)
  expect(await figures(hub)).toMatchObject({ 'losses_total{extent="all"}': 1, new_epochs_total: 2 })
})

it('a hub tells how long it waits for replicas, and how many outcomes are unknown because they did not answer', async () => {
  const primary = await durableRedis()
  const replica = await durableRedis('--replicaof', '127.0.0.1', `${primary.port}`)
  await expect.poll(() => command(primary, 'INFO', 'replication')).toContain('state=online')
  const [hub, client] = await hubOn(primary.url, { clusterReplicas: 1, streams: STREAMS })
  await client.publish('s', 1)
  const { replica_waits_total, replica_wait_seconds_total, ...before } = await figures(hub)
  expect(replica_waits_total).toBeGreaterThan(0)
  expect(replica_wait_seconds_total).toBeGreaterThan(0)
  expect(before).not.toHaveProperty('replica_shortfalls_total')
  replica.signal('SIGSTOP')
  onTestFinished(() => replica.signal('SIGCONT'))
  await expect(client.publish('s', 2)).rejects.toMatchObject({ code: 'outcome_unknown' })
  const after = await figures(hub)
  expect(after).toMatchObject({ unknown_outcomes_total: 1 })
  expect(after['replica_shortfalls_total']).toBeGreaterThan(3)
  expect(after['replica_waiting_seconds']).toBeGreaterThan(9)
})

it('a hub that has lost its Redis still shows its figures, as it saw them last', async () => {
  const redis = await durableRedis()
  const way = await wayTo(redis)
  const [hub, client] = await hubOn(way.redisUrl, { streams: STREAMS, queues: [{ name: 'q' }] })
  await client.publish('s', 1)
  await client.enqueue('q', 1)
  const [before] = await client.admin.streams.list()
  way.shut()
  await expect.poll(() => figures(hub)).toMatchObject({ cut_off: 1 })
  const [stream] = await client.admin.streams.list()
  expect(stream).toMatchObject({ messages: 1, oldestAt: before?.oldestAt })
  const [queue] = await client.admin.queues.list()
  expect(queue).toMatchObject({ depth: 1 })
  const letters = client.admin.queues.deadLetters.list('q')
  await expect(letters).rejects.toMatchObject({ code: 'cluster_unreachable' })
  way.open()
  await expect.poll(() => figures(hub)).not.toHaveProperty('cut_off')
  expect(await client.admin.queues.deadLetters.list('q')).toMatchObject([])
})

it('streams and queues of a cluster have a size that fits in memory unless they set one, the same for each hub', async () => {
  const redis = await durableRedis()
  const [, one] = await hubOn(redis.url, { streams: STREAMS, queues: [{ name: 'q' }] })
  const [, other] = await hubOn(redis.url, { streams: STREAMS })
  const size = 256 * 1024 * 1024
  expect(await other.admin.streams.show('s')).toMatchObject({ maxBytes: size })
  expect(await other.admin.queues.declare({ name: 'q' })).toMatchObject({ maxBytes: size })
  await one.admin.queues.declare({ name: 'large', maxBytes: 10 * 1024 ** 3 })
  expect(await one.admin.queues.show('large')).toMatchObject({ maxBytes: 10 * 1024 ** 3 })
})
