import { describe, expect, it } from 'vitest'
import type { Client, QueueDeclaration } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { QueueReader, untilQueue } from '../setup/queues.ts'
import { range, streamWorlds } from '../setup/streams.ts'

onEveryEngine('limits of queues', (hubs) => {
  const worlds = streamWorlds(hubs)
  const start = async (queue: Partial<QueueDeclaration> = {}, more: readonly object[] = []) => {
    const world = await worlds({ queues: [{ name: 'q', ...(queue as object) }, ...(more as { name: string }[])] })
    return { ...world, publisher: world.client() }
  }
  const enqueueAll = (client: Client, from: number, to: number) =>
    Promise.all(range(from, to).map((n) => client.enqueue('q', n)))

  describe('dead letters', () => {
    /** Numbers that were rejected, with something to filter by. */
    async function withLetters(more: readonly object[] = []) {
      const world = await start({}, more)
      const { client, publisher } = world
      for (const n of range(0, 6)) {
        const data = n === 5 ? new Uint8Array([1, 2]) : n
        await publisher.enqueue('q', data, { key: n % 2 ? 'odd' : 'even', headers: { n: `${n}` } })
      }
      const reader = new QueueReader(client(), 'q')
      for (const n of range(0, 6)) await (await reader.next()).reject(`bad ${n}`)
      return { ...world, reader, letters: publisher.admin.queues.deadLetters }
    }

    it('are listed by page and filter, with their message and the reason', async () => {
      const { letters } = await withLetters()
      const all = await letters.list('q')
      expect(all.map(({ error }) => error)).toEqual(range(0, 6).map((n) => `bad ${n}`))
      expect(all[1]).toMatchObject({
        message: { topic: '$queue.q', key: 'odd', headers: { n: '1' }, data: 1 },
        reason: 'rejected',
        attempts: 1,
        origin: 'q',
      })
      expect(all[5]?.message).toMatchObject({ base64: Buffer.from([1, 2]).toString('base64') })
      expect(all[0]?.diedAt).toBeGreaterThanOrEqual(all[0]?.publishedAt as number)
      const listed = async (...asked: Parameters<typeof letters.list> extends [string, ...infer Rest] ? Rest : never) =>
        (await letters.list('q', ...asked)).map(({ error }) => Number(error?.slice(4)))
      expect(await listed({ key: 'odd' })).toEqual([1, 3, 5])
      expect(await listed({ error: 'bad 4' })).toEqual([4])
      expect(await listed({ topic: '$queue.*' })).toHaveLength(6)
      expect(await listed({ reason: 'expired' })).toEqual([])
      expect(await listed({ letters: [all[2]?.letter as number] })).toEqual([2])
      expect(await listed({ key: 'odd' }, { from: all[2]?.letter as number, limit: 1 })).toEqual([3])
      await expect(letters.list('q', {}, { limit: 0 })).rejects.toMatchObject({ code: 'bad_option' })
      await expect(letters.list('q', { topic: 'a..b' })).rejects.toMatchObject({ code: 'bad_pattern' })
      await expect(letters.list('other')).rejects.toMatchObject({ code: 'no_queue' })
    })

    it('are redriven: one, some, all, elsewhere, at a rate; and purged', async () => {
      const { letters, reader, client, publisher } = await withLetters([
        { name: 'other' },
        { name: 'small', maxMessages: 1 },
      ])
      const [first] = await letters.list('q')
      expect(await letters.redrive('q', { letters: [first?.letter as number] })).toBe(1)
      expect(await reader.next()).toMatchObject({ data: 0, attempt: 1, lastError: undefined, message: { key: 'even' } })
      await expect(letters.redrive('q', { key: 'odd' }, { to: 'small' })).rejects.toMatchObject({ code: 'queue_limit' })
      await expect(letters.redrive('q', {}, { to: 'none' })).rejects.toMatchObject({ code: 'no_queue' })
      expect(await letters.redrive('q', { key: 'odd' }, { to: 'other', perSecond: 50 })).toBe(3)
      const moved = await new QueueReader(client(), 'other').done(1)
      expect(moved).toEqual([1])
      expect(await letters.purge('q', { error: 'bad 2' })).toBe(1)
      expect((await letters.list('q')).map(({ error }) => error)).toEqual(['bad 4'])
      expect(await letters.redrive('q')).toBe(1)
      expect(await letters.purge('q')).toBe(0)
      expect(await publisher.admin.queues.show('q')).toMatchObject({ deadLetters: 0 })
    })

    it('keep bytes as they were', async () => {
      const { letters, reader } = await withLetters()
      await letters.redrive('q', { error: 'bad 5' })
      const delivery = await reader.next()
      expect([...(delivery.data as Uint8Array)]).toEqual([1, 2])
      expect(delivery.message).toMatchObject({ key: 'odd', headers: { n: '5' } })
    })

    it('are bounded: the oldest go', async () => {
      const { client, publisher } = await start({ maxDeadLetters: 3 })
      await enqueueAll(publisher, 0, 10)
      const deliveries = await new QueueReader(client(), 'q').take(10)
      await Promise.all(deliveries.map((delivery) => delivery.reject()))
      const letters = await publisher.admin.queues.deadLetters.list('q')
      expect(letters.map(({ message }) => message.data)).toEqual([7, 8, 9])
      expect(await publisher.admin.queues.show('q')).toMatchObject({ deadLetters: 3 })
    })
  })

  describe('order', () => {
    it('a higher priority goes first, and equal ones in the order of arrival', async () => {
      const { client, publisher } = await start()
      for (const [n, priority] of [4, 0, 9, 4, 9].entries()) await publisher.enqueue('q', n, { priority })
      await publisher.enqueue('q', 5)
      const reader = new QueueReader(client(), 'q', { prefetch: 1 })
      const seen = []
      for (const _ of range(0, 6)) seen.push(...(await reader.done(1)))
      expect(seen).toEqual([2, 4, 0, 3, 5, 1])
    })

    it('a retried message keeps its place before later ones once it is due', async () => {
      const { client, publisher } = await start()
      for (const n of range(0, 6)) await publisher.enqueue('q', n, { priority: n === 5 ? 9 : 4 })
      const reader = new QueueReader(client(), 'q', { prefetch: 1 })
      expect(await reader.done(1)).toEqual([5])
      await (await reader.next()).nack({ delay: 1 })
      await reader.close()
      await untilQueue(publisher, 'q', ({ delayed, inFlight }) => delayed + inFlight === 0)
      const next = new QueueReader(client(), 'q', { prefetch: 1 })
      const seen = []
      for (const _ of range(0, 5)) seen.push(...(await next.done(1)))
      expect(seen).toEqual([0, 1, 2, 3, 4])
    })

    it('and so does a message that was delayed at first', async () => {
      const { client, publisher } = await start()
      await publisher.enqueue('q', 'delayed', { delay: 1 })
      for (const n of range(0, 3)) await publisher.enqueue('q', n)
      await untilQueue(publisher, 'q', ({ delayed }) => delayed === 0)
      const reader = new QueueReader(client(), 'q', { prefetch: 1 })
      const seen = []
      for (const _ of range(0, 4)) seen.push(...(await reader.done(1)))
      expect(seen).toEqual(['delayed', 0, 1, 2])
    })

    it('messages of a key are delivered in order, one at a time, retries included; others go on', async () => {
      const { client, publisher } = await start()
      for (const n of range(0, 6)) await publisher.enqueue('q', n, { key: n < 3 ? 'a' : 'b' })
      const reader = new QueueReader<number>(client(), 'q')
      const [a, b] = await reader.take(2)
      expect([a?.data, b?.data]).toEqual([0, 3])
      await a?.nack({ delay: 0 })
      await b?.ack()
      const next = await reader.take(2)
      expect(next.map(({ data }) => data).sort()).toEqual([0, 4])
      for (const delivery of next) await delivery.ack()
      expect((await reader.done(2)).sort()).toEqual([1, 5])
      expect(await reader.done(1)).toEqual([2])
    })

    it('a group with a dead-lettered message is parked until an operator resumes it', async () => {
      const { client, publisher } = await start({ onDeadLetter: 'park' })
      for (const n of range(0, 3)) await publisher.enqueue('q', n, { key: 'a' })
      const reader = new QueueReader(client(), 'q')
      await (await reader.next()).reject()
      await publisher.enqueue('q', 3, { key: 'b' })
      expect(await reader.done(1)).toEqual([3])
      expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 2, parked: ['a'] })
      await expect(publisher.admin.queues.unpark('q', 'b')).rejects.toMatchObject({ code: 'no_parked_group' })
      await publisher.admin.queues.unpark('q', 'a')
      expect(await reader.done(1)).toEqual([1])
      expect(await reader.done(1)).toEqual([2])
    })
  })

  describe('overflow', () => {
    it('reject refuses until there is room; messages in flight count', async () => {
      const { client, publisher } = await start({ maxMessages: 2 })
      const reader = new QueueReader(client(), 'q')
      await enqueueAll(publisher, 0, 2)
      const [held] = await reader.take(2)
      await expect(publisher.enqueue('q', 2)).rejects.toMatchObject({ code: 'queue_limit', retry: true })
      await held?.ack()
      await publisher.enqueue('q', 3)
    })

    it('drop-oldest and dead-letter make room from the head, also within a burst', async () => {
      for (const overflow of ['drop-oldest', 'dead-letter'] as const) {
        const { client, publisher } = await start({ maxMessages: 3, overflow })
        await enqueueAll(publisher, 0, 10)
        const letters = await publisher.admin.queues.deadLetters.list('q')
        expect(letters.map(({ message }) => message.data)).toEqual(overflow === 'dead-letter' ? range(0, 7) : [])
        expect(await new QueueReader(client(), 'q').done(3)).toEqual([7, 8, 9])
      }
    })

    it('a message that can never fit is refused, and costs the others nothing', async () => {
      for (const overflow of ['reject', 'drop-oldest', 'dead-letter', 'block'] as const) {
        const { publisher } = await start({ maxBytes: 5000, overflow })
        await publisher.enqueue('q', 1)
        await expect(publisher.enqueue('q', 'é'.repeat(2500))).rejects.toMatchObject({ code: 'queue_limit' })
        expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 1, deadLetters: 0 })
      }
    })

    it('maxBytes is never exceeded, and can be filled to the last byte: everything counts as it is stored', async () => {
      const topic = `s.${'w'.repeat(200)}`
      const MAX = 5000
      for (const overflow of ['reject', 'drop-oldest', 'dead-letter', 'block'] as const) {
        const { client, publisher } = await start({ bindings: [{ topic }], maxBytes: MAX, overflow })
        const publish = (id: string, more = 0) => publisher.publish(topic, 'x'.repeat(more), { id, key: 'k' })
        // Numbers and offsets of three digits, all of the same size.
        await Promise.all(range(0, 100).map((n) => publisher.publish('s.filler', n)))
        await publish('100')
        const { bytes: each } = await publisher.admin.queues.show('q')
        const fit = Math.floor(MAX / each)
        for (const n of range(101, 98 + fit)) await publish(`${n}`)
        // One byte less than a message takes is left.
        await publish(`${98 + fit}`, MAX - (fit - 2) * each - (each - 1) - each)
        expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: fit - 1, bytes: MAX - each + 1 })
        const next = publish(`${99 + fit}`).catch(({ code }) => code)
        if (overflow === 'reject') {
          expect(await next).toBe('queue_limit')
          // This one takes a byte less.
          await publish('99')
        } else if (overflow !== 'block') await next
        const { bytes } = await client().admin.queues.show('q')
        if (overflow === 'reject') expect(bytes).toBe(MAX)
        expect(bytes).toBeLessThanOrEqual(MAX)
      }
    })

    it('a publish that one queue refuses makes no room in another', async () => {
      const bindings = [{ topic: 'both' }]
      const { publisher } = await start({ bindings, maxMessages: 1, overflow: 'drop-oldest' }, [
        { name: 'full', bindings, maxMessages: 1 },
      ])
      await publisher.publish('both', 0)
      await expect(publisher.publish('both', 1)).rejects.toMatchObject({ code: 'queue_limit' })
      expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 1, droppedTotal: 0 })
    })

    it('block delays the receipt, in order, until there is room in every queue', async () => {
      const bindings = [{ topic: 'both' }]
      const { client, publisher } = await start({ bindings, maxMessages: 2, overflow: 'block' }, [
        { name: 'other', bindings, maxMessages: 3, overflow: 'block' },
      ])
      const settled: number[] = []
      const receipts = range(0, 5).map((n) => publisher.publish('both', n).then(() => settled.push(n)))
      await Promise.all(receipts.slice(0, 2))
      expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 2 })
      const reader = new QueueReader(client(), 'q')
      expect(await reader.done(2)).toEqual([0, 1])
      await receipts[2]
      await publisher.admin.queues.show('q')
      expect(settled).toEqual([0, 1, 2])
      const other = new QueueReader(client(), 'other')
      expect(await other.done(3)).toEqual([0, 1, 2])
      expect(await reader.done(2)).toEqual([2, 3])
      await Promise.all(receipts)
      expect(settled).toEqual(range(0, 5))
      expect(await reader.done(1)).toEqual([4])
      expect(await other.done(2)).toEqual([3, 4])
    })

    it('a publish that waits for a queue is notified when the queue is deleted', async () => {
      const { publisher, client } = await start({ maxMessages: 1, overflow: 'block' })
      await publisher.enqueue('q', 0)
      const waiting = publisher.enqueue('q', 1)
      const refused = expect(waiting).rejects.toMatchObject({ code: 'no_queue' })
      await client().admin.queues.delete('q')
      await refused
    })
  })
})
