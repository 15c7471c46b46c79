import { describe, expect, it } from 'vitest'
import type { Broker } from '../../server/broker/broker.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import { dataOf, leaseFrom, publishTo, settleAt, streamOptions } from '../setup/brokers.ts'
import { command, redisOf } from '../setup/cluster.ts'
import { brokerAt } from '../setup/redis-node.ts'
import { range } from '../setup/streams.ts'

// Something in Redis was damaged, by hand or by a fault: it costs itself, and nothing after it

type Act = (...command: [string, ...string[]]) => Promise<unknown>

const QUEUES = ['q', 'other'] as const

async function brokerWithQueues(): Promise<{ broker: Broker & { readonly remote: { damaged: number } }; act: Act }> {
  const redis = await redisOf()
  const broker = await brokerAt(redis.url)
  for (const name of QUEUES)
    await broker.declareQueue({ name, bindings: [], ...QUEUE_DEFAULTS, maxBytes: 1_000_000 }, false)
  return { broker, act: (name, ...args) => command(redis, name, ...args) }
}

interface More {
  readonly key?: string
  readonly queue?: string
  readonly priority?: number
}

const enqueue = (broker: Broker, data: unknown, { queue = 'q', ...more }: More = {}) =>
  publishTo(broker, { topic: 't', data, streams: [], queues: [queue], ...more })

/** Consumes everything that comes, and gives its data. */
async function consumed(broker: Broker, queue = 'q'): Promise<unknown[]> {
  const seen: unknown[] = []
  const isEmpty = async () => (await broker.queues([queue])).every(({ depth, inFlight }) => depth + inFlight === 0)
  for (let idle = 0; idle < 200 && !(await isEmpty()); idle++) {
    for (const delivery of await leaseFrom(broker, queue, 4)) {
      seen.push(JSON.parse(String(delivery.wire)).data)
      await settleAt(broker, delivery, { kind: 'ack' }, { queue })
    }
  }
  return seen.sort()
}

/** The queue q is the first of all declarations. */
const at = (part: string) => `{test}:q:1${part}`

const HEADERS: [string, (act: Act) => Promise<unknown>][] = [
  ['is gone', (act) => act('HDEL', at(':h'), '3')],
  ['was cut', (act) => act('HSET', at(':h'), '3', 'xx')],
  ['was overwritten', (act) => act('HSET', at(':h'), '3', '\x7f'.repeat(60))],
  ['is gone, like all others', (act) => act('DEL', at(':h'))],
]

const BODIES: [string, (act: Act) => Promise<unknown>][] = [
  ['is gone', (act) => act('HDEL', at(':m'), '3')],
  ['is empty', (act) => act('HSET', at(':m'), '3', '')],
  ['was overwritten', (act) => act('HSET', at(':m'), '3', 'rubbish')],
  ['says another length', (act) => act('HSET', at(':m'), '3', `1\n\n0\n\n${'\0'.repeat(40)}`)],
]

