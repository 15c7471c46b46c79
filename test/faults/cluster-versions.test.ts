import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { clientOf, command, node, readyIs, redisOf } from '../setup/cluster.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'

// Two versions on one Redis: the next one keeps its streams and queues in another format

const META = '{fanfare}:meta'

it('a hub neither starts on data of another format, nor goes on when that appears, and is back when it is gone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-redis-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const redis = await redisOf('--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always')
  const config = await configFile(join(folder, 'fanfare.json'), [{ name: 'log', topics: ['log'] }], [{ name: 'jobs' }])
  const hub = await node(redis.url, { config })
  const client = clientOf(hub)
  await client.publish('log', 1)
  await client.enqueue('jobs', 1)
  const kept = async () => JSON.stringify(await command(redis, 'HMGET', META, 'commit', 'gen', 'space', 'format'))

  await command(redis, 'HSET', META, 'format', '4')
  const before = await kept()
  const { code, stderr } = await HubProcess.refusal({ cluster: redis.url, config })
  expect(code).toBe(2)
  expect(stderr).toMatch(/bad_config.*have format 4, and this version knows format 3 only/)
  const refused = await Promise.allSettled([client.publish('log', 2), client.enqueue('jobs', 2)])
  for (const each of refused) {
    expect(each).toMatchObject({
      reason: { code: 'cluster_unreachable', message: expect.stringContaining('another version') },
    })
  }
  await readyIs(hub, 503)
  expect(await kept()).toBe(before)

  await command(redis, 'HSET', META, 'format', '3')
  await readyIs(hub, 200)
  await client.publish('log', 3)
  await client.enqueue('jobs', 3)
  const [seen, jobs]: [unknown[], unknown[]] = [[], []]
  await client.subscribe('log', ({ data }) => void seen.push(data), { from: 'earliest' }).ready
  client.consume('jobs', ({ data }) => void jobs.push(data))
  await expect
    .poll(() => [seen, jobs])
    .toEqual([
      [1, 3],
      [1, 3],
    ])
})
