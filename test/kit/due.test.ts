import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Frame } from '../../shared/frames.ts'
import { QueueReader } from '../setup/queues.ts'
import { Reader } from '../setup/reader.ts'
import { type TestHub, testHub } from './index.ts'

// What happens at some time: on either engine the same, so here by a clock that is moved.

let hub: TestHub
beforeEach(async () => {
  hub = await testHub({ streams: [{ name: 's', topics: ['s.#'] }] })
})
afterEach(() => hub.close())

describe('a queue', () => {
  it('delivers nothing before its time', async () => {
    const client = hub.connect()
    await client.admin.queues.declare({ name: 'q' })
    await client.enqueue('q', 'at', { deliverAt: hub.now + 300 })
    await client.enqueue('q', 'in', { delay: 100 })
    await client.enqueue('q', 'now')
    expect(await client.admin.queues.show('q')).toMatchObject({ depth: 3, delayed: 2 })
    const got: unknown[] = []
    client.consume('q', ({ data }) => void got.push(data))
    const after = async (ms: number) => {
      await hub.advance(ms)
      return [...got]
    }
    expect(await after(99)).toEqual(['now'])
    expect(await after(1)).toEqual(['now', 'in'])
    expect(await after(199)).toEqual(['now', 'in'])
    expect(await after(1)).toEqual(['now', 'in', 'at'])
  })

  it.each(['drop', 'dead-letter'] as const)('what has expired: %s', async (onExpiry) => {
    const client = hub.connect()
    await client.admin.queues.declare({ name: 'q', onExpiry })
    await client.enqueue('q', 0, { expiresAt: hub.now + 150 })
    await client.enqueue('q', 1, { expiresAt: hub.now - 1 })
    await client.enqueue('q', 2)
    await hub.advance(149)
    expect(await client.admin.queues.show('q')).toMatchObject({ depth: 2 })
    await hub.advance(1)
    expect(await client.admin.queues.show('q')).toMatchObject({ depth: 1, droppedTotal: onExpiry === 'drop' ? 2 : 0 })
    const letters = await client.admin.queues.deadLetters.list('q')
    expect(letters.map(({ reason }) => reason)).toEqual(onExpiry === 'drop' ? [] : ['expired', 'expired'])
    expect(await new QueueReader(client, 'q').done(1)).toEqual([2])
  })
})

describe('expiry of a stream', () => {
  it('holds live, for what waits, and for the log', async () => {
    const publisher = hub.connect()
    const live = new Reader(hub.connect().subscribe('s.#', { from: 'latest' }))
    const slow = hub.connect()
    const [fed, plain] = [{ from: 'latest', bufferLimit: 1 } as const, { bufferLimit: 1 }].map((options) =>
      slow.subscribe('s.#', options),
    )
    await Promise.all([fed?.ready, plain?.ready, hub.settled()])
    await publisher.publish('s.a', 'expired', { expiresAt: hub.now - 1 })
    await publisher.publish('s.a', 1)
    expect(await live.data(1)).toEqual([1])
    // Both have 1 in their buffers, and have asked the hub to hold the rest.
    await hub.settled()
    await publisher.publish('s.a', 'short', { expiresAt: hub.now + 200 })
    await publisher.publish('s.a', 2, { expiresAt: hub.now + 600_000 })
    await hub.advance(200)
    for (const subscription of [fed, plain]) {
      expect(await new Reader(subscription as NonNullable<typeof subscription>).data(2)).toEqual([1, 2])
    }
    const replay = new Reader(hub.connect().subscribe('s.#', { from: 'earliest' }))
    expect(await replay.data(2)).toEqual([1, 2])
    const last = new Reader(hub.connect().subscribe('s.#', { from: { last: 2 } }))
    expect(await last.data(1)).toEqual([2])
  })

  it('holds where the hub was asked to wait', async () => {
    const publisher = hub.connect()
    const frames: Frame[] = []
    const paused = new hub.clientOptions.WebSocket(hub.url, ['fanfare.v1'])
    const say = (...said: object[]) => paused.send(JSON.stringify(said))
    paused.onmessage = ({ data }) => void frames.push(...[JSON.parse(data as string)].flat())
    paused.onopen = () => {
      say({ type: 'subscribe', sub: 1, pattern: 's.a', from: 'latest' }, { type: 'subscribe', sub: 2, pattern: 's.b' })
      say({ type: 'pause', sub: 1 }, { type: 'pause', sub: 2 })
    }
    await hub.settled()
    for (const topic of ['s.a', 's.b']) await publisher.publish(topic, 'short', { expiresAt: hub.now + 30 })
    for (const topic of ['s.a', 's.b']) await publisher.publish(topic, 'long')
    await hub.advance(30)
    say({ type: 'resume', sub: 1 }, { type: 'resume', sub: 2 })
    await hub.settled()
    expect(frames.filter(({ type }) => type === 'paused').length).toBe(2)
    const got = frames.flatMap((frame) => (frame.type === 'message' ? [[frame.topic, frame.data]] : []))
    expect(got.sort()).toEqual([
      ['s.a', 'long'],
      ['s.b', 'long'],
    ])
  })
})
