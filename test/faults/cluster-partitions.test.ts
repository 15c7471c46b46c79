import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Client } from '../../client/node.ts'
import { clientOf, command, redisOf, SLOW } from '../setup/cluster.ts'
import { HubProcess, type NetworkPlace } from '../setup/hub-process.ts'
import { Namespace, noNamespaces } from '../setup/namespace.ts'
import { range } from '../setup/streams.ts'

// A hub whose network is cut on one side. Nothing is reset: packets are lost in silence

if (noNamespaces !== undefined) process.stdout.write(`${noNamespaces}\n`)

/** Two hubs on one Redis; the network of the first can be cut. */
async function twoHubs(): Promise<{ network: Namespace; hub: HubProcess; other: HubProcess }> {
  const network = new Namespace()
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-redis-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const open = ['--bind', '127.0.0.1', network.redisHost, '--protected-mode', 'no']
  const redis = await redisOf('--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always', ...open)
  const config = join(folder, 'fanfare.json')
  const auth = { anonymous: 'allow' }
  writeFileSync(
    config,
    JSON.stringify({ auth, streams: [{ name: 'log', topics: ['log'] }], queues: [{ name: 'jobs' }] }),
  )
  const start = async (host: string, place?: NetworkPlace) => {
    const hub = await HubProcess.start({ cluster: `redis://${host}:${redis.port}`, config }, [], place)
    onTestFinished(async () => void (await hub.kill()))
    return hub
  }
  const [hub, other] = [await start(network.redisHost, network), await start('127.0.0.1')]
  await expect.poll(() => command(redis, 'ZCARD', '{fanfare}:nodes')).toBe(2)
  return { network, hub, other }
}

/** Stores in stream and queue, with the same id until it is acknowledged. */
async function store(client: Client, n: number): Promise<void> {
  const kept = (attempt: Promise<unknown>) =>
    attempt.then(
      () => true,
      () => false,
    )
  while (!(await kept(client.publish('log', n, { id: `log-${n}` }))));
  while (!(await kept(client.enqueue('jobs', n, { id: `job-${n}` }))));
}

async function watch(client: Client): Promise<unknown[]> {
  const seen: unknown[] = []
  await client.subscribe('log', ({ data }) => void seen.push(data), { from: 'earliest' }).ready
  return seen
}

describe.skipIf(noNamespaces !== undefined || !SLOW)('a hub', () => {
  it('is cut from Redis, and not from its clients: nothing is lost or doubled, and it comes back', async () => {
    const { network, hub, other } = await twoHubs()
    const [client, elsewhere] = [clientOf(hub), clientOf(other)]
    const [seen, seenElsewhere] = [await watch(client), await watch(elsewhere)]
    const jobs: unknown[] = []
    elsewhere.consume('jobs', ({ data }) => void jobs.push(data))
    for (const n of range(0, 5)) await store(client, n)
    network.cut('redis')
    const stored = Promise.all(range(5, 10).map((n) => store(client, n)))
    const live: unknown[] = []
    await client.subscribe('live', ({ data }) => void live.push(data)).ready
    for (const n of range(10, 15)) await store(elsewhere, n)
    // Its own live traffic goes on.
    await client.publish('live', 1)
    await expect.poll(() => live).toEqual([1])
    await expect.poll(async () => (await fetch(`${hub.url.replace('ws', 'http')}readyz`)).status).toBe(503)
    network.mend('redis')
    await stored
    await expect.poll(async () => (await fetch(`${hub.url.replace('ws', 'http')}readyz`)).status).toBe(200)
    const sorted = (list: readonly unknown[]) => list.filter((each) => typeof each === 'number').sort((a, b) => a - b)
    for (const list of [seen, seenElsewhere, jobs]) await expect.poll(() => sorted(list)).toEqual(range(0, 15))
  })

  it('is cut from its clients, and not from Redis: others have its work, and it comes back', async () => {
    const { network, hub, other } = await twoHubs()
    const [client, elsewhere] = [clientOf(hub), clientOf(other)]
    const held: unknown[] = []
    client.consume('jobs', async ({ data, signal }) => {
      held.push(data)
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    })
    await store(elsewhere, 0)
    await expect.poll(() => held).toEqual([0])
    network.cut('clients')
    const jobs: unknown[] = []
    elsewhere.consume('jobs', ({ data }) => void jobs.push(data))
    const seen = await watch(elsewhere)
    for (const n of range(1, 5)) await store(elsewhere, n)
    // The hub takes its client for gone after a while.
    await expect.poll(() => jobs.toSorted(), { timeout: 90_000 }).toEqual(range(0, 5))
    network.mend('clients')
    for (const n of range(5, 8)) await store(client, n)
    await expect.poll(() => seen).toEqual(range(0, 8))
  })
})
