import { Redis } from 'ioredis'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { redisAddress } from '../../server/bus/redis/redis-address.ts'
import { RedisBus } from '../../server/bus/redis/redis-bus.ts'
import { liveMessage, SeenByBus } from '../setup/buses.ts'
import { RedisServer } from '../setup/redis-server.ts'

let redis: RedisServer
beforeAll(async () => {
  redis = await RedisServer.start()
})
afterAll(() => redis.stop())

it('a bus on Redis ignores what no node says in its channels', async () => {
  const buses = [1, 2].map((n) => {
    const name = `node ${n}`
    return new RedisBus(
      { redis: redisAddress(redis.url), prefix: 'strange', name, version: '1' },
      pino({ enabled: false }),
    )
  }) as [RedisBus, RedisBus]
  const [a, b] = buses
  const seen = new SeenByBus()
  await a.open(new SeenByBus())
  await b.open(seen)
  await b.subscribe(['a'])
  const stranger = new Redis(redis.url)
  for (const channel of ['strange:all', `strange:node:${b.node.id}`]) {
    for (const bytes of [
      '',
      'M',
      'Mxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
      '{',
      '{}',
      '[1]',
      'null',
      '7',
      '{"type":"hello"}',
    ]) {
      await stranger.publish(channel, bytes)
    }
    await stranger.publish(channel, JSON.stringify({ type: 'changed', from: a.node.id, link: 1, version: 'x' }))
  }
  stranger.disconnect()
  a.publish(liveMessage('a'))
  await seen.until(() => seen.topics.length > 0)
  expect(seen.topics).toEqual(['a'])
  await Promise.all(buses.map((bus) => bus.close()))
})
