import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { publishNumbers, publishTo, streamOptions } from '../setup/brokers.ts'
import { command, durableRedis, redisOf } from '../setup/cluster.ts'
import { fanfare } from '../setup/command.ts'
import { brokerOn, newDirectory } from '../setup/copies.ts'

// `fanfare copy` as an operator runs it

const MESSAGES = 3_000

/** A data directory with the messages 0, 1, 2 … in a stream; no hub runs on it. */
async function filledDirectory(): Promise<string> {
  const place = await newDirectory()
  const broker = await brokerOn(place)
  await broker.declareStream(streamOptions(), false)
  await publishNumbers(broker, 0, MESSAGES - 1)
  await publishTo(broker, { topic: 't', data: 'last', id: 'last' })
  await broker.close()
  return place.where
}

async function copy(from: string, to: string, flags: readonly string[] = [], env?: Record<string, string>) {
  const copying = fanfare(['copy', from, to, ...flags], env)
  const code = await copying.exit
  return { code, stdout: copying.stdout, stderr: copying.stderr }
}

it('a copy that was killed continues; no hub starts on it before it is done, and none is lost or doubled', async () => {
  const data = await filledDirectory()
  const redis = await durableRedis()
  const link = new Redis(redis.url)
  onTestFinished(() => link.disconnect())
  for (const step of [0, 3]) {
    const copying = fanfare(['copy', data, redis.url])
    while (!copying.hasEnded && Number((await link.hget('{fanfare}:meta', 'copyStep')) ?? -1) < step) await sleep(1)
    copying.signal('SIGKILL')
    await copying.exit
  }
  if (!(await link.hexists('{fanfare}:meta', 'copyFinished'))) {
    await link.unlink('{fanfare}:copying')
    await expect(brokerOn({ where: redis.url, prefix: 'fanfare' })).rejects.toThrow('unfinished copy')
  }
  expect(await copy(data, redis.url)).toMatchObject({ code: 0, stderr: '' })
  const broker = await brokerOn({ where: redis.url, prefix: 'fanfare' })
  onTestFinished(() => broker.close())
  expect(broker.stream('s')).toMatchObject({ first: 0, next: MESSAGES, messages: MESSAGES })
  expect((await publishTo(broker, { topic: 't', data: 'last', id: 'last' })).duplicate).toBe(true)
  expect(await copy(data, redis.url)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^fanfare: data_locked: Hubs/),
  })
})

it('refuses a directory that is none, or in use, and a target with a stream of the same name', async () => {
  const data = await filledDirectory()
  const other = await filledDirectory()
  const { where } = await newDirectory()
  expect(await copy(where, other)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^fanfare: data_foreign: .* is not/),
  })
  expect((await copy(data, other)).stderr).toMatch(/^fanfare: data_foreign: .* already has a stream "s"/)
  const broker = await brokerOn({ where: data, prefix: '' })
  onTestFinished(() => broker.close())
  expect((await copy(data, where)).stderr).toMatch(/^fanfare: data_locked: /)
})

it('refuses to copy a place onto itself, and the URL of something else', async () => {
  const data = await filledDirectory()
  const redis = 'redis://127.0.0.1:1'
  const refusal = { code: 2, stderr: expect.stringMatching(/^fanfare: bad_config: Source and target/) }
  expect(await copy(data, `${data}/.`)).toMatchObject(refusal)
  expect(await copy(redis, redis)).toMatchObject(refusal)
  const { code, stderr } = await copy(data, 'http://:secret@127.0.0.1:1')
  expect({ code, stderr }).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^fanfare: bad_config: http:\/\/… is/),
  })
})

it('warns of a Redis that can lose the copy, refuses one that deletes any key, and waits for replicas', async () => {
  const data = await filledDirectory()
  const forgetful = await redisOf()
  const note =
    /^fanfare: note: This Redis can lose what is copied into it: .*appendonly no.*clusterDurability 'relaxed'\.\n$/
  expect(await copy(data, forgetful.url)).toMatchObject({ code: 0, stderr: expect.stringMatching(note) })
  // What is copied out of it is safe.
  expect(await copy(forgetful.url, (await newDirectory()).where)).toMatchObject({ code: 0, stderr: '' })
  const evicting = await redisOf('--maxmemory-policy', 'allkeys-lru')
  expect(await copy(data, evicting.url)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^fanfare: bad_config: .*allkeys-lru/),
  })
  const primary = await durableRedis()
  const replica = await durableRedis('--replicaof', '127.0.0.1', `${primary.port}`)
  await expect.poll(() => command(primary, 'INFO', 'replication')).toMatch(/state=online/)
  expect(await copy(data, primary.url)).toMatchObject({ code: 0, stderr: '' })
  expect(await command(replica, 'HEXISTS', '{fanfare}:meta', 'copyFinished')).toBe(1)
  replica.signal('SIGSTOP')
  expect(await copy(data, primary.url)).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^fanfare: note: Only 0 of 1 replicas have the copy/),
  })
})

it('checks the prefix as a hub does', async () => {
  const data = await filledDirectory()
  const refusal = (name: string) => ({
    code: 2,
    stderr: expect.stringMatching(
      new RegExp(`^fanfare: bad_config: clusterPrefix must be 1 to 64 letters.* from ${name}`),
    ),
  })
  const to = 'redis://127.0.0.1:1'
  expect(await copy(data, to, ['--cluster-prefix', 'a b'])).toMatchObject(refusal('--cluster-prefix'))
  expect(await copy(data, to, [], { FANFARE_CLUSTER_PREFIX: '{a}' })).toMatchObject(refusal('FANFARE_CLUSTER_PREFIX'))
})
