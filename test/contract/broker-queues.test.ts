import { describe, expect, it } from 'vitest'
import type { Broker, Delivery, Ending } from '../../server/broker/broker.ts'
import { DEFAULT_MAX_BYTES } from '../../server/broker/rules/declarations.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { DeadLetterFilter, QueueOptions } from '../../shared/queues.ts'
import { leaseFrom, onEveryBroker, type Publish, publishTo, settleAt } from '../setup/brokers.ts'
import { range } from '../setup/streams.ts'

function queueOptions(more: Partial<QueueOptions> = {}): QueueOptions {
  return { name: 'q', bindings: [], ...QUEUE_DEFAULTS, maxBytes: DEFAULT_MAX_BYTES.disk, ...more }
}

function enqueue(broker: Broker, data: unknown, more: Partial<Publish> = {}): Promise<unknown> {
  return publishTo(broker, { topic: 't', data, streams: [], queues: ['q'], ...more })
}

const settle = (broker: Broker, delivery: Delivery, ending: Ending) => settleAt(broker, delivery, ending)
const lease = (broker: Broker, count = 100) => leaseFrom(broker, 'q', count)
const seen = (deliveries: readonly Delivery[]) =>
  deliveries.map(({ wire, attempt, lastError }) => [JSON.parse(wire as string).data, attempt, lastError])