describe('a message of a queue in Redis', () => {
  // A plain message is stored in another way than one with a key or a priority.
  for (const [kind, more] of [
    ['', { priority: 5 }],
    ['of a group, ', { key: 'k' }],
  ] as const) {
    it.each(HEADERS)(`${kind}whose header %s is delivered, and those after it`, async (_, damage) => {
      const { broker, act } = await brokerWithQueues()
      for (const n of range(0, 7)) await enqueue(broker, n, more)
      await damage(act)
      expect(await consumed(broker)).toEqual(range(0, 7))
    })

    it.each(BODIES)(`${kind}whose body %s is set aside, and those after it are delivered`, async (_, damage) => {
      const { broker, act } = await brokerWithQueues()
      for (const n of range(0, 7)) await enqueue(broker, n, more)
      await damage(act)
      expect(await consumed(broker)).toEqual([0, 1, 2, 4, 5, 6])
      expect(broker.remote.damaged).toBe(1)
      expect(await act('HEXISTS', '{test}:unreadable', '1:3')).toBe(1)
      expect(await broker.queues(['q'])).toMatchObject([{ depth: 0, bytes: 0, droppedTotal: 1 }])
    })
  }

  it.each([...HEADERS, ...BODIES])('that %s can be purged with the others', async (_, damage) => {
    const { broker, act } = await brokerWithQueues()
    for (const n of range(0, 7)) await enqueue(broker, n, { key: `k${n % 2}` })
    await damage(act)
    expect(await broker.purgeQueue('q')).toBe(7)
    expect(await broker.queues(['q'])).toMatchObject([{ depth: 0, ready: 0, inFlight: 0, bytes: 0 }])
    await enqueue(broker, 'next', { key: 'k0' })
    expect(await consumed(broker)).toEqual(['next'])
  })

  it.each([
    ['rubbish', 3],
    ['', 0],
    ['3\n', 3],
    [`3\n${'\x7f'.repeat(80)}`, 6],
  ])(
    'that is plain and was overwritten with %j is set aside, and those after it are delivered',
    async (value, place) => {
      const { broker, act } = await brokerWithQueues()
      for (const n of range(0, 7)) await enqueue(broker, n)
      await act('LSET', at(':n'), String(place), value)
      expect(await broker.queues(['q'])).toMatchObject([{ depth: 7 }])
      expect(await consumed(broker)).toEqual(range(0, 7).filter((n) => n !== place))
      expect(broker.remote.damaged).toBe(1)
      expect(await act('HVALS', '{test}:unreadable')).toEqual([value])
      expect(await broker.queues(['q'])).toMatchObject([{ depth: 0, bytes: 0, droppedTotal: 1 }])
    },
  )

  it('that is plain and was damaged is purged, dead-lettered by overflow, or settled like the others', async () => {
    const { broker, act } = await brokerWithQueues()
    for (const n of range(0, 7)) await enqueue(broker, n)
    await act('LSET', at(':n'), '2', 'x')
    const [first, second] = await leaseFrom(broker, 'q', 2)
    await act('HSET', at(':nl'), '0', 'x')
    await act('HDEL', at(':nl'), '1')
    for (const delivery of [first, second]) {
      if (delivery) await settleAt(broker, delivery, { kind: 'nack', error: 'no', delayMs: 0 })
    }
    expect(await broker.queues(['q'])).toMatchObject([{ depth: 5, inFlight: 0 }])
    expect(await broker.purgeQueue('q')).toBe(5)
    expect(await broker.queues(['q'])).toMatchObject([{ depth: 0, bytes: 0 }])
  })

  it.each([
    ['was overwritten', () => 'rubbish'],
    ['is empty', () => ''],
    ['was cut', (batch: string) => batch.slice(0, -100)],
    ['says another length', (batch: string) => batch.replace(/^(\d+ \d+ \d+ \d+ \d+ \d+) \d+/, '$1 7')],
    ['says another count', (batch: string) => batch.replace(/^(\d+) \d+/, '$1 9')],
  ])('whose batch %s is set aside with it, and those of other batches are delivered', async (_, damage) => {
    const { broker, act } = await brokerWithQueues()
    await Promise.all(range(0, 150).map((n) => enqueue(broker, n)))
    const batches = (await act('LRANGE', at(':n'), '0', '-1')) as string[]
    const [first = 0, count = 0] = (batches[1] as string).split(' ').map(Number)
    await act('LSET', at(':n'), '1', damage(batches[1] as string))
    const left = range(0, 150).filter((n) => n < first || n >= first + count)
    expect(new Set(await consumed(broker))).toEqual(new Set(left))
    expect(await act('HLEN', '{test}:unreadable')).toBe(1)
    expect(await broker.queues(['q'])).toMatchObject([{ depth: 0, ready: 0, bytes: 0, droppedTotal: count }])
  })

  it('whose batch is damaged while it is on lease is set aside, and those of other batches are settled', async () => {
    const { broker, act } = await brokerWithQueues()
    await Promise.all(range(0, 150).map((n) => enqueue(broker, n)))
    const deliveries = await leaseFrom(broker, 'q', 150)
    await act('HSET', at(':nl'), '0', 'rubbish')
    await act('DEL', at(':nc'))
    const settled = deliveries.map((delivery, n) =>
      settleAt(broker, delivery, n % 2 === 0 ? { kind: 'ack' } : { kind: 'nack', error: 'no', delayMs: 0 }),
    )
    await Promise.all(settled)
    const left = await consumed(broker)
    expect(left.every((n) => Number(n) % 2 === 1 && Number(n) >= 11)).toBe(true)
    expect(left.length).toBeGreaterThan(30)
    expect(await broker.queues(['q'])).toMatchObject([{ depth: 0, inFlight: 0, bytes: 0 }])
    expect(await act('HGET', '{test}:unreadable', '1:leased-0')).toBe('rubbish')
  })

  it('whose list of batches was deleted is gone, and the queue goes on', async () => {
    const { broker, act } = await brokerWithQueues()
    await Promise.all(range(0, 20).map((n) => enqueue(broker, n)))
    await act('DEL', at(':n'))
    expect(await leaseFrom(broker)).toEqual([])
    await enqueue(broker, 'next')
    expect(await consumed(broker)).toEqual(['next'])
    expect(await broker.queues(['q'])).toMatchObject([{ depth: 0, bytes: 0, droppedTotal: 20 }])
  })

  it('whose group, or failure, cannot be read is delivered in its order', async () => {
    const { broker, act } = await brokerWithQueues()
    for (const n of range(0, 6)) await enqueue(broker, n, { key: 'k' })
    await act('HSET', at(':g'), 'k', 'x')
    await act('HSET', at(':f'), '2', 'x')
    const seen: unknown[] = []
    while (seen.length < 6) {
      for (const delivery of await leaseFrom(broker, 'q', 4)) {
        seen.push(JSON.parse(String(delivery.wire)).data)
        await settleAt(broker, delivery, { kind: 'ack' })
      }
    }
    expect(seen).toEqual(range(0, 6))
  })
})

