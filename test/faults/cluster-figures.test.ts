import { expect, it } from 'vitest'
import {
  clientOf,
  command,
  durableRedis,
  node,
  publishing,
  type RedisPlace,
  redisOf,
  watch,
  wayTo,
} from '../setup/cluster.ts'
import type { HubProcess } from '../setup/hub-process.ts'
import { PRIMARY, sentinelOf } from '../setup/sentinel.ts'

/** What a hub says of its cluster in its metrics, by name. */
async function figures({ port }: HubProcess): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const lines = [...text.matchAll(/^fanfare_cluster_(\w+) (\S+)$/gm)]
  return Object.fromEntries(lines.map(([, name, value]) => [name, Number(value)]))
}

it('hubs of a cluster count what they carry and miss, and say how late they hear each other', async () => {
  const redis = await redisOf()
  const way = await wayTo(redis)
  const [a, b] = await Promise.all([node(redis.url), node(way.redisUrl)])
  const publisher = clientOf(a)
  await watch(clientOf(b), 'live')
  for (let n = 1; n <= 20; n++) await publisher.publish('live', n)
  await publisher.publish('without.interest', 1)
  await expect.poll(async () => (await figures(b))['messages_received_total']).toBe(20)
  expect(await figures(a)).toMatchObject({ messages_sent_total: 20, messages_received_total: 0, missed_total: 0 })
  const [atA, atB] = [await figures(a), await figures(b)]
  for (const { sent_bytes_total, received_bytes_total } of [atA, atB]) {
    expect(sent_bytes_total).toBeGreaterThan(100)
    expect(received_bytes_total).toBeGreaterThan(100)
  }
  // A heartbeat has come back to each by now.
  await expect.poll(async () => (await figures(a))['lag_seconds']).toBeGreaterThan(0)

  publishing(publisher, 'live')
  // Held for longer than a heartbeat, and shorter than what a link survives.
  way.hold()
  await expect.poll(async () => (await figures(b))['lag_seconds']).toBeGreaterThan(0.5)
  way.release()
  way.cut()
  await expect.poll(async () => (await figures(b))['missed_total']).toBeGreaterThan(0)
  expect((await figures(b))['reconnections_total']).toBeGreaterThan(0)
})

// Docs: docs/operations/cluster.md, Sizing
it('a hub has five connections to Redis, six if it waits for replicas, and two to a sentinel, whatever is declared and used', async () => {
  const primary = await durableRedis()
  await durableRedis('--replicaof', '127.0.0.1', `${primary.port}`)
  await expect.poll(async () => String(await command(primary, 'INFO', 'replication'))).toContain('state=online')
  const sentinel = await sentinelOf(primary)
  const url = `redis+sentinel://127.0.0.1:${sentinel.port}/${PRIMARY}`
  const [hub] = [await node(primary.url), await node(url, { 'cluster-replicas': 1, 'cluster-prefix': 'other' })]
  // The sentinel has connections of its own to Redis.
  const mine = async (place: RedisPlace) => {
    const lines = String(await command(place, 'CLIENT', 'LIST', 'TYPE', 'normal')).split('\n')
    const heard = String(await command(place, 'CLIENT', 'LIST', 'TYPE', 'pubsub')).split('\n')
    const all = [...lines, ...heard].filter((line) => line !== '' && !/ name=sentinel-| cmd=client\|list /.test(line))
    return all.length
  }
  const counts = async () => [await mine(primary), await mine(sentinel)]
  await expect.poll(counts).toEqual([5 + 6, 2])

  const client = clientOf(hub)
  for (let n = 0; n < 20; n++) {
    await client.admin.streams.declare({ name: `s${n}`, topics: [`t.${n}`] })
    await client.admin.queues.declare({ name: `q${n}`, bindings: [{ topic: `t.${n}` }] })
    await watch(client, `t.${n}`)
    client.consume(`q${n}`, () => {})
    await client.publish(`t.${n}`, n)
  }
  expect(await counts()).toEqual([5 + 6, 2])
})
