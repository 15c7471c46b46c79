import { describe, expect, it, vi } from 'vitest'
import type { Broker, Delivery } from '../../server/broker/broker.ts'
import type { RedisBroker } from '../../server/broker/redis/redis-broker.ts'
import { DEFAULT_MAX_BYTES } from '../../server/broker/rules/declarations.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import { draftOf, leaseFrom, publishTo, settleAt, streamOptions } from '../setup/brokers.ts'
import { command, redisOf } from '../setup/cluster.ts'
import { brokerAt } from '../setup/redis-node.ts'
import { range } from '../setup/streams.ts'

const FAILURE = { kind: 'nack', error: 'failed', delayMs: undefined } as const

// What several nodes with one Redis do with queues

function queueOptions(more: Partial<QueueOptions> = {}): QueueOptions {
  return { name: 'q', bindings: [], ...QUEUE_DEFAULTS, maxBytes: DEFAULT_MAX_BYTES.disk, ...more }
}

describe('nodes with one Redis', () => {
  it('store a message in hundreds of queues, and few such messages in one step', async () => {
    const redis = await redisOf()
    const operations: number[] = []
    const a = await brokerAt(redis.url, { events: { committed: (commit) => operations.push(commit.operations) } })
    const queues = Array.from({ length: 400 }, (_, n) => `q${n}`)
    await Promise.all(queues.map((name) => a.declareQueue(queueOptions({ name }), false)))
    operations.length = 0
    const kept = await Promise.all(range(0, 20).map((n) => publishTo(a, { topic: 't', data: n, streams: [], queues })))
    expect(kept.map((each) => each.queues.length)).toEqual(kept.map(() => 400))
    // Redis does nothing else during a step, so that a step may not grow with the number of queues.
    expect(Math.max(...operations)).toBeLessThanOrEqual(2)
    expect((await a.queues(['q0', 'q399'])).map(({ depth }) => depth)).toEqual([20, 20])
  })

  it('lease as many as are wanted, also if that takes several steps because they are large', async () => {
    const redis = await redisOf()
    const a = await brokerAt(redis.url)
    await a.declareQueue(queueOptions(), false)
    const data = 'x'.repeat(20_000)
    await Promise.all(range(0, 100).map(() => publishTo(a, { topic: 't', data, streams: [], queues: ['q'] })))
    expect((await leaseFrom(a, 'q', 90)).map(({ seq }) => seq)).toEqual(range(0, 90))
    expect((await a.lease('q', 10, 30_000)).map(({ seq }) => seq)).toEqual([90, 91])
  })

  it('leave no key of a queue that was deleted, leased or not', async () => {
    const redis = await redisOf()
    const a = await brokerAt(redis.url)
    await a.declareQueue(queueOptions({ name: 'other' }), false)
    await publishTo(a, { topic: 't', data: 1, streams: [], queues: ['other'] })
    await leaseFrom(a, 'other')
    const keys = async () => ((await command(redis, 'KEYS', '*')) as string[]).sort()
    const before = await keys()
    const queues = range(0, 5).map((n) => `q${n}`)
    for (const name of queues) await a.declareQueue(queueOptions({ name }), false)
    await Promise.all(range(0, 100).map((n) => publishTo(a, { topic: 't', data: n, streams: [], queues })))
    for (const name of queues) await leaseFrom(a, name, 30)
    for (const name of queues) await a.deleteQueue(name)
    expect(await keys()).toEqual(before)
    const leased = await Promise.all(
      before.filter((key) => /^{test}:l:/.test(key)).map((key) => command(redis, 'SMEMBERS', key)),
    )
    expect(leased).toEqual([['1']])
  })

  it('refuse a message for more than 1,000 streams and queues, and acks with as many', async () => {
    const redis = await redisOf()
    const a = await brokerAt(redis.url)
    const queues = Array.from({ length: 1001 }, (_, n) => `q${n}`)
    await Promise.all(queues.map((name) => a.declareQueue(queueOptions({ name }), false)))
    const refused = { code: 'too_many_places', retry: false }
    await expect(publishTo(a, { topic: 't', data: 1, streams: [], queues })).rejects.toMatchObject(refused)
    const most = { topic: 't', data: 2, streams: [], queues: queues.slice(0, 1000) }
    expect((await publishTo(a, most)).queues.length).toBe(1000)
    const [delivery] = await leaseFrom(a, 'q0', 1)
    const drafts = [0, 1].map(() => draftOf(a, { ...most, queues: queues.slice(0, 501) }, { kept() {}, refused() {} }))
    const ack = { kind: 'ack' } as const
    if (!delivery) throw new Error('nothing was leased')
    await expect(settleAt(a, delivery, ack, { queue: 'q0', drafts })).rejects.toMatchObject(refused)
    expect(await a.queues(['q0', 'q1000'])).toMatchObject([{ inFlight: 1 }, { depth: 0 }])
    await settleAt(a, delivery, ack, { queue: 'q0', drafts: drafts.slice(1) })
  })

  it.each([
    ['drop-oldest', { maxMessages: 10 }],
    ['dead-letter', { maxMessages: 10 }],
    ['drop-oldest', { maxBytes: 1000 }],
  ] as const)(
    'reach a limit that was lowered by much step by step, and take publishes meanwhile: %s, %o',
    async (overflow, limit) => {
      const redis = await redisOf()
      const a = await brokerAt(redis.url)
      await a.declareQueue(queueOptions({ overflow }), false)
      await Promise.all(range(0, 4000).map((n) => publishTo(a, { topic: 't', data: n, streams: [], queues: ['q'] })))
      await a.declareQueue(queueOptions({ overflow, ...limit }), true)
      const depth = async () => (await a.queues(['q']))[0]?.depth ?? 0
      const before = await depth()
      await publishTo(a, { topic: 't', data: 'new', streams: [], queues: ['q'] })
      // One publish does not have to wait for all of it.
      expect(await depth()).toBeGreaterThan(10)
      expect(await depth()).toBeLessThan(before)
      await expect.poll(depth, { timeout: 20_000 }).toBeLessThanOrEqual(10)
      const left = (await leaseFrom(a)).map(({ wire }) => JSON.parse(String(wire)).data)
      expect(left.at(-1)).toBe('new')
      expect(left.slice(0, -1)).toEqual(range(4001 - left.length, 4000))
    },
  )

  const BLOCKING = { overflow: 'block', maxMessages: 1 } as const
  const enqueue = (broker: Broker, data: unknown) => publishTo(broker, { topic: 't', data, streams: [], queues: ['q'] })
  const isKnown = (broker: Broker) => expect.poll(() => broker.queue('q')).toBeDefined()

  it('take turns when publishes of several of them wait for room, wherever the consumers are', async () => {
    const redis = await redisOf()
    const [a, b, c] = [await brokerAt(redis.url), await brokerAt(redis.url), await brokerAt(redis.url)]
    await a.declareQueue(queueOptions(BLOCKING), false)
    await Promise.all([b, c].map(isKnown))
    await enqueue(a, 'full')
    const waiting = [a, b, c].flatMap((broker, node) => range(0, 6).map((n) => enqueue(broker, [node, n])))
    await expect.poll(() => [a, b, c].map(({ waiting }) => waiting.count)).toEqual([6, 6, 6])
    const order: unknown[] = []
    while (order.length < 19) {
      const [delivery] = await leaseFrom(a, 'q', 1)
      if (!delivery) continue
      order.push(JSON.parse(delivery.wire as string).data)
      await settleAt(a, delivery, { kind: 'ack' })
    }
    await Promise.all(waiting)
    const nodes = (order.slice(1) as [number, number][]).map(([node]) => node)
    for (const node of [0, 1, 2]) {
      expect((order.slice(1) as [number, number][]).filter(([of]) => of === node).map(([, n]) => n)).toEqual(
        range(0, 6),
      )
      // None has to wait until the others have nothing more to publish.
      expect(nodes.indexOf(node)).toBeLessThan(9)
    }
  })

  it('let a publish in when the one that waited before it, on another node, has been withdrawn or has lost its node', async () => {
    const redis = await redisOf()
    const [a, b, c] = [await brokerAt(redis.url), await brokerAt(redis.url), await brokerAt(redis.url)]
    await a.declareQueue(queueOptions(BLOCKING), false)
    await Promise.all([b, c].map(isKnown))
    await enqueue(a, 'full')
    const owner = {}
    const withdrawn = publishTo(b, { topic: 't', data: 1, streams: [], queues: ['q'], owner }).catch(({ code }) => code)
    await expect.poll(() => b.waiting.count).toBe(1)
    const kept = enqueue(c, 2)
    await expect.poll(() => c.waiting.count).toBe(1)
    b.withdraw(owner)
    expect(await withdrawn).toBe('connection_lost')
    await a.purgeQueue('q')
    expect(await kept).toMatchObject({ queues: ['q'] })
    const alsoKept = enqueue(b, 3)
    await expect.poll(() => b.waiting.count).toBe(1)
    await c.close()
    await a.purgeQueue('q')
    expect(await alsoKept).toMatchObject({ queues: ['q'] })
  })

  it('store in one step what has waited, as far as there is room', async () => {
    const redis = await redisOf()
    const operations: number[] = []
    const a = await brokerAt(redis.url, { events: { committed: (commit) => operations.push(commit.operations) } })
    await a.declareQueue(queueOptions({ ...BLOCKING, maxMessages: 40 }), false)
    await Promise.all(range(0, 40).map((n) => enqueue(a, n)))
    const waiting = range(40, 80).map((n) => enqueue(a, n))
    await expect.poll(() => a.waiting.count).toBe(40)
    operations.length = 0
    await a.purgeQueue('q')
    await Promise.all(waiting)
    expect(Math.max(...operations)).toBeGreaterThan(20)
    const data = (await leaseFrom(a, 'q', 100)).map(({ wire }) => JSON.parse(wire as string).data)
    expect(data).toEqual(range(40, 80))
  })

  it.each([
    [2, 'fails', (broker: Broker, delivery: Delivery) => settleAt(broker, delivery, FAILURE)],
    [1, 'is given back', async (broker: Broker, { id }: Delivery) => broker.giveBack('q', [id])],
  ])(
    'lease a message again (attempt %i) that %s while an ack with a publish is under way for which there is no memory',
    async (attempt, _, leave) => {
      const redis = await redisOf()
      const broker = await brokerAt(redis.url)
      await broker.declareStream(streamOptions(), false)
      await broker.declareQueue(queueOptions({ backoffBaseMs: 0, backoffCapMs: 0 }), false)
      await enqueue(broker, 1)
      const [delivery] = (await leaseFrom(broker)) as [Delivery]
      const refused = vi.fn()
      const drafts = [draftOf(broker, { topic: 't', data: 2 }, { kept: refused, refused })]
      await command(redis, 'CONFIG', 'SET', 'maxmemory', '1')
      const acked = settleAt(broker, delivery, { kind: 'ack' }, { drafts }).catch(({ code }) => code)
      await leave(broker, delivery)
      expect(await acked).toBe('storage_full')
      await expect.poll(() => leaseFrom(broker)).toMatchObject([{ seq: delivery.seq, attempt }])
    },
  )

  it('take the outcome of the first of two settlements, and refuse the second one only if the first was stored', async () => {
    const broker = await brokerAt((await redisOf()).url)
    await broker.declareQueue(queueOptions(), false)
    await enqueue(broker, 1)
    const [delivery] = (await leaseFrom(broker)) as [Delivery]
    const acked = settleAt(broker, delivery, { kind: 'ack' })
    await expect(settleAt(broker, delivery, FAILURE)).rejects.toMatchObject({ code: 'lease_lost' })
    await acked
    expect((await broker.queues(['q']))[0]).toMatchObject({ depth: 0, inFlight: 0 })
  })

  it.each([
    [
      'a consumer',
      (broker: RedisBroker, all: readonly Delivery[]) =>
        broker.giveBack(
          'q',
          all.map(({ id }) => id),
        ),
    ],
    ['a node that ends', (broker: RedisBroker) => broker.close()],
  ])('get back all that %s had, some at a time', async (_, leave) => {
    const redis = await redisOf()
    const [a, b] = [await brokerAt(redis.url), await brokerAt(redis.url)]
    await a.declareQueue(queueOptions(), false)
    await isKnown(b)
    await Promise.all(range(0, 1_200).map((n) => enqueue(a, n)))
    const leased = await b.lease('q', 1_200, 1e9)
    expect(leased).toHaveLength(1_200)
    void leave(b, leased)
    const again = new Set<number>()
    await expect
      .poll(async () => {
        for (const { wire, attempt } of await leaseFrom(a, 'q', 1_200)) {
          expect(attempt).toBe(1)
          again.add(JSON.parse(wire as string).data)
        }
        return again.size
      })
      .toBe(1_200)
  })
})
