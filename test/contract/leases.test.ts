import { describe, expect, it } from 'vitest'
import type { QueueDeclaration } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { keptLog } from '../setup/kept-log.ts'
import { Peer } from '../setup/peer.ts'
import { QueueReader, untilQueue } from '../setup/queues.ts'
import { range, streamWorlds } from '../setup/streams.ts'

/** The hub's rules, frame by frame: with a client that reports what it begins, and one that does not. */
onEveryEngine('leases', (hubs) => {
  const worlds = streamWorlds(hubs)

  /** A queue with the messages 0, 1, 2 …, and a peer that has them on lease. */
  async function start(count: number, consume: object = {}, queue: Partial<QueueDeclaration> = {}) {
    const declared = { name: 'q', ackDeadline: 800, backoff: { base: 1, cap: 1 }, ...(queue as object) }
    const world = await worlds({ queues: [declared] })
    const operator = world.client()
    for (const n of range(0, count)) await operator.enqueue('q', n)
    const peer = await world.peer()
    peer.send({ type: 'consume', consumer: 1, queue: 'q', begins: true, ...consume })
    const deliveries: number[] = []
    for (const _ of range(0, count)) deliveries.push((await peer.next('delivery')).delivery)
    const other = () => new QueueReader<number>(world.client(), 'q', { ackDeadline: 60_000 })
    return { ...world, operator, peer, deliveries, other }
  }

  /** What another consumer gets: the attempt, by data. */
  async function attempts(reader: QueueReader<number>, count: number): Promise<Record<number, number>> {
    return Object.fromEntries((await reader.take(count)).map(({ data, attempt }) => [data, attempt]))
  }

  describe('a lost connection charges', () => {
    it('what the client has begun, and nothing else', async () => {
      const { peer, deliveries, other } = await start(4)
      peer.send({ type: 'begin', consumer: 1, delivery: deliveries[1] })
      await peer.settled()
      peer.socket.terminate()
      expect(await attempts(other(), 4)).toEqual({ 0: 2, 1: 2, 2: 1, 3: 1 })
    })

    it('what precedes a settled delivery, since it has begun, too', async () => {
      const { peer, deliveries, other } = await start(4)
      peer.send({ type: 'ack', consumer: 1, delivery: deliveries[2] })
      await peer.next('settled')
      peer.socket.terminate()
      expect(await attempts(other(), 3)).toEqual({ 0: 2, 1: 2, 3: 1 })
    })

    it('nothing to a client that has reported nothing; its oldest waits, since a handler may have ended the process', async () => {
      const { peer, other, operator, client, url } = await start(
        3,
        {},
        { backoff: { base: 1000, cap: 1000 }, maxAttempts: 1 },
      )
      peer.socket.terminate()
      expect(await untilQueue(operator, 'q', ({ inFlight }) => inFlight === 0)).toMatchObject({ depth: 3, delayed: 1 })
      // The next clients would report that they begin a message with which something was wrong before.
      for (const _ of range(0, 4)) {
        const next = await Peer.hello(url)
        await untilQueue(operator, 'q', ({ delayed }) => delayed === 0)
        next.send({ type: 'consume', consumer: 1, queue: 'q', prefetch: 1, begins: true })
        const delivery = await next.next('delivery')
        expect(delivery).toMatchObject({ attempt: 1, error: expect.stringContaining('lost'), message: { data: 0 } })
        next.socket.terminate()
        await untilQueue(client(), 'q', ({ inFlight }) => inFlight === 0)
      }
      expect(await attempts(other(), 3)).toEqual({ 0: 1, 1: 1, 2: 1 })
      expect(await operator.admin.queues.show('q')).toMatchObject({ deadLetters: 0 })
    })

    it('only the oldest delivery of a client that never reports what it begins', async () => {
      const { peer, other } = await start(3, { begins: false })
      peer.socket.close(1001)
      expect(await attempts(other(), 3)).toEqual({ 0: 2, 1: 1, 2: 1 })
    })

    it('and the message waits for the queue’s own backoff, so that a poison message does not kill the next worker at once', async () => {
      const { peer, operator, deliveries } = await start(1, {}, { backoff: { base: '1h', cap: '1h' } })
      peer.send({ type: 'begin', consumer: 1, delivery: deliveries[0] })
      await peer.settled()
      peer.socket.terminate()
      expect(await untilQueue(operator, 'q', ({ inFlight }) => inFlight === 0)).toMatchObject({ depth: 1, delayed: 1 })
    })
  })

  describe('a deadline', () => {
    it('counts from the begin: prefetched deliveries are not charged, and neither is the time that they waited', async () => {
      const { peer, deliveries, operator } = await start(8, { ackDeadlineMs: 1000 })
      // Twice as long as one deadline for all together, and never as long as one for each.
      for (const delivery of deliveries) {
        peer.send({ type: 'begin', consumer: 1, delivery })
        await new Promise((resolve) => setTimeout(resolve, 250))
        peer.send({ type: 'ack', consumer: 1, delivery })
      }
      const end = await untilQueue(operator, 'q', ({ inFlight }) => inFlight === 0)
      expect(end).toMatchObject({ ackedTotal: 8, redeliveredTotal: 0, timedOutTotal: 0, depth: 0 })
    })

    it('that expires takes back one delivery; a silent client loses the rest uncharged, until it is heard again', async () => {
      const { peer, deliveries, operator, other } = await start(4)
      peer.send({ type: 'begin', consumer: 1, delivery: deliveries[0] })
      expect(await peer.next('lost')).toMatchObject({ consumer: 1, deliveries })
      expect(await attempts(other(), 4)).toEqual({ 0: 2, 1: 1, 2: 1, 3: 1 })
      await operator.enqueue('q', 4, { priority: 0 })
      expect(await operator.admin.queues.show('q')).toMatchObject({ timedOutTotal: 1 })
      expect((await peer.settled()).filter(({ type }) => type === 'delivery')).toEqual([])
    })

    it('of a silent client: it gets nothing new until it shows a sign of life', async () => {
      const { peer, deliveries, operator } = await start(1, {}, { backoff: { base: '1h', cap: '1h' } })
      peer.send({ type: 'begin', consumer: 1, delivery: deliveries[0] })
      await peer.next('lost')
      await operator.enqueue('q', 1)
      expect((await peer.settled()).filter(({ type }) => type === 'delivery')).toEqual([])
      peer.send({ type: 'return', consumer: 1, deliveries: [] })
      expect((await peer.next('delivery')).message).toMatchObject({ data: 1 })
    })

    it('of a client that is alive costs only that delivery', async () => {
      const { peer, deliveries, operator } = await start(3, { begins: false }, { backoff: { base: '1h', cap: '1h' } })
      const [, second] = deliveries
      // The oldest is forgotten; the others are kept.
      peer.send({ type: 'extend', consumer: 1, delivery: deliveries[2], ms: 60_000 })
      peer.send({ type: 'extend', consumer: 1, delivery: second, ms: 60_000 })
      const alive = setInterval(() => peer.send({ type: 'extend', consumer: 1, delivery: second, ms: 60_000 }), 50)
      expect(await peer.next('lost')).toMatchObject({ deliveries: [deliveries[0]] })
      clearInterval(alive)
      expect(await operator.admin.queues.show('q')).toMatchObject({ inFlight: 2, delayed: 1 })
    })

    it('without a begun delivery asks for the prefetched ones back, which return uncharged', async () => {
      const { peer, deliveries, other } = await start(5)
      expect(await peer.next('recall')).toEqual({ type: 'recall', consumer: 1, deliveries })
      peer.send({ type: 'return', consumer: 1, deliveries }, { type: 'stop', consumer: 1 })
      expect(await attempts(other(), 5)).toEqual({ 0: 1, 1: 1, 2: 1, 3: 1, 4: 1 })
    })

    it('without an answer to that suspects the oldest, which may block the event loop', async () => {
      const { peer, deliveries, other } = await start(5)
      expect(await peer.next('lost')).toEqual({ type: 'lost', consumer: 1, deliveries })
      const errors = (await other().take(5)).map(({ data, attempt, lastError }) => [
        data,
        attempt,
        lastError !== undefined,
      ])
      expect(errors.toSorted()).toEqual(range(0, 5).map((n) => [n, 1, n === 0]))
    })

    it('is logged by the hub when it expires, with the possible causes', async () => {
      const { log, lines } = keptLog()
      const { hub, url } = await hubs.start({ queues: [{ name: 'q', ackDeadline: 100 }] }, log)
      const peer = await Peer.hello(url)
      peer.send({ type: 'publish', seq: 1, topic: '$queue.q', id: 'm-1', data: 1 })
      peer.send({ type: 'publish', seq: 2, topic: '$queue.q', id: 'm-2', data: new Array(20).fill('x') })
      peer.send({ type: 'consume', consumer: 7, queue: 'q' })
      await peer.next('lost')
      const { connection } = peer.frames[0] as { connection: string }
      const found = lines.filter(({ msg }) => msg.includes('delivery timed out'))
      expect(found).toMatchObject([{ level: 40, queue: 'q', connection, consumer: 7, message: 'm-1', attempt: 1 }])
      expect(found[0]?.msg).toContain('its event loop may be blocked')
      peer.socket.terminate()
      await hub.close()
    })
  })

  describe('a late ack', () => {
    it('counts as long as the message waits for its next attempt', async () => {
      const { peer, deliveries, operator } = await start(1, {}, { backoff: { base: '1h', cap: '1h' } })
      peer.send({ type: 'begin', consumer: 1, delivery: deliveries[0] })
      await peer.next('lost')
      await untilQueue(operator, 'q', ({ delayed }) => delayed === 1)
      peer.send({ type: 'ack', consumer: 1, delivery: deliveries[0], publish: [{ topic: 's.done', data: 'done' }] })
      expect(await peer.next('settled')).toMatchObject({ deliveries })
      expect(await operator.admin.queues.show('q')).toMatchObject({
        depth: 0,
        inFlight: 0,
        ackedTotal: 1,
        deadLetters: 0,
      })
      expect(await operator.admin.streams.show('s')).toMatchObject({ next: 1 })
    })

    it('takes it back from a client that has not begun it, and not from one that has', async () => {
      const { peer, deliveries, url, operator } = await start(3)
      const second = await Peer.hello(url)
      await peer.next('lost')
      second.send({ type: 'consume', consumer: 1, queue: 'q', begins: true, ackDeadlineMs: 60_000 })
      const theirs = new Map<unknown, number>()
      for (const _ of range(0, 3)) {
        const { delivery, message } = await second.next('delivery')
        theirs.set(message.data, delivery)
      }
      const first = Math.min(...theirs.values())
      second.send({ type: 'begin', consumer: 1, delivery: first })
      await second.settled()
      for (const [n, delivery] of deliveries.entries()) {
        peer.send({ type: 'ack', consumer: 1, delivery })
        if (theirs.get(n) === first) expect(await peer.next('error')).toMatchObject({ code: 'lease_lost', delivery })
        else {
          expect(await peer.next('settled')).toMatchObject({ deliveries: [delivery] })
          expect(await second.next('lost')).toMatchObject({ deliveries: [theirs.get(n)] })
        }
      }
      second.send({ type: 'ack', consumer: 1, delivery: first })
      await second.next('settled')
      expect(await operator.admin.queues.show('q')).toMatchObject({ ackedTotal: 3, depth: 0, inFlight: 0 })
      second.socket.terminate()
    })

    it('that is refused leaves the lease; a late nack is refused, and so are unknown deliveries', async () => {
      const { peer, deliveries, operator } = await start(2, {}, { backoff: { base: '1h', cap: '1h' } })
      const [first, second] = deliveries
      peer.send({ type: 'begin', consumer: 1, delivery: second })
      await peer.next('lost')
      await untilQueue(operator, 'q', ({ delayed }) => delayed === 2)
      peer.send({ type: 'nack', consumer: 1, delivery: first })
      expect(await peer.next('error')).toMatchObject({ code: 'lease_lost', delivery: first })
      peer.send({ type: 'ack', consumer: 1, delivery: second, publish: [{ topic: '$queue.none' }] })
      expect(await peer.next('error')).toMatchObject({ code: 'no_queue', delivery: second })
      peer.send({ type: 'ack', consumer: 1, delivery: 12_345 })
      expect(await peer.next('error')).toMatchObject({ code: 'lease_lost', delivery: 12_345 })
      peer.send({ type: 'ack', consumer: 1, delivery: second })
      expect(await peer.next('settled')).toMatchObject({ deliveries: [second] })
      expect(await operator.admin.queues.show('q')).toMatchObject({ ackedTotal: 1, depth: 1 })
    })
  })

  describe('a delivery that has not begun', () => {
    it('goes to an idle consumer: half of them at a time, the youngest first', async () => {
      const { peer, deliveries, other } = await start(8, { ackDeadlineMs: 60_000 })
      peer.send({ type: 'begin', consumer: 1, delivery: deliveries[0] })
      const reader = other()
      const half = deliveries.slice(-4)
      expect(await peer.next('recall')).toMatchObject({ deliveries: half })
      // It has begun one of them meanwhile.
      peer.send({ type: 'begin', consumer: 1, delivery: half[0] })
      peer.send({ type: 'return', consumer: 1, deliveries: half.slice(1) })
      expect(await attempts(reader, 3)).toEqual({ 5: 1, 6: 1, 7: 1 })
    })

    it('is returned after stop, and begun ones go on', async () => {
      const { peer, deliveries, operator, other } = await start(3, { ackDeadlineMs: 60_000 })
      peer.send(
        { type: 'begin', consumer: 1, delivery: deliveries[0] },
        { type: 'stop', consumer: 1 },
        { type: 'return', consumer: 1, deliveries: deliveries.slice(1) },
      )
      await operator.enqueue('q', 3)
      expect(await attempts(other(), 3)).toEqual({ 1: 1, 2: 1, 3: 1 })
      peer.send({ type: 'ack', consumer: 1, delivery: deliveries[0] })
      await peer.next('settled')
      expect((await peer.settled()).filter(({ type }) => type === 'delivery')).toEqual([])
    })

    it('is not affected by what a client reports about deliveries of others', async () => {
      const { peer, deliveries, url, operator } = await start(2, { ackDeadlineMs: 60_000 })
      const stranger = await Peer.hello(url)
      stranger.send(
        { type: 'consume', consumer: 1, queue: 'q', begins: true },
        { type: 'begin', consumer: 1, delivery: Number.MAX_SAFE_INTEGER },
        { type: 'return', consumer: 1, deliveries },
        { type: 'return', consumer: 1, deliveries: ['1', null, {}, -1, 0.5] },
        { type: 'begin', consumer: 9, delivery: 1 },
        { type: 'return', consumer: 9, deliveries: [1] },
        { type: 'stop', consumer: 9 },
      )
      expect((await stranger.settled()).filter(({ type }) => type === 'error')).toEqual([])
      // A begun delivery cannot be returned as if it had not begun.
      peer.send({ type: 'begin', consumer: 1, delivery: deliveries[0] }, { type: 'return', consumer: 1, deliveries })
      await untilQueue(operator, 'q', ({ depth, inFlight }) => depth + inFlight === 2)
      peer.send({ type: 'ack', consumer: 1, delivery: deliveries[0] })
      await peer.next('settled')
      stranger.socket.terminate()
      expect(await operator.admin.queues.show('q')).toMatchObject({ ackedTotal: 1 })
      for (const frame of [
        { type: 'begin', consumer: 1 },
        { type: 'return', consumer: 1, deliveries: 1 },
        { type: 'stop' },
        { type: 'consume', consumer: 2, queue: 'q', begins: 1 },
      ]) {
        const wrong = await Peer.hello(url)
        wrong.send(frame)
        expect(await wrong.next('error')).toMatchObject({ code: 'bad_frame' })
      }
    })
  })
})
