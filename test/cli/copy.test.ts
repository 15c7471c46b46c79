import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { publishNumbers, publishTo, streamOptions } from '../setup/brokers.ts'
import { redisOf } from '../setup/cluster.ts'
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

async function copy(from: string, to: string) {
  const copying = fanfare(['copy', from, to])
  const code = await copying.exit
  return { code, stdout: copying.stdout, stderr: copying.stderr }
}

it('a copy that was killed continues; no hub starts on it before it is done, and none is lost or doubled', async () => {
  const data = await filledDirectory()
  const redis = await redisOf()
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