const SPOILT: [string, (act: Act) => Promise<unknown>][] = [
  ['state is gone', (act) => act('DEL', at(''))],
  ['state is of another type', async (act) => [await act('DEL', at('')), await act('SET', at(''), 'x')]],
  ['figures cannot be read', (act) => act('HSET', at(''), 'c', 'x')],
  ['options cannot be read', (act) => act('HSET', at(''), 'o', 'x')],
  ['messages are of another type', async (act) => [await act('DEL', at(':m')), await act('SET', at(':m'), 'x')]],
  ['line is of another type', async (act) => [await act('DEL', at(':r')), await act('SET', at(':r'), 'x')]],
]

describe('a queue in Redis', () => {
  it.each(SPOILT)('whose %s takes nothing, and others go on; it can be declared again', async (_, damage) => {
    const { broker, act } = await brokerWithQueues()
    for (const n of range(0, 3)) await enqueue(broker, n, { priority: 5 })
    await damage(act)
    // The one that finds the damage may not know how it ended.
    await enqueue(broker, 3, { priority: 5 }).catch(() => {})
    const both = [enqueue(broker, 4, { priority: 5 }), enqueue(broker, 5, { queue: 'other' })]
    const [here, there] = await Promise.allSettled(both)
    expect(here).toMatchObject({ status: 'rejected', reason: { code: 'data_damaged' } })
    expect(there).toMatchObject({ status: 'fulfilled' })
    expect(await consumed(broker, 'other')).toEqual([5])
    await broker.deleteQueue('q')
    await broker.declareQueue({ name: 'q', bindings: [], ...QUEUE_DEFAULTS, maxBytes: 1_000_000 }, false)
    await enqueue(broker, 6)
    expect(await consumed(broker)).toEqual([6])
  })
})

const inStream = (part: string) => `{test}:s:3${part}`

const BLOCKS: [string, (act: Act) => Promise<unknown>][] = [
  ['head is gone', (act) => act('HDEL', inStream(':b'), 'h1')],
  ['head cannot be read', (act) => act('HSET', inStream(':b'), 'h1', '{"s":1,"p":2}')],
  ['records are gone', (act) => act('HDEL', inStream(':b'), '1')],
  ['records were cut', (act) => act('HSET', inStream(':b'), '1', 'rubbish')],
  ['records say another length', (act) => act('HSET', inStream(':b'), '1', '\0'.repeat(60))],
]

