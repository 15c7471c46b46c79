import { describe, expect, it, onTestFinished } from 'vitest'
import {
  clientOf,
  faultsOf,
  goesOn,
  node,
  publishing,
  readyIs,
  reconnected,
  redisOf,
  SLOW,
  watch,
} from '../setup/cluster.ts'
import { type Direction, RedisWay } from '../setup/redis-way.ts'

describe('a hub of a cluster whose way to Redis', () => {
  it('is slow has every message, in order', async () => {
    const redis = await redisOf()
    const way = await RedisWay.to(redis, 100)
    const [a, slow] = await Promise.all([node(redis.url), node(way.url)])
    const [atA, atSlow] = [clientOf(a), clientOf(slow)]
    // What is published after `ready` arrives, however long the other hub takes to hear of the subscription.
    const seen = await watch(atSlow, 'from.a')
    await atA.publish('from.a', 0)
    publishing(atA, 'from.a')
    const seenByA = await watch(atA, 'from.slow')
    publishing(atSlow, 'from.slow')
    await Promise.all([goesOn(seen), goesOn(seenByA)])
    expect(seen.slice(0, 3)).toEqual([0, 1, 2])
    expect([...faultsOf(seen), ...faultsOf(seenByA)]).toEqual([])
    expect([...seen, ...seenByA]).not.toContain('link')
  })

  for (const direction of ['publishing', 'hearing'] satisfies Direction[]) {
    it.runIf(SLOW)(`hangs for ${direction} only makes a new one, and both sides learn what they missed`, async () => {
      const redis = await redisOf()
      const way = await RedisWay.to(redis)
      const [a, b] = await Promise.all([node(redis.url), node(way.url)])
      const [atA, atB] = [clientOf(a), clientOf(b)]
      const [seenByB, seenByA] = [await watch(atB, 'from.a'), await watch(atA, 'from.b')]
      publishing(atA, 'from.a')
      publishing(atB, 'from.b')
      await Promise.all([goesOn(seenByA), goesOn(seenByB)])
      way.hold(direction)
      await reconnected(b, 1)
      await readyIs(b, 200)
      // What hung comes after all, when it is too late.
      way.release()
      await Promise.all([goesOn(seenByA), goesOn(seenByB)])
      expect(direction === 'hearing' ? seenByB : seenByA).toContain('link')
      expect([...faultsOf(seenByA), ...faultsOf(seenByB)]).toEqual([])
    })
  }

  it.runIf(SLOW)('is gone for 8 s reports it as a loss on both sides, once it is back', async () => {
    const redis = await redisOf()
    const way = await RedisWay.to(redis)
    const [a, b] = await Promise.all([node(redis.url), node(way.url)])
    const [atA, atB] = [clientOf(a), clientOf(b)]
    const [seenByB, seenByA] = [await watch(atB, 'from.a'), await watch(atA, 'from.b')]
    publishing(atA, 'from.a')
    publishing(atB, 'from.b')
    await Promise.all([goesOn(seenByA), goesOn(seenByB)])
    way.shut()
    const timer = setTimeout(() => way.open(), 8_000)
    onTestFinished(() => clearTimeout(timer))
    await readyIs(b, 503)
    await readyIs(b, 200)
    await Promise.all([goesOn(seenByA), goesOn(seenByB)])
    expect(seenByA).toContain('link')
    expect(seenByB).toContain('link')
    expect([...faultsOf(seenByA), ...faultsOf(seenByB)]).toEqual([])
  })
})
