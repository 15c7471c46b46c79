import { expect, it } from 'vitest'
import type { QueueDeclaration } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { QueueReader, untilQueue } from '../setup/queues.ts'
import { Reader } from '../setup/reader.ts'
import { range, streamWorlds } from '../setup/streams.ts'

const SOON = { backoff: { base: 1, cap: 1 } }

onEveryEngine('ack with publishes', (hubs) => {
  const worlds = streamWorlds(hubs)
  const start = (queue: Partial<QueueDeclaration> = {}, more: object = {}) =>
    worlds({ queues: [{ name: 'q', ...SOON, ...(queue as object) }], ...more })

  it('acks and publishes in one step, to queues, streams and subscribers', async () => {
    const { client } = await start({}, { queues: [{ name: 'q' }, { name: 'next', bindings: [{ topic: 's.done' }] }] })
    const live = client().subscribe('#')
    await live.ready
    const publisher = client()
    await publisher.enqueue('q', 1)
    const delivery = await new QueueReader(client(), 'q').next()
    await delivery.ack({
      publish: [
        { topic: 's.done', data: 2, key: 'k' },
        { topic: 'seen', data: 3 },
      ],
    })
    expect(await new Reader(live).data(2)).toEqual([2, 3])
    const next = await new QueueReader(client(), 'next').next()
    expect(next.message).toMatchObject({ data: 2, key: 'k', offsets: { s: 0 } })
    expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 0, inFlight: 0 })
  })

  it('keeps the order with other publishes of the connection, stored or not', async () => {
    const { client, peer } = await start()
    const publisher = client()
    for (const n of range(0, 4)) await publisher.enqueue('q', n)
    const [worker, live] = [await peer(), await peer()]
    await live.subscribe(1, '#')
    worker.send({ type: 'consume', consumer: 1, queue: 'q' })
    const deliveries: number[] = []
    for (const _ of range(0, 4)) deliveries.push((await worker.next('delivery')).delivery)
    for (const topic of ['s.kept', 'not.kept']) {
      const publish = (seq: number, data: string) => ({ type: 'publish', seq, topic, data })
      const ack = (data: string) => ({
        type: 'ack',
        consumer: 1,
        delivery: deliveries.shift(),
        publish: [{ topic, data }],
      })
      worker.send(publish(1, 'a'), ack('b'), publish(2, 'c'), ack('d'), publish(3, 'e'))
      const data: unknown[] = []
      while (data.length < 5) data.push((await live.next('message')).data)
      expect(data).toEqual(['a', 'b', 'c', 'd', 'e'])
    }
    const log = new Reader(client().subscribe('s.#', { from: 'earliest' }))
    expect(await log.data(5)).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('does nothing if one of the destinations has no room; the delivery is still held', async () => {
    const queues = [{ name: 'q' }, { name: 'next', maxMessages: 2 }]
    const { client } = await worlds({ queues })
    const publisher = client()
    await publisher.enqueue('q', 1)
    await publisher.enqueue('next', 1)
    const reader = new QueueReader(client(), 'q')
    const delivery = await reader.next()
    const publish = [{ topic: '$queue.next' }, { topic: '$queue.next' }, { topic: 's.a' }]
    await expect(delivery.ack({ publish })).rejects.toMatchObject({ code: 'queue_limit', retry: true })
    expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 0, inFlight: 1 })
    expect(await publisher.admin.queues.show('next')).toMatchObject({ depth: 1 })
    expect(await publisher.admin.streams.show('s')).toMatchObject({ next: 0 })
    await publisher.admin.queues.purge('next')
    await delivery.ack({ publish })
    expect(await publisher.admin.queues.show('next')).toMatchObject({ depth: 2 })
    expect(await publisher.admin.queues.show('q')).toMatchObject({ inFlight: 0, ackedTotal: 1 })
  })

  it('a handler whose ack is refused fails with that error', async () => {
    const { client } = await start({ maxAttempts: 1 })
    const publisher = client()
    client().consume('q', async (delivery) => {
      await delivery.ack({ publish: [{ topic: '$queue.missing' }] })
    })
    await publisher.enqueue('q', 1)
    await untilQueue(publisher, 'q', ({ deadLetters }) => deadLetters === 1)
    const [letter] = await publisher.admin.queues.deadLetters.list('q')
    expect(letter?.error).toMatch(/There is no queue "missing"/)
  })

  it('refuses what the hub could not read before it is sent', async () => {
    const { client } = await start()
    await client().enqueue('q', 1)
    const delivery = await new QueueReader(client(), 'q').next()
    const refused = (publish: { topic: string; data?: unknown; priority?: number }) =>
      expect(delivery.ack({ publish: [publish] })).rejects
    await refused({ topic: 's.a', data: new Uint8Array(3) }).toMatchObject({ code: 'bad_data' })
    await refused({ topic: 's.a', priority: 12 }).toMatchObject({ code: 'bad_option' })
    await refused({ topic: 's.a', data: 'x'.repeat(300_000) }).toMatchObject({ code: 'frame_too_large' })
    await expect(delivery.nack({ delay: -1 })).rejects.toMatchObject({ code: 'bad_option' })
    await delivery.ack()
  })
})
