import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { BrokerEvents } from '../../server/broker/broker.ts'
import { dataOf, leaseFrom, publishNumbers, publishTo, settleAt, streamOptions } from '../setup/brokers.ts'
import { command, durableRedis, redisOf, SLOW, wayTo } from '../setup/cluster.ts'
import { FlakyNetwork } from '../setup/flaky-network.ts'
import { freePort } from '../setup/free-port.ts'
import { brokerAt, brokerOn, linkTo } from '../setup/redis-node.ts'
import { range } from '../setup/streams.ts'

// What several nodes with one Redis are to each other

/** What a node hears of messages: their data, and from which offset it has missed some. */
function heard(): { readonly seen: unknown[]; readonly events: Partial<BrokerEvents> } {
  const seen: unknown[] = []
  const events: Partial<BrokerEvents> = {
    messages: (batch) => {
      for (const { wire } of batch) seen.push(JSON.parse(wire as string).data)
    },
    missed: (streams) => void seen.push(`missed from ${streams.get('s')}`),
  }
  return { seen, events }
}

describe('nodes with one Redis', () => {
  it('have the same log, each message once and in one order', async () => {
    const redis = await redisOf()
    const [one, other] = [heard(), heard()]
    const a = await brokerAt(redis.url, one)
    const b = await brokerAt(redis.url, other)
    await a.declareStream(streamOptions(), false)
    await expect.poll(() => b.stream('s')).toBeDefined()
    await Promise.all(range(0, 50).map((n) => publishTo(n % 2 ? a : b, { topic: 't', data: n })))
    const last = await Promise.all([a, b].map((broker) => publishTo(broker, { topic: 't', data: 'last', id: 'x' })))
    expect(last.map(({ duplicate }) => duplicate).sort()).toEqual([false, true])
    await expect.poll(() => [one.seen.length, other.seen.length]).toEqual([51, 51])
    expect(other.seen).toEqual(one.seen)
    expect(await dataOf(a)).toEqual(one.seen)
    expect(await dataOf(b)).toEqual(one.seen)
  })

  it('has drafts of one node routed by what another one has just declared', async () => {
    const redis = await redisOf()
    const [a, b] = [await brokerAt(redis.url), await brokerAt(redis.url)]
    for (const name of ['s', 'second', 'third']) {
      await a.declareStream(streamOptions({ name }), false)
      // The route of this draft was made before b has heard of it.
      await publishTo(b, { topic: 't', data: name, streams: [] })
      expect(b.stream(name)).toBeDefined()
    }
  })

  it('a node that was cut off reports from where it missed messages, and has them in its log', async () => {
    const redis = await redisOf()
    const way = await wayTo(redis)
    const { seen, events } = heard()
    const a = await brokerAt(redis.url)
    const b = await brokerAt(way.redisUrl, { events })
    await a.declareStream(streamOptions(), false)
    await publishNumbers(a, 0, 3)
    await expect.poll(() => seen).toEqual([0, 1, 2])
    way.shut()
    await publishNumbers(a, 3, 6)
    way.open()
    await expect.poll(() => b.stream('s')?.next).toBe(6)
    await publishNumbers(a, 6, 8)
    await expect.poll(() => seen).toEqual([0, 1, 2, 'missed from 3', 6, 7])
    expect(await dataOf(b)).toEqual(range(0, 8))
  })

  it.each([0, 1])(
    'what is published while a node reads a state with new epochs is reported after it, with %i replicas',
    async (replicas) => {
      // It may have lost something when it was killed.
      const redis = await durableRedis('--appendfsync', 'everysec')
      const replica = await durableRedis('--replicaof', '127.0.0.1', `${redis.port}`)
      await expect.poll(() => command(replica, 'INFO', 'replication')).toContain('master_link_status:up')
      const { seen, events } = heard()
      const publisher = await brokerAt(redis.url, { replicas })
      const link = linkTo(redis.url, { replicas })
      const reader = await brokerOn(link, { replicas, events })
      await publisher.declareStream(streamOptions(), false)
      await publishNumbers(publisher, 0, 3)
      await expect.poll(() => seen).toEqual([0, 1, 2])
      const epoch = reader.stream('s')?.epoch
      const held = link.holdState()
      await redis.stop()
      await redis.start()
      const release = await held
      await expect.poll(() => publisher.stream('s')?.epoch).not.toBe(epoch)
      await publishNumbers(publisher, 3, 4)
      // What Redis has told this node before it answers has arrived with the answer.
      await link.check()
      release()
      await expect.poll(() => seen).toEqual([0, 1, 2, 'missed from undefined', 3])
      expect(reader.stream('s')?.epoch).not.toBe(epoch)
    },
  )

  it('a node goes to the new epochs when another one finds out that Redis has lost commits', async () => {
    const redis = await redisOf()
    const finder = await brokerAt(redis.url)
    await finder.declareStream(streamOptions(), false)
    const [node] = (await command(redis, 'ZRANGE', '{test}:nodes', '0', '-1')) as string[]
    const { seen, events } = heard()
    const other = await brokerAt(redis.url, { events })
    await publishNumbers(finder, 0, 1)
    await expect.poll(() => seen).toEqual([0])
    const epoch = other.stream('s')?.epoch
    await command(redis, 'HINCRBY', `{test}:n:${node}`, 'seq', '-1')
    await publishTo(finder, { topic: 't', data: 1, id: 'one' })
    await expect.poll(() => finder.stream('s')?.epoch).not.toBe(epoch)
    await expect.poll(() => other.stream('s')?.epoch).toBe(finder.stream('s')?.epoch)
    await publishNumbers(finder, 2, 3)
    await expect.poll(() => seen.at(-1)).toBe(2)
    expect(await dataOf(other)).toEqual([0, 1, 2])
  })

  it('a node hears a commit with messages of many streams, in order', async () => {
    const redis = await redisOf()
    const { seen, events } = heard()
    const a = await brokerAt(redis.url)
    const b = await brokerAt(redis.url, { events })
    for (const name of ['s', 'z']) await a.declareStream(streamOptions({ name, topics: [name] }), false)
    await Promise.all(range(0, 40).map((n) => publishTo(a, { topic: 't', data: n, streams: [n % 2 ? 's' : 'z'] })))
    await publishTo(a, { topic: 't', data: 40, streams: ['s', 'z'] })
    await expect.poll(() => seen).toEqual(range(0, 41))
    expect(await dataOf(b)).toEqual([...range(0, 40).filter((n) => n % 2), 40])
  })

  it('a node whose connections hang makes new ones, and has what it missed', async () => {
    const redis = await redisOf()
    const way = await wayTo(redis)
    const a = await brokerAt(redis.url)
    const b = await brokerAt(way.redisUrl)
    await a.declareStream(streamOptions(), false)
    await expect.poll(() => b.stream('s')).toBeDefined()
    way.hold()
    await publishNumbers(a, 0, 3)
    // New connections are not held.
    await expect.poll(() => b.stream('s')?.next, { timeout: 20_000 }).toBe(3)
  }, 30_000)

  it('a publish whose connection is cut at any moment is kept once, and answered', async () => {
    const redis = await redisOf()
    const way = await wayTo(redis)
    const broker = await brokerAt(way.redisUrl)
    await broker.declareStream(streamOptions(), false)
    const kept: Promise<unknown>[] = []
    for (let n = 0; n < 200; n++) {
      kept.push(publishTo(broker, { topic: 't', data: n }))
      if (n % 3 === 0) await new Promise((resolve) => setTimeout(resolve, n % 7))
      if (n % 20 === 10) way.cut()
    }
    await Promise.all(kept)
    expect(await dataOf(broker)).toEqual(range(0, 200))
  }, 30_000)

  it('a lease whose answer was lost with its connection is the same lease, and has its messages', async () => {
    const redis = await redisOf()
    const way = await FlakyNetwork.to(redis.port)
    onTestFinished(() => way.close())
    const broker = await brokerAt(way.url.replace('ws:', 'redis:'))
    const failing = { ackDeadlineMs: 30_000, maxAttempts: 3, backoffBaseMs: 0, backoffCapMs: 0 }
    const limits = { maxMessages: 100, maxBytes: 1e6, overflow: 'reject', maxDeadLetters: 100 } as const
    const ends = { onExpiry: 'drop', onDeadLetter: 'continue' } as const
    await broker.declareQueue({ name: 'q', bindings: [], ...failing, ...limits, ...ends }, false)
    // Redis has the script before its answers are held.
    await leaseFrom(broker)
    for (const data of [0, 1, 2]) await publishTo(broker, { topic: 't', data, streams: [], queues: ['q'] })
    way.holdReplies()
    const leasing = leaseFrom(broker)
    await expect.poll(() => command(redis, 'ZCARD', '{test}:q:1:r')).toBe(0)
    way.refuse()
    way.allow()
    const leased = await leasing
    expect(leased.map(({ wire }) => JSON.parse(wire as string).data)).toEqual([0, 1, 2])
    expect(leased.map(({ attempt }) => attempt)).toEqual([1, 1, 1])
    await Promise.all(leased.map((delivery) => settleAt(broker, delivery, { kind: 'ack' })))
    expect(await leaseFrom(broker)).toEqual([])
  }, 30_000)

  it.runIf(SLOW)(
    'what follows a publish whose answer never came is kept, although that was kept',
    async () => {
      const redis = await redisOf()
      const way = await FlakyNetwork.to(redis.port)
      onTestFinished(() => way.close())
      const broker = await brokerAt(way.url.replace('ws:', 'redis:'))
      await broker.declareStream(streamOptions(), false)
      const publish = (data: number) =>
        publishTo(broker, { topic: 't', data }).then(
          () => 'kept',
          ({ code }) => code,
        )
      way.holdReplies()
      const first = publish(0)
      await expect.poll(() => command(redis, 'HGET', '{test}:s:1', 'next')).toBe('1')
      way.refuse()
      expect(await first).toBe('outcome_unknown')
      expect(await publish(1)).toBe('cluster_unreachable')
      way.allow()
      expect(await publish(2)).toBe('kept')
      expect(await dataOf(broker)).toEqual([0, 2])
    },
    30_000,
  )

  it.runIf(SLOW)(
    'what a publisher has sent after a publish that failed fails with it, or would overtake it when both come again',
    async () => {
      const redis = await redisOf()
      const way = await wayTo(redis)
      const broker = await brokerAt(way.redisUrl)
      await broker.declareStream(streamOptions(), false)
      const publish = (data: number, owner: object, topic = 't') =>
        publishTo(broker, { topic, data, owner }).then(
          () => 'kept',
          ({ code }) => code,
        )
      const [one, other] = [{}, {}]
      way.shut()
      const failed = publish(0, one)
      await new Promise((resolve) => setTimeout(resolve, 100))
      const later = [publish(1, one), publish(2, one, 'u'), publish(3, other)]
      expect(['cluster_unreachable', 'outcome_unknown']).toContain(await failed)
      way.open()
      expect(await Promise.all(later)).toEqual(['cluster_unreachable', 'kept', 'kept'])
      expect(await dataOf(broker)).toEqual([2, 3])
    },
    30_000,
  )

  it('nothing is answered or heard before the replicas have it', async () => {
    const redis = await redisOf()
    const replica = await redisOf('--replicaof', '127.0.0.1', `${redis.port}`)
    await expect.poll(() => command(redis, 'INFO', 'replication')).toContain('state=online')
    const { seen, events } = heard()
    const a = await brokerAt(redis.url, { replicas: 1 })
    await brokerAt(redis.url, { replicas: 1, events })
    await a.declareStream(streamOptions(), false)
    await publishNumbers(a, 0, 2)
    await expect.poll(() => seen).toEqual([0, 1])
    replica.signal('SIGSTOP')
    let answered = false
    const kept = publishTo(a, { topic: 't', data: 2 }).then(() => {
      answered = true
    })
    await expect.poll(() => command(redis, 'HGET', '{test}:s:1', 'next')).toBe('3')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect([answered, seen]).toEqual([false, [0, 1]])
    replica.signal('SIGCONT')
    await kept
    await expect.poll(() => seen).toEqual([0, 1, 2])
  })

  it('all keys are in one slot of a Redis Cluster', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fanfare-cluster-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const port = String(await freePort())
    const redis = await redisOf('--cluster-enabled', 'yes', '--cluster-port', port, '--dir', folder)
    await command(redis, 'CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await expect.poll(() => command(redis, 'CLUSTER', 'INFO')).toContain('cluster_state:ok')
    const [a, b] = [await brokerAt(redis.url), await brokerAt(redis.url)]
    await a.declareStream(streamOptions({ lastValue: true }), false)
    await publishTo(a, { topic: 't', data: 1, id: 'one' })
    await a.setCursor('s', 'c', 1)
    await a.trimStream('s', 1)
    await expect.poll(() => b.stream('s')).toMatchObject({ first: 1, next: 1 })
    expect(await b.cursor('s', 'c')).toMatchObject({ offset: 1 })
    expect(await b.newest('s', ['#'], 1)).toEqual([])
    await b.deleteStream('s')
    await expect.poll(() => a.stream('s')).toBeUndefined()
  })

  it('a node that is closed leaves nothing for the others to wait for', async () => {
    const redis = await redisOf()
    const [a, b] = [await brokerAt(redis.url), await brokerAt(redis.url)]
    await a.declareStream(streamOptions(), false)
    await publishNumbers(a, 0, 3)
    const nodes = () => command(redis, 'ZCARD', '{test}:nodes')
    expect(await nodes()).toBe(2)
    await a.close()
    expect(await nodes()).toBe(1)
    await expect.poll(() => b.stream('s')?.next).toBe(3)
    await b.close()
    const left = (await command(redis, 'KEYS', '{test}:n*')) as string[]
    expect(left).toEqual([])
  })

  it('a node that cannot reach Redis when it is closed ends, and so does one whose connections hang', async () => {
    const redis = await redisOf()
    for (const break_ of ['shut', 'hold'] as const) {
      const way = await wayTo(redis)
      const broker = await brokerAt(way.redisUrl)
      way[break_]()
      const start = performance.now()
      await broker.close()
      expect(performance.now() - start).toBeLessThan(15_000)
    }
  })
})
