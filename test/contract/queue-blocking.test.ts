import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { Client, QueueDeclaration } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import type { Peer } from '../setup/peer.ts'
import { QueueReader, untilQueue } from '../setup/queues.ts'
import { range, streamWorlds } from '../setup/streams.ts'

type Declared = Partial<QueueDeclaration> & { readonly name: string }

onEveryEngine('publishes that wait for room', (hubs) => {
  const worlds = streamWorlds(hubs)
  const BLOCKING = { maxMessages: 1, overflow: 'block' } as const
  const start = async (queues: readonly Declared[], more: object = {}) => {
    const world = await worlds({
      streams: [{ name: 's', topics: ['t'] }],
      queues: queues as { name: string }[],
      ...more,
    })
    const operator = world.client()
    return {
      ...world,
      operator,
      /** The hub has handled everything that the peers have sent, in a commit if needed. */
      async handled(...peers: Peer[]) {
        for (const peer of peers) await peer.settled()
        await operator.admin.queues.declare({ name: 'barrier' })
      },
    }
  }
  const publish = (seq: number, data: unknown, more: object = {}) => ({
    type: 'publish',
    seq,
    topic: 't',
    data,
    ...more,
  })
  const bindings = [{ topic: 't' }]

  describe('keep the order of a publisher', () => {
    it('to two queues of a topic: in both, in the stream and live', async () => {
      const { client, peer, operator, handled } = await start([
        { name: 'a', bindings, ...BLOCKING },
        { name: 'b', bindings, ...BLOCKING },
      ])
      const [publisher, direct, live] = [await peer(), await peer(), await peer()]
      await live.subscribe(1, 't')
      await operator.enqueue('a', 'first a')
      await operator.enqueue('b', 'first b')
      const [a, b] = [new QueueReader(client(), 'a'), new QueueReader(client(), 'b')]
      publisher.send(publish(1, 'M1', { key: 'k' }))
      await handled(publisher)
      expect(await a.done(1)).toEqual(['first a'])
      direct.send(publish(1, 'X', { topic: '$queue.a' }))
      await handled(direct)
      publisher.send(publish(2, 'M2', { key: 'k' }))
      await handled(publisher)
      expect(await b.done(1)).toEqual(['first b'])
      const [fromA, fromB] = await Promise.all([oneByOne(a, 3), oneByOne(b, 2)])
      expect(fromA.filter((data) => data !== 'X')).toEqual(['M1', 'M2'])
      expect(fromB).toEqual(['M1', 'M2'])
      expect(await messagesOf(live, 2)).toEqual(['M1', 'M2'])
      const reader = await peer()
      await reader.subscribe(1, 't', { stream: 's', from: 'earliest' })
      expect(await messagesOf(reader, 2)).toEqual(['M1', 'M2'])
    })

    it('when a later message goes elsewhere, to a stream or to subscribers only', async () => {
      for (const topic of ['t', 'live']) {
        const { client, peer, handled } = await start([
          { name: 'a', bindings: [{ topic, match: { all: { to: 'a' } } }], ...BLOCKING },
        ])
        const [publisher, live] = [await peer(), await peer()]
        await live.subscribe(1, topic)
        const send = (n: number, to: string) => publisher.send(publish(n, n, { topic, headers: { to } }))
        send(0, 'a')
        send(1, 'a')
        send(2, 'nowhere')
        await handled(publisher, live)
        expect(await messagesOf(live, 1)).toEqual([0])
        expect(await oneByOne(new QueueReader(client(), 'a'), 2)).toEqual([0, 1])
        expect(await messagesOf(live, 3)).toEqual([0, 1, 2])
      }
    })

    it('and an ack whose publish would overtake is refused', async () => {
      const { client, peer, operator, handled } = await start([{ name: 'a', ...BLOCKING }, { name: 'jobs' }])
      await operator.admin.queues.declare({
        name: 'b',
        bindings: [{ topic: 't', match: { all: { to: 'b' } } }],
        ...BLOCKING,
      })
      await operator.enqueue('jobs', 1)
      await operator.enqueue('b', 'first')
      const worker = await peer()
      worker.send({ type: 'consume', consumer: 1, queue: 'jobs' })
      const { delivery } = await worker.next('delivery')
      worker.send(publish(1, 'waits', { headers: { to: 'b' } }))
      await handled(worker)
      worker.send({ type: 'ack', consumer: 1, delivery, publish: [{ topic: 't', data: 'overtakes' }] })
      expect(await worker.next('error')).toMatchObject({ code: 'queue_limit', delivery })
      expect(await oneByOne(new QueueReader(client(), 'b'), 2)).toEqual(['first', 'waits'])
      worker.send({ type: 'ack', consumer: 1, delivery, publish: [{ topic: 't', data: 'behind' }] })
      expect(await worker.next('settled')).toMatchObject({ deliveries: [delivery] })
    })
  })

  it('do not starve alongside steady traffic to each of their queues', async () => {
    const { client } = await start([
      { name: 'a', bindings, ...BLOCKING },
      { name: 'b', bindings, ...BLOCKING },
    ])
    let working = true
    const consumers = ['a', 'b'].map(async (queue) => {
      const reader = new QueueReader(client(), queue, { prefetch: 1 })
      for (;;) {
        const delivery = await reader.next()
        await delivery.ack()
        if (delivery.data === 'last') return
      }
    })
    const busy = ['a', 'a', 'a', 'b', 'b', 'b'].map(async (queue) => {
      const own = client()
      while (working) await own.enqueue(queue, 'direct')
    })
    const publisher = client()
    for (const n of range(0, 50)) await publisher.publish('t', n)
    working = false
    await Promise.all(busy)
    for (const queue of ['a', 'b']) await publisher.enqueue(queue, 'last')
    await Promise.all(consumers)
  })

  describe('are answered', () => {
    /** A publisher with one stored publish and `waiting` that wait. */
    async function waiting(count: number, queues: readonly Declared[] = [{ name: 'q', bindings, ...BLOCKING }]) {
      const world = await start(queues)
      const publisher = world.client()
      await publisher.publish('t', 0)
      const receipts = range(1, count + 1).map((n) => publisher.publish('t', n).then(() => 'kept', codeOf))
      await untilQueue(world.operator, queues[0]?.name as string, ({ waitingPublishes }) => waitingPublishes === count)
      return { ...world, publisher, receipts }
    }

    it('wait for the other queue when one of theirs is deleted', async () => {
      const { operator, receipts, client } = await waiting(2, [
        { name: 'a', bindings, ...BLOCKING },
        { name: 'b', bindings, ...BLOCKING },
      ])
      await operator.admin.queues.delete('a')
      expect(await oneByOne(new QueueReader(client(), 'b'), 3)).toEqual([0, 1, 2])
      expect(await Promise.all(receipts)).toEqual(['kept', 'kept'])
    })

    it('when the queue is purged', async () => {
      const { operator, receipts } = await waiting(2)
      expect(await operator.admin.queues.purge('q')).toBe(1)
      expect(await receipts[0]).toBe('kept')
      expect(await operator.admin.queues.purge('q')).toBe(1)
      expect(await receipts[1]).toBe('kept')
    })
  })

  describe('are withdrawn when their publisher leaves', () => {
    const queues = [{ name: 'q', bindings, ...BLOCKING }]
    /** After the publisher has left: none of its publishes waits, and none is stored. */
    async function leftNothing(operator: Client, client: () => Client) {
      await untilQueue(operator, 'q', ({ waitingPublishes }) => waitingPublishes === 0)
      expect(await operator.admin.queues.show('q')).toMatchObject({ depth: 1, waitingPublishBytes: 0 })
      const reader = new QueueReader(client(), 'q')
      expect(await reader.done(1)).toEqual(['full'])
      await operator.enqueue('q', 'next')
      expect(await reader.done(1)).toEqual(['next'])
    }

    it('a connection that is cut', async () => {
      const { operator, client, peer } = await start(queues)
      await operator.enqueue('q', 'full')
      const publisher = await peer()
      publisher.send(...range(0, 50).map((n) => publish(n, 'x'.repeat(1000))))
      const { waitingPublishBytes } = await untilQueue(operator, 'q', (info) => info.waitingPublishes === 50)
      expect(waitingPublishBytes).toBeGreaterThan(50_000)
      publisher.socket.terminate()
      await leftNothing(operator, client)
    })

    it('a client that closes', async () => {
      const { operator, client } = await start(queues)
      await operator.enqueue('q', 'full')
      const publisher = client()
      const refused = expect(publisher.publish('t', 1)).rejects.toMatchObject({ code: 'connection_lost' })
      await untilQueue(operator, 'q', ({ waitingPublishes }) => waitingPublishes === 1)
      await publisher.close({ timeout: 100 })
      await refused
      await leftNothing(operator, client)
    })

    it('an HTTP request that is aborted, or whose socket is cut', async () => {
      const { operator, client, hub } = await start(queues)
      await operator.enqueue('q', 'full')
      const aborting = new AbortController()
      const asked = fetch(`http://127.0.0.1:${hub.port}/v1/topics/t`, {
        method: 'POST',
        body: 'bytes',
        signal: aborting.signal,
      })
      const socket = connect(hub.port, '127.0.0.1')
      await once(socket, 'connect')
      const head = `POST /v1/queues/q/messages HTTP/1.1\r\nhost: 127.0.0.1:${hub.port}\r\ncontent-length: 1\r\n\r\nx`
      socket.write(head)
      await untilQueue(operator, 'q', ({ waitingPublishes }) => waitingPublishes === 2)
      aborting.abort()
      await expect(asked).rejects.toThrow()
      socket.destroy()
      await leftNothing(operator, client)
    })

    it('and later publishes no longer wait', async () => {
      const { operator, peer } = await start([
        { name: 'a', bindings, maxMessages: 5, overflow: 'block' },
        { name: 'full', bindings, ...BLOCKING },
      ])
      await operator.enqueue('full', 'full')
      const [leaving, staying] = [await peer(), await peer()]
      leaving.send(publish(1, 'leaves'))
      await untilQueue(operator, 'a', ({ waitingPublishes }) => waitingPublishes === 1)
      staying.send(publish(1, 'stays', { topic: '$queue.a' }))
      await untilQueue(operator, 'a', ({ waitingPublishes }) => waitingPublishes === 2)
      leaving.socket.terminate()
      await staying.next('receipt')
      expect(await operator.admin.queues.show('a')).toMatchObject({ depth: 1, waitingPublishes: 0 })
    })
  })

  it('are bounded by waitingPublishBytes, over all publishers, and counted', async () => {
    const { operator, peer, hub } = await start([{ name: 'q', ...BLOCKING }], { waitingPublishBytes: 10_000 })
    await operator.enqueue('q', 'full')
    const [one, two] = [await peer(), await peer()]
    for (const publisher of [one, two]) {
      publisher.send(...range(0, 3).map((n) => publish(n, 'x'.repeat(3000), { topic: '$queue.q' })))
      await publisher.settled()
    }
    const errors = await Promise.all([1, 2, 3].map(() => two.next('error')))
    expect(errors.map(({ code, retry }) => [code, retry])).toEqual(Array(3).fill(['waiting_limit', true]))
    const info = await operator.admin.queues.show('q')
    expect(info).toMatchObject({ waitingPublishes: 3 })
    expect(info.waitingPublishBytes).toBeLessThanOrEqual(10_000)
    const status = await peer()
    await status.subscribe(1, '$sys.hub')
    expect((await status.next('message')).data).toMatchObject({
      waitingPublishes: 3,
      waitingPublishBytes: info.waitingPublishBytes,
      waitingPublishLimitBytes: 10_000,
    })
    const metrics = await (await fetch(`http://127.0.0.1:${hub.port}/metrics`)).text()
    expect(metrics).toContain('fanfare_waiting_publishes 3\n')
    expect(metrics).toContain('fanfare_waiting_publish_limit_bytes 10000\n')
    expect(metrics).toContain('fanfare_queue_waiting_publishes{queue="q"} 3\n')
    expect(metrics).toContain('fanfare_limit_hits_total{limit="waitingPublishBytes"} 3\n')
    one.socket.terminate()
    await untilQueue(operator, 'q', ({ waitingPublishes }) => waitingPublishes === 0)
    two.send(publish(9, 'now', { topic: '$queue.q' }))
    await untilQueue(operator, 'q', ({ waitingPublishes }) => waitingPublishes === 1)
  })
})

/** Takes and acks some, one by one: if they wait for room, there are never more at once. */
async function oneByOne(reader: QueueReader, count: number): Promise<unknown[]> {
  const data: unknown[] = []
  while (data.length < count) data.push(...(await reader.done(1)))
  return data
}

/** The data of the first messages of a peer. */
async function messagesOf(peer: Peer, count: number): Promise<unknown[]> {
  const messages = () => peer.frames.flatMap((frame) => (frame.type === 'message' ? [frame.data] : []))
  while (messages().length < count) await peer.next('message')
  return messages()
}

function codeOf(error: { readonly code: string }): string {
  return error.code
}