onEveryBroker('queues', (brokers) => {
  async function start(more: Partial<QueueOptions> = {}) {
    const world = await brokers.open()
    await world.broker.declareQueue(queueOptions(more), false)
    return world
  }

  it('deletes the oldest dead letters when an update lowers their limit', async () => {
    const { broker } = await start()
    await Promise.all(range(0, 20).map((n) => enqueue(broker, n)))
    const deliveries = await lease(broker)
    await Promise.all(deliveries.map((each) => settle(broker, each, { kind: 'reject', error: undefined })))
    await broker.declareQueue(queueOptions({ maxDeadLetters: 5 }), true)
    const left = () => broker.deadLetters('q', {}, 0, 100)
    await expect.poll(async () => (await left()).map(({ letter }) => letter)).toEqual([15, 16, 17, 18, 19])
    expect(await broker.queues(['q'])).toMatchObject([{ deadLetters: 5, deadLettersDroppedTotal: 15 }])
  })

  describe('reopened', () => {
    it.each([60_000, 63_072_000_000])(
      'a delayed message waits no longer than requested, even after a restart with the clock set back by %i ms',
      async (byMs) => {
        const world = await start()
        await enqueue(world.broker, 'failed')
        // It has waited for long when it fails; what counts is the wait for its next attempt.
        world.clock.now += 3_600_000
        for (const delivery of await lease(world.broker))
          await settle(world.broker, delivery, { kind: 'nack', error: 'no', delayMs: 1_500 })
        await enqueue(world.broker, 'delayed', { dueAt: world.clock.now + 1_500 })
        world.clock.now -= byMs
        await world.reopen()
        expect(seen(await lease(world.broker))).toEqual([])
        world.clock.now += 1_500
        expect(
          seen(await lease(world.broker))
            .map(([data]) => data)
            .toSorted(),
        ).toEqual(['delayed', 'failed'])
      },
    )

    it('keeps attempts, errors and delays; a lease is not an attempt', async () => {
      const world = await start()
      for (const n of range(0, 4)) await enqueue(world.broker, n)
      await enqueue(world.broker, 4, { dueAt: world.clock.now + 500 })
      const [first, second, third] = (await lease(world.broker, 3)) as [Delivery, Delivery, Delivery]
      await settle(world.broker, first, { kind: 'nack', error: 'no', delayMs: 0 })
      await settle(world.broker, second, { kind: 'nack', error: 'later', delayMs: 800 })
      await settle(world.broker, third, { kind: 'ack' })
      expect(seen(await lease(world.broker))).toEqual([
        [0, 2, 'no'],
        [3, 1, undefined],
      ])
      await world.reopen()
      expect((await world.broker.queues())[0]).toMatchObject({ depth: 4, delayed: 2, inFlight: 0 })
      expect(seen(await lease(world.broker))).toEqual([
        [0, 2, 'no'],
        [3, 1, undefined],
      ])
      world.clock.now += 500
      expect(seen(await lease(world.broker))).toEqual([[4, 1, undefined]])
      world.clock.now += 300
      expect(seen(await lease(world.broker))).toEqual([[1, 2, 'later']])
    })

    it('keeps priorities, groups and expiries', async () => {
      const world = await start({ onExpiry: 'dead-letter' })
      const { clock } = world
      for (const [n, priority] of [0, 9, 4].entries()) await enqueue(world.broker, n, { priority })
      for (const n of [3, 4]) await enqueue(world.broker, n, { key: 'k', priority: 5 })
      await enqueue(world.broker, 5, { expiresAt: clock.now + 100 })
      await world.reopen()
      clock.now += 100
      const deliveries = await lease(world.broker)
      expect(seen(deliveries).map(([n]) => n)).toEqual([1, 3, 2, 0])
      world.passTime()
      await settle(world.broker, deliveries[1] as Delivery, { kind: 'ack' })
      expect(seen(await lease(world.broker)).map(([n]) => n)).toEqual([4])
      expect(await world.broker.deadLetters('q', {}, 0, 10)).toMatchObject([{ reason: 'expired' }])
    })

    it('keeps parked groups and dead letters, and continues their numbers', async () => {
      const world = await start({ onDeadLetter: 'park' })
      for (const n of range(0, 3)) await enqueue(world.broker, n, { key: 'k\u0000ö' })
      const [head] = (await lease(world.broker)) as [Delivery]
      await settle(world.broker, head, { kind: 'reject', error: 'bad' })
      const before = await world.broker.deadLetters('q', {}, 0, 10)
      await world.reopen()
      expect(await world.broker.deadLetters('q', {}, 0, 10)).toEqual(before)
      expect((await world.broker.queues())[0]).toMatchObject({ parked: ['k\u0000ö'], depth: 2, deadLetters: 1 })
      expect(await lease(world.broker)).toEqual([])
      await world.broker.unpark('q', 'k\u0000ö')
      const [next] = (await lease(world.broker)) as [Delivery]
      await settle(world.broker, next, { kind: 'reject', error: 'worse' })
      await world.reopen()
      const letters = await world.broker.deadLetters('q', {}, 0, 10)
      expect(letters.map(({ letter, error }) => [letter, error])).toEqual([
        [0, 'bad'],
        [1, 'worse'],
      ])
      await world.broker.redrive('q', [0, 1], 'q')
      await world.broker.unpark('q', 'k\u0000ö')
      expect(seen(await lease(world.broker)).map(([n]) => n)).toEqual([2])
    })

    it('knows which ids were purged, and follows those that were redriven', async () => {
      const world = await start({ maxAttempts: 1 })
      const once = (id: string) => enqueue(world.broker, id, { id })
      const restart = () => world.reopen()
      const ids = ['acked', 'back', 'letter', 'gone']
      for (const id of ids) await once(id)
      for (const [n, kind] of (['ack', 'reject', 'reject', 'reject'] as const).entries()) {
        const [delivery] = (await lease(world.broker, 1)) as [Delivery]
        expect(seen([delivery])[0]?.[0]).toBe(ids[n])
        await settle(world.broker, delivery, kind === 'ack' ? { kind } : { kind, error: 'no' })
      }
      await restart()
      expect(await world.broker.redrive('q', [0], 'q')).toBe(1)
      expect(await world.broker.purgeDeadLetters('q', [2])).toBe(1)
      await once('waits')
      await restart()
      for (const id of [...ids.slice(0, 3), 'waits']) expect(await once(id)).toMatchObject({ duplicate: true })
      expect(await once('gone')).toMatchObject({ duplicate: false, queues: ['q'] })
      expect(await world.broker.purgeQueue('q')).toBe(3)
      await restart()
      for (const id of ['acked', 'letter']) expect(await once(id)).toMatchObject({ duplicate: true })
      for (const id of ['back', 'waits', 'gone']) expect(await once(id)).toMatchObject({ duplicate: false })
    })

    it('a deleted queue stays deleted, even after one with the same name has been declared', async () => {
      const world = await start()
      await enqueue(world.broker, 0)
      await world.broker.deleteQueue('q')
      await world.broker.declareQueue(queueOptions(), false)
      await enqueue(world.broker, 1)
      await world.reopen()
      expect(seen(await lease(world.broker)).map(([n]) => n)).toEqual([1])
    })
  })

  it('lists the numbers of dead letters in pages, bounded by count and bytes', async () => {
    const world = await start()
    const { broker } = world
    await Promise.all(range(0, 1200).map((n) => enqueue(broker, n < 1190 ? n : 'x'.repeat(1000))))
    const deliveries = await lease(broker, 1200)
    const rejected = (n: number) => ({ kind: 'reject', error: n % 2 ? 'odd' : 'even' }) as const
    await Promise.all(deliveries.map((delivery, n) => settle(broker, delivery, rejected(n))))
    const pages = async (filter: DeadLetterFilter, limit: number, bytes = 1e9) => {
      const all: number[][] = []
      for (let from = 0, last = 1; from < last; ) {
        const { numbers, next, end } = await broker.deadLetterNumbers('q', filter, { from, limit, bytes })
        expect(next).toBeGreaterThan(from)
        all.push([...numbers])
        from = next
        last = end
      }
      return all
    }
    const odd = await pages({ error: 'odd' }, 400)
    expect(odd.flat()).toEqual(range(0, 1200).filter((n) => n % 2 === 1))
    expect(odd.map(({ length }) => length)).toEqual([400, 200])
    expect((await pages({ through: 9 }, 4)).filter(({ length }) => length > 0)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ])
    expect((await pages({ letters: [7, 3, 3, 5000] }, 10)).flat()).toEqual([3, 7])
    // Large ones come one by one.
    const large = await pages({ letters: range(1190, 1200) }, 10, 1000)
    expect(large.filter(({ length }) => length > 0)).toEqual(range(1190, 1200).map((n) => [n]))
    expect(await broker.deadLetterNumbers('q', {}, { from: 1200, limit: 10, bytes: 1e9 })).toMatchObject({
      numbers: [],
      end: 1200,
    })
    const first = { from: 0, limit: 10, bytes: 1e9 }
    await expect(broker.deadLetterNumbers('none', {}, first)).rejects.toMatchObject({ code: 'no_queue' })
  })

  it('moves and deletes dead letters once, however often their numbers are given', async () => {
    const world = await start({ maxMessages: 2 })
    const { broker } = world
    for (const n of range(0, 3)) {
      await enqueue(broker, n)
      const [delivery] = (await lease(broker)) as [Delivery]
      await settle(broker, delivery, { kind: 'reject', error: 'no' })
    }
    await expect(broker.redrive('q', [0, 1, 2], 'q')).rejects.toMatchObject({ code: 'queue_limit' })
    const counts = [
      broker.redrive('q', [1, 0, 0], 'q'),
      broker.redrive('q', [0], 'q'),
      broker.purgeDeadLetters('q', [0, 2, 2, 9]),
    ]
    expect(await Promise.all(counts)).toEqual([2, 0, 1])
    expect(seen(await lease(broker)).map(([n]) => n)).toEqual([0, 1])
    expect(broker.queue('q')).toMatchObject({ deadLetters: 0 })
  })

  it('a purge that could not be stored frees no id', async () => {
    const world = await start()
    await enqueue(world.broker, 0, { id: 'one' })
    world.failWith(new Error('no'))
    await expect(world.broker.purgeQueue('q')).rejects.toMatchObject({ code: 'storage_failed' })
    world.failWith(undefined)
    expect(await enqueue(world.broker, 0, { id: 'one' })).toMatchObject({ duplicate: true })
    expect(await world.broker.purgeQueue('q')).toBe(1)
    expect(await enqueue(world.broker, 0, { id: 'one' })).toMatchObject({ duplicate: false })
  })

  it('nothing stays stored of messages that are done', async () => {
    const world = await start({ maxAttempts: 2 })
    const empty = await world.records()
    await Promise.all(range(0, 1000).map((n) => enqueue(world.broker, 'x'.repeat(n))))
    const deliveries = await lease(world.broker, 1000)
    for (const delivery of deliveries.slice(0, 10)) {
      await settle(world.broker, delivery, { kind: 'nack', error: 'no', delayMs: 0 })
    }
    await Promise.all(deliveries.slice(10, 999).map((delivery) => settle(world.broker, delivery, { kind: 'ack' })))
    expect(await world.records()).toBeGreaterThan(empty)
    for (const delivery of await lease(world.broker))
      await settle(world.broker, delivery, { kind: 'reject', error: 'no' })
    await settle(world.broker, deliveries[999] as Delivery, { kind: 'ack' })
    expect(await world.broker.purgeDeadLetters('q', range(0, 10))).toBe(10)
    expect(await world.records()).toBe(empty)
    await enqueue(world.broker, 1)
    await world.broker.deleteQueue('q')
    expect(await world.records()).toBe(empty - 1)
  })

  it('a deletion that fails leaves the queue as it was, including the other changes of the same commit', async () => {
    const world = await start()
    await enqueue(world.broker, 0)
    world.failWith(new Error('no'))
    const purged = world.broker.purgeQueue('q')
    const deleted = world.broker.deleteQueue('q')
    await expect(purged).rejects.toMatchObject({ code: 'storage_failed' })
    await expect(deleted).rejects.toMatchObject({ code: 'storage_failed' })
    world.failWith(undefined)
    expect(seen(await lease(world.broker))).toEqual([[0, 1, undefined]])
  })

  it.each<Ending>([
    { kind: 'ack' },
    { kind: 'nack', error: 'no', delayMs: undefined },
    { kind: 'suspect', error: 'no' },
    { kind: 'reject', error: 'no' },
  ])('a delivery whose end could not be stored is in flight as before, and may end again: %o', async (ending) => {
    const world = await start()
    await enqueue(world.broker, 0)
    const [delivery] = (await lease(world.broker)) as [Delivery]
    world.failWith(new FanfareError('storage_failed'))
    await expect(settle(world.broker, delivery, ending)).rejects.toMatchObject({ code: 'storage_failed' })
    world.failWith(undefined)
    expect(await lease(world.broker)).toEqual([])
    expect(await world.broker.queues(['q'])).toMatchObject([{ depth: 0, inFlight: 1 }])
    await settle(world.broker, delivery, ending)
    expect(await world.broker.queues(['q'])).toMatchObject([{ inFlight: 0 }])
  })

  it('messages whose removal could not be stored are ready again, and reported as such', async () => {
    const world = await start()
    await enqueue(world.broker, 0)
    world.failWith(new Error('no'))
    const ready = world.nextReady()
    await expect(world.broker.purgeQueue('q')).rejects.toMatchObject({ code: 'storage_failed' })
    expect(await ready).toBe('q')
  })

  it('a message that expired while it was in flight is not delivered again', async () => {
    const world = await start()
    await enqueue(world.broker, 0, { expiresAt: world.clock.now + 100 })
    const [delivery] = (await lease(world.broker)) as [Delivery]
    world.clock.now += 100
    world.passTime()
    await settle(world.broker, delivery, { kind: 'nack', error: 'no', delayMs: 0 })
    expect(await lease(world.broker)).toEqual([])
    world.passTime()
    await world.broker.purgeDeadLetters('q', [0])
    expect((await world.broker.queues())[0]).toMatchObject({ depth: 0, bytes: 0, droppedTotal: 1 })
  })
})