describe('a block of a stream in Redis', () => {
  it.each(BLOCKS)('whose %s is reported to its readers, and stops neither others nor retention', async (_, damage) => {
    const { broker, act } = await brokerWithQueues()
    await broker.declareStream(streamOptions({ maxMessages: 6 }), false)
    const publish = (n: number) => publishTo(broker, { topic: 't', data: n, streams: ['s'] })
    for (const n of range(0, 4)) await publish(n)
    await damage(act)
    // Another node: this one may have kept the block.
    expect((await broker.read('s', 0))?.count).toBe(1)
    await expect(broker.read('s', 1)).rejects.toMatchObject({
      code: 'data_damaged',
      message: expect.stringContaining('offset 2'),
    })
    expect(await dataOf(broker, 's').catch(({ code }) => code)).toBe('data_damaged')
    expect((await broker.read('s', 2))?.firstOffset).toBe(2)
    for (const n of range(4, 12)) await publish(n)
    expect(broker.stream('s')).toMatchObject({ first: 6, next: 12 })
    expect(await dataOf(broker, 's')).toEqual(range(6, 12))
  })

  it.each(BLOCKS)('whose %s is left out of the last values, if lastValue is switched on later', async (_, damage) => {
    const { broker, act } = await brokerWithQueues()
    await broker.declareStream(streamOptions(), false)
    for (const n of range(0, 6)) await publishTo(broker, { topic: 't', key: `k${n % 4}`, data: n, streams: ['s'] })
    await damage(act)
    await broker.declareStream(streamOptions({ lastValue: true }), true)
    // 5 has replaced the one that cannot be read.
    expect(await broker.newest('s', ['t'], 10)).toEqual([2, 3, 4, 5])
  })

  it.each(BLOCKS)('whose %s stays, and others lose the values that newer ones have replaced', async (_, damage) => {
    const { broker, act } = await brokerWithQueues()
    await broker.declareStream(streamOptions({ lastValue: true }), false)
    const put = (key: string) => publishTo(broker, { topic: 't', key, data: 1, streams: ['s'] })
    for (const n of range(0, 4)) await put(`k${n}`)
    await damage(act)
    await Promise.all(range(0, 3000).map(() => put('k')))
    await expect.poll(() => broker.stream('s')?.bytes).toBeLessThan(10_000)
    expect((await broker.read('s', 2))?.lastOffset).toBe(3003)
  })
})

describe('a stream in Redis', () => {
  it.each([
    ['state is gone', (act: Act) => act('DEL', inStream(''))],
    [
      'blocks are of another type',
      async (act: Act) => [await act('DEL', inStream(':b')), await act('SET', inStream(':b'), 'x')],
    ],
    [
      'topics are of another type',
      async (act: Act) => [await act('DEL', inStream(':t')), await act('SET', inStream(':t'), 'x')],
    ],
  ] satisfies typeof SPOILT)('whose %s takes nothing, and others go on', async (_, damage) => {
    const { broker, act } = await brokerWithQueues()
    await broker.declareStream(streamOptions(), false)
    await broker.declareStream(streamOptions({ name: 'well' }), false)
    const publish = (stream: string) => publishTo(broker, { topic: 't', data: 1, streams: [stream] })
    await publish('s')
    await damage(act)
    await publish('s').catch(() => {})
    const [here, there, queued] = await Promise.allSettled([publish('s'), publish('well'), enqueue(broker, 1)])
    expect(here).toMatchObject({ status: 'rejected', reason: { code: 'data_damaged' } })
    expect(there).toMatchObject({ status: 'fulfilled' })
    expect(queued).toMatchObject({ status: 'fulfilled' })
    expect(await broker.streams(['s'])).toMatchObject([{ first: 0, next: 1 }])
    await broker.deleteStream('s')
    await broker.declareStream(streamOptions(), false)
    expect((await publish('s')).positions['s']?.offset).toBe(0)
  })
})

it('a node whose lessee was deleted leases again by itself', async () => {
  const { broker, act } = await brokerWithQueues()
  await enqueue(broker, 1)
  await act('DEL', '{test}:lessees')
  await expect.poll(async () => (await leaseFrom(broker)).length, { timeout: 10_000 }).toBe(1)
})
