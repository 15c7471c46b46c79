import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { Client } from '../../client/node.ts'
import { clientOf, command, node, readyIs, redisOf, SLOW } from '../setup/cluster.ts'
import { failuresIn } from '../setup/failed-commits.ts'
import { configFile, type HubProcess } from '../setup/hub-process.ts'
import type { RedisServer } from '../setup/redis-server.ts'

// A Redis that is there and refuses to write, for a while: publishes fail with a clear error, nothing is half done, and hubs come back by themselves

/** A Redis that keeps what it acknowledges. */
async function durableRedis(...options: string[]): Promise<RedisServer & { folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-redis-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const redis = await redisOf('--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always', ...options)
  return Object.assign(redis, { folder })
}

async function hubOn({ url }: RedisServer): Promise<HubProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-config-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return node(url, {
    config: await configFile(join(folder, 'fanfare.json'), [{ name: 'log', topics: ['log'] }], [{ name: 'jobs' }]),
  })
}

/** What a publish of each kind comes to while Redis refuses, and after. */
async function refusesAndComesBack(
  hubs: readonly HubProcess[],
  words: RegExp,
  refuse: () => Promise<unknown>,
  accept: () => Promise<unknown>,
): Promise<void> {
  const [client, reader] = hubs.map((hub) => clientOf(hub)) as [Client, Client]
  const [seen, jobs, live]: [unknown[], unknown[], unknown[]] = [[], [], []]
  await reader.subscribe('log', ({ data }) => void seen.push(data), { from: 'earliest' }).ready
  await reader.subscribe('live', ({ data }) => void live.push(data)).ready
  reader.consume('jobs', ({ data }) => void jobs.push(data))
  await client.publish('log', 1)
  await client.enqueue('jobs', 1)
  await expect.poll(() => [seen, jobs]).toEqual([[1], [1]])
  await refuse()
  const refused = await Promise.allSettled([client.publish('log', 2), client.enqueue('jobs', 2)])
  for (const each of refused) {
    expect(each).toMatchObject({ reason: { code: 'cluster_unreachable', message: expect.stringMatching(words) } })
  }
  await Promise.all(hubs.map((hub) => readyIs(hub, 503)))
  await accept()
  await Promise.all(hubs.map((hub) => readyIs(hub, 200)))
  await client.publish('log', 3)
  await client.enqueue('jobs', 3)
  await client.publish('live', 3)
  await expect.poll(() => [seen, jobs, live]).toEqual([[1, 3], [1, 3], [3]])
}

it('has no memory left: hubs start, and the log has one line for the beginning, one for the end', async () => {
  const redis = await durableRedis()
  const hub = await hubOn(redis)
  const client = clientOf(hub)
  const setMemory = (bytes: string) => command(redis, 'CONFIG', 'SET', 'maxmemory', bytes)
  await client.enqueue('jobs', 1)
  await setMemory('1')
  for (let n = 0; n < 30; n++) {
    await expect(client.publish('log', n)).rejects.toMatchObject({ code: 'storage_full' })
    await expect(client.enqueue('jobs', n)).rejects.toMatchObject({ code: 'storage_full' })
  }
  for await (const delivery of client.consume('jobs')) {
    await delivery.ack()
    break
  }
  expect(failuresIn(hub)).toMatchObject([{ level: 50, msg: 'a commit failed' }])
  // What it declares is there already.
  const another = clientOf(await hubOn(redis))
  expect((await another.admin.streams.list()).map(({ name }) => name)).toEqual(['log'])
  const missing = { name: 'new', topics: ['new'] }
  await expect(another.admin.streams.declare(missing)).rejects.toMatchObject({ code: 'storage_full' })
  await setMemory('0')
  await client.publish('log', 1)
  const fault = { code: 'storage_full', cause: expect.stringMatching(/memory of Redis is full/) }
  await expect
    .poll(() => failuresIn(hub))
    .toMatchObject([
      { level: 50, msg: 'a commit failed', ...fault },
      { level: 40, msg: 'commits succeed again', code: 'storage_full', failed: 60 },
    ])
  const metrics = await (await fetch(`${hub.url.replace('ws:', 'http:')}metrics`)).text()
  expect(metrics).toContain('fanfare_failed_commits_total{code="storage_full"} 60')
})

it('has fewer replicas than it wants for writes', async () => {
  const redis = await durableRedis()
  const hubs = [await hubOn(redis), await hubOn(redis)]
  const set = (count: number) => () => command(redis, 'CONFIG', 'SET', 'min-replicas-to-write', `${count}`)
  await refusesAndComesBack(hubs, /has too few replicas to take writes/, set(1), set(0))
})

it.runIf(SLOW)('could not save in the background', async () => {
  const redis = await durableRedis()
  const file = join(redis.folder, 'dump.rdb')
  const hubs = [await hubOn(redis), await hubOn(redis)]
  await refusesAndComesBack(
    hubs,
    /cannot write to its disk/,
    async () => {
      // A directory in the place of its file.
      mkdirSync(join(file, 'x'), { recursive: true })
      await command(redis, 'CONFIG', 'SET', 'save', '3600 1')
      await command(redis, 'BGSAVE')
      await expect.poll(async () => String(await command(redis, 'INFO', 'persistence'))).toMatch(/bgsave_status:err/)
    },
    async () => {
      rmSync(file, { recursive: true })
      await command(redis, 'BGSAVE')
    },
  )
})

it.runIf(SLOW)('is made a replica, and a primary again', async () => {
  const [redis, other] = [await durableRedis(), await redisOf()]
  const hubs = [await hubOn(redis), await hubOn(redis)]
  // A replica without its primary keeps what it has.
  await other.stop()
  await refusesAndComesBack(
    hubs,
    /is a replica now/,
    () => command(redis, 'REPLICAOF', '127.0.0.1', `${other.port}`),
    () => command(redis, 'REPLICAOF', 'NO', 'ONE'),
  )
})
