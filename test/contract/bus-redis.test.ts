import { Redis } from 'ioredis'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { redisAddress } from '../../server/bus/redis/redis-address.ts'
import { RedisBus } from '../../server/bus/redis/redis-bus.ts'
import { liveMessage, SeenByBus } from '../setup/buses.ts'
import { command } from '../setup/cluster.ts'
import { RedisServer } from '../setup/redis-server.ts'
import { ScriptedNode } from '../setup/scripted-node.ts'
import { range } from '../setup/streams.ts'

let redis: RedisServer
beforeAll(async () => {
  redis = await RedisServer.start()
})
afterAll(() => redis.stop())

function busOf(prefix: string, server = redis): RedisBus {
  return new RedisBus(
    { redis: redisAddress(server.url), prefix, name: undefined, version: '1' },
    pino({ enabled: false }),
  )
}

it('a bus on Redis ignores what no node says in its channels', async () => {
  const buses = [busOf('strange'), busOf('strange')] as const
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

it('a bus on Redis waits at the start for a node whose hello crosses its own', async () => {
  const node = await ScriptedNode.start(redis.url, 'crossing', [1, 1])
  const bus = busOf('crossing')
  const seen = new SeenByBus()
  const opening = bus.open(seen).then(() => [...seen.nodes.keys()])
  // Some of them come while the bus waits.
  for (let n = 0; n < 20; n++) {
    await node.hello()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  expect(seen.nodes.size).toBe(0)
  await node.synced(bus.node.id)
  expect(await opening).toEqual([node.id])
  await bus.close()
  node.close()
})

it('a bus on Redis joins a node of a newer version that speaks its format too, and ignores one that does not', async () => {
  const bus = busOf('formats')
  const seen = new SeenByBus()
  await bus.open(seen)
  const stranger = await ScriptedNode.start(redis.url, 'formats', [2, 2])
  const newer = await ScriptedNode.start(redis.url, 'formats', [1, 2])
  for (const node of [stranger, newer]) {
    await node.hello()
    await node.synced(bus.node.id)
  }
  await seen.until(() => seen.nodes.size > 0)
  expect([...seen.nodes.keys()]).toEqual([newer.id])
  expect(bus.subscribe(['a'])).toBeInstanceOf(Promise)
  expect(stranger.heard.filter(({ from, type }) => from === bus.node.id && type === 'synced')).toEqual([])
  await bus.close()
  for (const node of [stranger, newer]) node.close()
})

it('buses on one Redis that open at once know each other when they are open', async () => {
  for (let round = 0; round < 10; round++) {
    const buses = [1, 2, 3].map(() => busOf(`at-once-${round}`))
    const seen = buses.map(() => new SeenByBus())
    const known = buses.map((bus, n) => bus.open(seen[n] as SeenByBus).then(() => seen[n]?.nodes.size ?? 0))
    // Of any two, the one that enters the list later finds the other in it.
    const counts = await Promise.all(known)
    expect(counts.reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(3)
    await Promise.all(seen.map((each) => each.until(() => each.nodes.size === 2)))
    await Promise.all(buses.map((bus) => bus.close()))
  }
})

describe('buses on Redis that have joined', () => {
  const joined = async (prefix: string) => {
    const [a, b] = [busOf(prefix), busOf(prefix)]
    const seen = new SeenByBus()
    await a.open(new SeenByBus())
    await b.open(seen)
    await b.subscribe(['a'])
    const goesOn = async (count: number) => {
      a.publish(liveMessage('a'))
      await seen.until(() => seen.received.length === count)
      expect(seen.hasMissed('a')).toBe(false)
    }
    await goesOn(1)
    return { a, b, goesOn, close: () => Promise.all([a.close(), b.close()]) }
  }

  it('go on when Redis is flushed, and are in its list again', async () => {
    const { a, b, goesOn, close } = await joined('flushed')
    await command(redis, 'FLUSHALL')
    await goesOn(2)
    const listed = async () => ((await command(redis, 'HKEYS', 'flushed:nodes')) as string[]).sort()
    await expect.poll(listed).toEqual([a.node.id, b.node.id].sort())
    await close()
  })

  it('go on when Redis has no memory left; a new one joins, and is in the list once there is memory', async () => {
    const { a, b, goesOn, close } = await joined('full')
    await command(redis, 'CONFIG', 'SET', 'maxmemory', '1')
    await goesOn(2)
    const another = busOf('full')
    const seen = new SeenByBus()
    await another.open(seen)
    await another.subscribe(['a'])
    await goesOn(3)
    await seen.until(() => seen.received.length === 1)
    await command(redis, 'CONFIG', 'SET', 'maxmemory', '0')
    const listed = async () => ((await command(redis, 'HKEYS', 'full:nodes')) as string[]).sort()
    await expect.poll(listed).toEqual([a, b, another].map(({ node }) => node.id).sort())
    await another.close()
    await close()
  })

  it('hold two connections and hear two channels each, whatever they have an interest in', async () => {
    const own = await RedisServer.start()
    const buses = [busOf('counted', own), busOf('counted', own)]
    for (const bus of buses) await bus.open(new SeenByBus())
    for (const bus of buses) await Promise.all(range(1, 1000).map((n) => bus.subscribe(['topic', `${n}`, '#'])))
    const clients = String(await command(own, 'CLIENT', 'LIST'))
      .trim()
      .split('\n')
    // The last one asks.
    expect(clients.length - 1).toBe(2 * buses.length)
    expect(((await command(own, 'PUBSUB', 'CHANNELS')) as string[]).sort()).toEqual(
      ['counted:all', ...buses.map(({ node }) => `counted:node:${node.id}`)].sort(),
    )
    await Promise.all(buses.map((bus) => bus.close()))
    await own.stop()
  })
})
