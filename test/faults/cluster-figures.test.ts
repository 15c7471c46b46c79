import { expect, it } from 'vitest'
import { clientOf, node, publishing, redisOf, watch, wayTo } from '../setup/cluster.ts'
import type { HubProcess } from '../setup/hub-process.ts'

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
