import { expect, it } from 'vitest'
import type { Broker } from '../../server/broker/broker.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import { leaseFrom, onEveryBroker, publishTo } from '../setup/brokers.ts'
import { range } from '../setup/streams.ts'

const blocking = (more: Partial<QueueOptions> = {}): QueueOptions => ({
  ...QUEUE_DEFAULTS,
  name: 'q',
  bindings: [],
  maxMessages: 1,
  overflow: 'block',
  ...more,
})

onEveryBroker('publishes that wait for room, where the queue changes,', (brokers) => {
  /** A full queue, and publishes that wait for it. */
  async function waiting(count: number) {
    const { broker } = await brokers.open()
    await broker.declareQueue(blocking(), false)
    const publish = (n: number, owner?: object) =>
      publishTo(broker, { topic: 't', data: n, streams: [], queues: ['q'], ...(owner && { owner }) }).then(
        () => 'kept',
        ({ code }) => code as string,
      )
    await publish(0)
    const receipts = range(1, count + 1).map((n) => publish(n))
    await broker.purgeDeadLetters('q', { letters: [] })
    expect(broker.waiting.count).toBe(count)
    return { broker, publish, receipts }
  }
  const dataOf = async (broker: Broker) =>
    (await leaseFrom(broker)).map(({ wire }) => (JSON.parse(wire as string) as { data: number }).data)

  it('are refused when it rejects from now on', async () => {
    const { broker, receipts } = await waiting(3)
    await broker.declareQueue(blocking({ overflow: 'reject' }), true)
    expect(await Promise.all(receipts)).toEqual(['queue_limit', 'queue_limit', 'queue_limit'])
    expect(broker.waiting).toMatchObject({ count: 0, bytes: 0 })
  })

  it('go in, in order, when it drops the oldest from now on', async () => {
    const { broker, receipts } = await waiting(3)
    await broker.declareQueue(blocking({ overflow: 'drop-oldest', maxMessages: 2 }), true)
    expect(await Promise.all(receipts)).toEqual(['kept', 'kept', 'kept'])
    expect(await dataOf(broker)).toEqual([2, 3])
  })

  it('go in as far as it has more room, and are refused when they can never fit', async () => {
    const { broker, receipts } = await waiting(4)
    await broker.declareQueue(blocking({ maxMessages: 3 }), true)
    expect(await Promise.all(receipts.slice(0, 2))).toEqual(['kept', 'kept'])
    await broker.declareQueue(blocking({ maxMessages: 1 }), true)
    expect(broker.waiting.count).toBe(2)
    await broker.declareQueue(blocking({ maxBytes: 10 }), true)
    expect(await Promise.all(receipts.slice(2))).toEqual(['queue_limit', 'queue_limit'])
    expect(await dataOf(broker)).toEqual([0, 1, 2])
  })

  it('are kept or withdrawn, each once, when their publisher goes before they are looked at', async () => {
    const { broker, publish } = await waiting(1)
    const owner = {}
    // The queue is full for the first, and what comes after it would overtake it if it was published again.
    const receipts = [publish(7, owner), publishTo(broker, { topic: 't', data: 8, streams: [], owner })]
    broker.withdraw(owner)
    expect(await receipts[0]).toBe('connection_lost')
    await expect(receipts[1]).rejects.toMatchObject({ code: 'connection_lost' })
    // One that has nothing to wait for is kept.
    const other = {}
    const kept = publishTo(broker, { topic: 'u', data: 9, streams: [], owner: other })
    broker.withdraw(other)
    expect(await kept).toMatchObject({ duplicate: false })
    expect(broker.waiting.count).toBe(1)
  })

  it('leave nothing behind, thousands of them of many publishers', async () => {
    const { broker, publish, receipts } = await waiting(1)
    const publishers = range(0, 20).map(() => ({}))
    const all = range(0, 4000).map((n) => publish(n, publishers[n % 20] as object))
    await broker.purgeDeadLetters('q', { letters: [] })
    for (const publisher of publishers) broker.withdraw(publisher)
    expect(new Set(await Promise.all(all))).toEqual(new Set(['connection_lost']))
    await broker.purgeQueue('q')
    expect(await Promise.all(receipts)).toEqual(['kept'])
    expect(broker.waiting).toMatchObject({ count: 0, bytes: 0 })
  })
})
