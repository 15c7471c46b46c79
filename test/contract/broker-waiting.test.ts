import { expect, it } from 'vitest'
import type { Broker, Delivery } from '../../server/broker/broker.ts'
import { DEFAULT_MAX_BYTES } from '../../server/broker/rules/declarations.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import { draftOf, leaseFrom, onEveryBroker, publishTo, settleAt } from '../setup/brokers.ts'
import { range } from '../setup/streams.ts'

const blocking = (more: Partial<QueueOptions> = {}): QueueOptions => ({
  ...QUEUE_DEFAULTS,
  maxBytes: DEFAULT_MAX_BYTES.disk,
  name: 'q',
  bindings: [],
  maxMessages: 1,
  overflow: 'block',
  ...more,
})

onEveryBroker('publishes that wait for room while the queue changes', (brokers) => {
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
    await broker.purgeDeadLetters('q', [])
    expect(broker.waiting.count).toBe(count)
    return { broker, publish, receipts }
  }
  const dataOf = async (broker: Broker) =>
    (await leaseFrom(broker)).map(({ wire }) => (JSON.parse(wire as string) as { data: number }).data)

  it('are refused when it now rejects', async () => {
    const { broker, receipts } = await waiting(3)
    await broker.declareQueue(blocking({ overflow: 'reject' }), true)
    expect(await Promise.all(receipts)).toEqual(['queue_limit', 'queue_limit', 'queue_limit'])
    expect(broker.waiting).toMatchObject({ count: 0, bytes: 0 })
  })

  it('are stored, in order, when it now drops the oldest', async () => {
    const { broker, receipts } = await waiting(3)
    await broker.declareQueue(blocking({ overflow: 'drop-oldest', maxMessages: 2 }), true)
    expect(await Promise.all(receipts)).toEqual(['kept', 'kept', 'kept'])
    expect(await dataOf(broker)).toEqual([2, 3])
  })

  it('are stored as far as it has more room, and refused when they can never fit', async () => {
    const { broker, receipts } = await waiting(4)
    await broker.declareQueue(blocking({ maxMessages: 3 }), true)
    expect(await Promise.all(receipts.slice(0, 2))).toEqual(['kept', 'kept'])
    await broker.declareQueue(blocking({ maxMessages: 1 }), true)
    expect(broker.waiting.count).toBe(2)
    await broker.declareQueue(blocking({ maxBytes: 10 }), true)
    expect(await Promise.all(receipts.slice(2))).toEqual(['queue_limit', 'queue_limit'])
    expect(await dataOf(broker)).toEqual([0, 1, 2])
  })

  it('are stored or withdrawn, each once, when their publisher leaves before they are handled', async () => {
    const { broker, publish } = await waiting(1)
    const owner = {}
    // The queue is full for the first, and whatever comes after it would overtake it if it were published again.
    const receipts = [publish(7, owner), publishTo(broker, { topic: 't', data: 8, streams: [], owner })]
    broker.withdraw(owner)
    expect(await receipts[0]).toBe('connection_lost')
    await expect(receipts[1]).rejects.toMatchObject({ code: 'connection_lost' })
    // One that has nothing to wait for is stored.
    const other = {}
    const kept = publishTo(broker, { topic: 'u', data: 9, streams: [], owner: other })
    broker.withdraw(other)
    expect(await kept).toMatchObject({ duplicate: false })
    expect(broker.waiting.count).toBe(1)
  })

  it('are stored once an ack that publishes has made room, although nothing follows', async () => {
    const { broker, receipts } = await waiting(2)
    for (const receipt of receipts) {
      const [delivery] = (await leaseFrom(broker)) as [Delivery]
      const publishes = draftOf(broker, { topic: 'u', streams: [] }, { kept() {}, refused() {} })
      await settleAt(broker, delivery, { kind: 'ack' }, { drafts: [publishes] })
      expect(await receipt).toBe('kept')
    }
  })

  it('leave nothing behind, even thousands of them from many publishers', async () => {
    const { broker, publish, receipts } = await waiting(1)
    const publishers = range(0, 20).map(() => ({}))
    const all = range(0, 4000).map((n) => publish(n, publishers[n % 20] as object))
    await broker.purgeDeadLetters('q', [])
    for (const publisher of publishers) broker.withdraw(publisher)
    expect(new Set(await Promise.all(all))).toEqual(new Set(['connection_lost']))
    await broker.purgeQueue('q')
    expect(await Promise.all(receipts)).toEqual(['kept'])
    expect(broker.waiting).toMatchObject({ count: 0, bytes: 0 })
  })
})
