import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { dataOf, publishTo, streamOptions } from '../setup/brokers.ts'
import { clientOf, command, node, redisOf } from '../setup/cluster.ts'
import { brokerAt } from '../setup/redis-node.ts'
import { range } from '../setup/streams.ts'

// What a hub still has to publish when its clients may have gone to another one, and have published more there

const HUB = { 'cluster-durability': 'relaxed' }
/** More than a busy hub ever stands still. */
const STOPPED_MS = 2_600

const outcome = (published: Promise<unknown>) =>
  published.then(
    () => 'kept',
    ({ code }) => code,
  )

it('a hub that was taken for gone publishes nothing of what it had gathered', async () => {
  const redis = await redisOf()
  const a = await brokerAt(redis.url)
  await a.declareStream(streamOptions(), false)
  const kept: number[] = []
  let last: unknown
  // A sign of life may come in between, by which the hub takes its place again.
  for (let n = 1; last !== 'cluster_unreachable' && n < 20; n += 4) {
    await command(redis, 'DEL', '{test}:nodes')
    const three = range(n, n + 3)
    const outcomes = await Promise.all(three.map((data) => outcome(publishTo(a, { topic: 't', data }))))
    last = outcomes[0]
    expect(outcomes).toEqual([last, last, last])
    if (last === 'kept') kept.push(...three)
    await publishTo(a, { topic: 't', data: n + 3 })
    kept.push(n + 3)
  }
  expect(last).toBe('cluster_unreachable')
  expect(await dataOf(a)).toEqual(kept)
})

it('a hub that stood still publishes nothing of what its clients had sent meanwhile', async () => {
  const redis = await redisOf()
  const [a, b] = await Promise.all([node(redis.url, HUB), node(redis.url, HUB)])
  const [atA, atB] = [clientOf(a), clientOf(b)]
  await atB.admin.streams.declare({ name: 's', topics: ['t'] })
  await atA.publish('t', 0)
  a.signal('SIGSTOP')
  const earlier = range(1, 4).map((n) => outcome(atA.publish('t', n)))
  await wait(STOPPED_MS)
  await atB.publish('t', 10)
  a.signal('SIGCONT')
  expect(await Promise.all(earlier)).toEqual(['cluster_unreachable', 'cluster_unreachable', 'cluster_unreachable'])
  await atA.publish('t', 11)
  const seen: number[] = []
  for await (const { data } of atB.subscribe<number>('t', { stream: 's', from: 'earliest' })) {
    seen.push(data)
    if (data === 11) break
  }
  expect(seen).toEqual([0, 10, 11])
})
