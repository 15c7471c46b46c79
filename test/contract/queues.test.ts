import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Delivery, QueueDeclaration } from '../../client/node.ts'
import type { Frame } from '../../shared/frames.ts'
import { freePort } from '../setup/free-port.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { QueueReader, untilQueue } from '../setup/queues.ts'
import { Reader } from '../setup/reader.ts'
import { range, streamWorlds } from '../setup/streams.ts'

const SOON = { backoff: { base: 1, cap: 1 } }

onEveryEngine('queues', (hubs) => {
  const worlds = streamWorlds(hubs)
  const start = (queue: Partial<QueueDeclaration> = {}, more: object = {}) =>
    worlds({ queues: [{ name: 'q', ...SOON, ...(queue as object) }], ...more })

  describe('routing', () => {
    it('one publish reaches live subscribers, a stream and every bound queue, under one id', async () => {
      const queues = [
        { name: 'direct', bindings: [{ topic: 's.photo.up' }] },
        { name: 'topic', bindings: [{ topic: 's.*.up' }, { topic: 's.photo.#' }] },
        { name: 'fanout', bindings: [{ topic: '#' }] },
        { name: 'all', bindings: [{ topic: '#', match: { all: { size: 'l', kind: 'png' } } }] },
        { name: 'any', bindings: [{ topic: '#', match: { any: { size: 'l', kind: 'png' } } }] },
        { name: 'none', bindings: [{ topic: 's.video.#' }] },
      ]
      const { client } = await worlds({ queues })
      const live = client().subscribe('s.#')
      await live.ready
      const headers = { size: 'l', kind: 'jpg' }
      const receipt = await client().publish('s.photo.up', { n: 1 }, { headers, key: 'k' })
      expect(receipt.queues).toEqual(['direct', 'topic', 'fanout', 'any'])
      expect(Object.keys(receipt.positions)).toEqual(['s'])
      expect((await new Reader(live).next()).id).toBe(receipt.id)
      const replay = client().subscribe('s.#', { from: 'earliest' })
      expect((await new Reader(replay).next()).id).toBe(receipt.id)
      const worker = client()
      for (const queue of receipt.queues) {
        const delivery = await new QueueReader(worker, queue).next()
        expect(delivery.message).toMatchObject({
          id: receipt.id,
          topic: 's.photo.up',
          key: 'k',
          headers,
          data: { n: 1 },
        })
      }
      const depths = (await worker.admin.queues.list()).map(({ name, depth, inFlight }) => [name, depth + inFlight])
      expect(depths).toEqual(queues.map(({ name }) => [name, receipt.queues.includes(name) ? 1 : 0]))
    })

    it('accepts messages by its name alone, with the publisher’s id once', async () => {
      const { client } = await start()
      const publisher = client()
      expect(await publisher.enqueue('q', 1, { id: 'one' })).toMatchObject({ queues: ['q'], duplicate: false })
      expect(await publisher.enqueue('q', 2, { id: 'one' })).toMatchObject({ queues: ['q'], duplicate: true })
      await expect(publisher.enqueue('other', 1)).rejects.toMatchObject({ code: 'no_queue' })
      await expect(publisher.publish('$sys.queues.q', 1)).rejects.toMatchObject({ code: 'reserved_topic' })
      expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 1 })
      expect(await new QueueReader(client(), 'q').done(1)).toEqual([1])
    })

    it('and only the queue receives these', async () => {
      const { client, peer } = await start()
      const [publisher, listener] = [client(), await peer()]
      for (const [sub, pattern] of ['#', '$queue.#', '$queue.*', '$queue.q'].entries()) {
        listener.send({ type: 'subscribe', sub: sub + 1, pattern })
      }
      await listener.settled()
      await publisher.enqueue('q', 1)
      const worker = await peer()
      worker.send({ type: 'consume', consumer: 1, queue: 'q' })
      const { delivery } = await worker.next('delivery')
      worker.send({ type: 'ack', consumer: 1, delivery, publish: [{ topic: '$queue.q', data: 2 }] })
      await worker.next('settled')
      expect((await listener.settled()).filter(({ type }) => type === 'message')).toEqual([])
    })

    it('is declared once, again with the same options, never with others; and is fed from then on', async () => {
      const { client } = await start()
      const operator = client()
      const declaration = { name: 'jobs', bindings: [{ topic: 'jobs.#' }], ackDeadline: '5s', maxAttempts: 2 }
      expect((await operator.publish('jobs.a', 0)).queues).toEqual([])
      expect(await operator.admin.queues.declare(declaration)).toMatchObject({ ackDeadlineMs: 5000, depth: 0 })
      expect((await operator.publish('jobs.a', 1)).queues).toEqual(['jobs'])
      expect(await operator.admin.queues.declare(declaration)).toMatchObject({ depth: 1 })
      const refused = operator.admin.queues.declare({ ...declaration, maxAttempts: 3 })
      await expect(refused).rejects.toMatchObject({ code: 'queue_exists' })
      const wrong = operator.admin.queues.declare({ name: 'x', overflow: 'explode' as 'reject' })
      await expect(wrong).rejects.toMatchObject({ code: 'bad_params' })
    })

    it('bytes and text pass through a queue unchanged', async () => {
      const { client } = await start()
      const all = [
        0,
        new Uint8Array([0, 255]),
        'ünï😀',
        new Uint8Array(100_000).fill(7),
        { a: [null] },
        new Uint8Array(),
      ]
      const reader = new QueueReader(client(), 'q')
      const publisher = client()
      await Promise.all(all.map((data) => publisher.enqueue('q', data)))
      expect((await reader.done(all.length)).map(comparable)).toEqual(all.map(comparable))
    })
  })

  describe('consumers', () => {
    it('each message goes to one of them, and all with credit get some', async () => {
      const { client } = await start()
      const got: number[][] = [[], [], []]
      let finish = () => {}
      const finished = new Promise<void>((resolve) => {
        finish = resolve
      })
      const consumers = got.map((list) =>
        client().consume<number>('q', ({ data }) => {
          list.push(data)
          if (got.flat().length === 300) finish()
        }),
      )
      await Promise.all(consumers.map(({ ready }) => ready))
      const publisher = client()
      await Promise.all(range(0, 300).map((n) => publisher.enqueue('q', n)))
      await finished
      expect(got.flat().sort((a, b) => a - b)).toEqual(range(0, 300))
      for (const list of got) expect(list.length).toBeGreaterThan(30)
    })

    it('gets no more than its prefetch, and the next for each that it settles', async () => {
      const { client, peer } = await start()
      const publisher = client()
      await Promise.all(range(0, 10).map((n) => publisher.enqueue('q', n)))
      const worker = await peer()
      worker.send({ type: 'consume', consumer: 1, queue: 'q', prefetch: 3 })
      for (const _ of range(0, 3)) await worker.next('delivery')
      expect(ofType(await worker.settled(), 'delivery')).toEqual([])
      worker.send({ type: 'ack', consumer: 1, delivery: 1 })
      await worker.next('delivery')
      expect(ofType(await worker.settled(), 'delivery')).toEqual([])
      expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 6, inFlight: 3, ackedTotal: 1 })
    })

    it('what a dead connection held goes to another, as its next attempt', async () => {
      const { client, network } = await start()
      const flaky = await network()
      const dying = new QueueReader(client(flaky.url), 'q', { prefetch: 2 })
      const publisher = client()
      await Promise.all(range(0, 4).map((n) => publisher.enqueue('q', n)))
      const [first] = await dying.take(2)
      const other = new QueueReader<number>(client(), 'q')
      expect((await other.take(2)).map(({ data }) => data)).toEqual([2, 3])
      flaky.refuse()
      const again = await other.take(2)
      expect(again.map(({ data }) => data).sort()).toEqual([0, 1])
      for (const { attempt, lastError } of again)
        expect([attempt, lastError]).toEqual([2, expect.stringMatching(/lost/)])
      await expect((first as Delivery).ack()).rejects.toMatchObject({ code: 'lease_lost' })
    })

    it('returning from a handler acks, throwing nacks and keeps the error', async () => {
      const { client } = await start({ maxAttempts: 3 })
      const seen: unknown[] = []
      const worker = client()
      worker.consume<number>('q', ({ data, attempt, lastError }) => {
        seen.push([data, attempt, lastError?.split('\n')[0]])
        if (data === 1) throw new Error(`no ${attempt}`)
      })
      const publisher = client()
      await publisher.enqueue('q', 0)
      await publisher.enqueue('q', 1)
      await untilQueue(publisher, 'q', ({ deadLetters }) => deadLetters === 1)
      expect(seen).toEqual([
        [0, 1, undefined],
        [1, 1, undefined],
        [1, 2, 'Error: no 1'],
        [1, 3, 'Error: no 2'],
      ])
      const [letter] = await publisher.admin.queues.deadLetters.list('q')
      expect(letter).toMatchObject({
        attempts: 3,
        reason: 'attempts',
        error: expect.stringMatching(/no 3/),
        origin: 'q',
      })
      expect(await publisher.admin.queues.show('q')).toMatchObject({
        depth: 0,
        inFlight: 0,
        redeliveredTotal: 2,
        ackedTotal: 1,
      })
    })

    it('whatever a handler returns is awaited, even if it is not a Promise', async () => {
      const { client } = await start()
      const publisher = client()
      let finish = () => {}
      const started = new Promise<void>((resolve) => {
        client().consume('q', () => ({
          // biome-ignore lint/suspicious/noThenProperty: a query builder is such a thing
          then(done: () => void) {
            finish = done
            resolve()
          },
        }))
      })
      await publisher.enqueue('q', 1)
      await started
      expect(await publisher.admin.queues.show('q')).toMatchObject({ inFlight: 1, ackedTotal: 0 })
      finish()
      await untilQueue(publisher, 'q', ({ ackedTotal }) => ackedTotal === 1)
    })

    it('ack, nack, reject and extend work once', async () => {
      const { client } = await start()
      const reader = new QueueReader<string>(client(), 'q')
      const publisher = client()
      for (const data of ['ack', 'nack', 'reject']) await publisher.enqueue('q', data)
      const [ack, nack, reject] = (await reader.take(3)) as [Delivery, Delivery, Delivery]
      await ack.ack()
      await expect(ack.nack()).rejects.toMatchObject({ code: 'lease_lost' })
      nack.extend(60_000)
      await nack.nack({ error: 'later', delay: 0 })
      await reject.reject('never')
      expect(await reader.next()).toMatchObject({ data: 'nack', attempt: 2, lastError: 'later' })
      const letters = await publisher.admin.queues.deadLetters.list('q')
      expect(letters).toMatchObject([{ reason: 'rejected', error: 'never', attempts: 1, message: { data: 'reject' } }])
    })

    it('an expired lease is lost: its late ack is refused once the message has begun again', async () => {
      const { client } = await start({ ackDeadline: 1000 })
      const reader = new QueueReader(client(), 'q', { prefetch: 1 })
      await client().enqueue('q', 1)
      const late = await reader.next()
      const again = await reader.next()
      expect(again).toMatchObject({ id: late.id, attempt: 2, lastError: expect.stringMatching(/in time/) })
      await expect(late.ack()).rejects.toMatchObject({ code: 'lease_lost' })
      await again.ack()
    })

    it('a graceful close waits for running handlers, and returns the rest unchanged', async () => {
      const { client } = await start()
      const publisher = client()
      await Promise.all(range(0, 5).map((n) => publisher.enqueue('q', n)))
      let finish = () => {}
      const worker = client()
      const consumer = worker.consume('q', () => new Promise<void>((resolve) => (finish = resolve)))
      await untilQueue(publisher, 'q', ({ inFlight }) => inFlight === 5)
      const closed = consumer.close()
      finish()
      await closed
      const reader = new QueueReader<number>(client(), 'q')
      const rest = await reader.take(4)
      expect(rest.map(({ data, attempt }) => [data, attempt])).toEqual(range(1, 5).map((n) => [n, 1]))
      expect(await publisher.admin.queues.show('q')).toMatchObject({ ackedTotal: 1, consumers: 1 })
    })

    it('a delivery that is settled right before a cancel stays settled', async () => {
      const { client, peer } = await start(
        { maxAttempts: 2 },
        {
          queues: [
            { name: 'q', ...SOON },
            { name: 'full', maxMessages: 1 },
          ],
        },
      )
      const publisher = client()
      for (const data of ['ack', 'refused', 'nack', 'reject', 'untouched']) await publisher.enqueue('q', data)
      await publisher.enqueue('full', 1)
      const consumer = await peer()
      consumer.send({ type: 'consume', consumer: 1, queue: 'q' })
      const numbers: number[] = []
      for (const _ of range(0, 5)) numbers.push((await consumer.next('delivery')).delivery)
      const [ack, refused, nack, reject] = numbers
      consumer.send(
        { type: 'ack', consumer: 1, delivery: ack },
        { type: 'ack', consumer: 1, delivery: refused, publish: [{ topic: '$queue.full' }] },
        { type: 'nack', consumer: 1, delivery: nack, delayMs: 0 },
        { type: 'reject', consumer: 1, delivery: reject },
        { type: 'cancel', consumer: 1 },
      )
      expect(await consumer.next('error')).toMatchObject({ code: 'queue_limit', delivery: refused })
      const reader = new QueueReader<string>(client(), 'q')
      const rest = await reader.take(3)
      expect(rest.map(({ data, attempt }) => [data, attempt])).toEqual([
        ['refused', 1],
        ['nack', 2],
        ['untouched', 1],
      ])
      const settled = consumer.frames.flatMap((frame) => (frame.type === 'settled' ? frame.deliveries : []))
      expect(settled.sort()).toEqual([ack, nack, reject])
      expect(await publisher.admin.queues.show('q')).toMatchObject({
        ackedTotal: 1,
        deadLetters: 1,
        inFlight: 3,
        depth: 0,
      })
    })

    it('deleting a queue interrupts its consumers; declaring it again feeds them', async () => {
      const { client } = await start()
      const operator = client()
      await operator.enqueue('q', 1)
      const told: unknown[] = []
      const onInterrupted = ({ code }: { code: string }) => told.push(code)
      const reader = new QueueReader(client(), 'q', { onInterrupted, onResumed: () => told.push('resumed') })
      const held = await reader.next()
      await operator.admin.queues.delete('q')
      const next = reader.next()
      await expect.poll(() => told).toEqual(['no_queue'])
      await expect(held.ack()).rejects.toMatchObject({ code: 'lease_lost' })
      await expect(operator.enqueue('q', 2)).rejects.toMatchObject({ code: 'no_queue' })
      await expect(operator.consume('q').ready).rejects.toMatchObject({ code: 'no_queue' })
      await operator.admin.queues.declare({ name: 'q' })
      await untilQueue(operator, 'q', ({ consumers }) => consumers === 1)
      expect(await operator.admin.queues.show('q')).toMatchObject({ depth: 0, inFlight: 0 })
      await operator.enqueue('q', 3)
      expect(await next).toMatchObject({ data: 3 })
      expect(told).toEqual(['no_queue', 'resumed'])
    })

    it('a consumer that does not read holds no more than its outbox', async () => {
      const OUTBOX_BYTES = 512 * 1024
      const { client, hub, peer } = await start({}, { outboxBytes: OUTBOX_BYTES, frameBytes: 256 * 1024 })
      const slow = await peer()
      slow.stall()
      slow.send({ type: 'consume', consumer: 1, queue: 'q', prefetch: 1000 })
      const publisher = client()
      const text = 'x'.repeat(200_000)
      for (const n of range(0, 100)) await publisher.enqueue('q', { n, text })
      expect(hub.outboxBytes).toBeLessThanOrEqual(OUTBOX_BYTES)
      const { depth, inFlight } = await publisher.admin.queues.show('q')
      expect(depth + inFlight).toBe(100)
      expect(depth).toBeGreaterThan(0)
      const delivered: number[] = []
      slow.goOn()
      while (delivered.length < 100) {
        const { delivery, message } = await slow.next('delivery')
        delivered.push((message.data as { n: number }).n)
        slow.send({ type: 'ack', consumer: 1, delivery })
      }
      expect(delivered).toEqual(range(0, 100))
    })

    it('goes on when the hub restarts on the same data', async () => {
      const data = await mkdtemp(join(tmpdir(), 'fanfare-queues-'))
      const port = await freePort()
      const options = { data, port, queues: [{ name: 'q', ...SOON }] }
      const { hub, client } = await worlds(options)
      const worker = client()
      const reader = new QueueReader<number>(worker, 'q')
      const publisher = client()
      for (const n of range(0, 3)) await publisher.enqueue('q', n)
      const [zero, one] = await reader.take(3)
      await zero?.ack()
      await one?.nack({ error: 'failed', delay: 0 })
      await hub.close()
      await worlds(options)
      const again = await reader.take(2)
      const seen = again.map(({ data: n, attempt, lastError }) => [n, attempt, lastError])
      expect(seen.sort()).toEqual([
        [1, 2, 'failed'],
        [2, 1, undefined],
      ])
      await Promise.all(again.map((delivery) => delivery.ack()))
      expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 0, inFlight: 0 })
      await rm(data, { recursive: true })
    })
  })
})

function ofType(frames: readonly Frame[], type: Frame['type']): Frame[] {
  return frames.filter((frame) => frame.type === type)
}

function comparable(data: unknown): unknown {
  return data instanceof Uint8Array ? [...data] : data
}
