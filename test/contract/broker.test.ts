import { describe, expect, it } from 'vitest'
import type { StreamState } from '../../server/broker/broker.ts'
import { FanfareError } from '../../shared/errors.ts'
import {
  DEDUP_WINDOW_MS,
  dataOf,
  onEveryBroker,
  publishNumbers,
  publishTo,
  readAll,
  streamOptions,
  withStream,
} from '../setup/brokers.ts'
import { bareDraft } from '../setup/drafts.ts'
import { range } from '../setup/streams.ts'

onEveryBroker('broker', (brokers) => {
  describe('order', () => {
    it('assigns offsets in publish order, and returns them in the receipts', async () => {
      const { broker } = await withStream(brokers)
      const kept = [...(await publishNumbers(broker, 0, 500)), ...(await publishNumbers(broker, 500, 600))]
      const { epoch } = broker.stream('s') as { epoch: string }
      expect(kept).toEqual(
        range(0, 600).map((offset) => ({ duplicate: false, positions: { s: { epoch, offset } }, queues: [] })),
      )
      expect(await readAll(broker, 's')).toEqual(range(0, 600).map((n) => ({ offset: n, topic: 't', data: n })))
    })

    it('settles in order, when the state of the stream is already updated', async () => {
      const { broker } = await withStream(brokers)
      const settled: number[] = []
      const all = range(0, 300).map(async (n) => {
        const { positions } = await publishTo(broker, { topic: 't', data: n })
        expect(broker.stream('s')?.next).toBeGreaterThan(positions['s']?.offset as number)
        settled.push(n)
      })
      await Promise.all(all)
      expect(settled).toEqual(range(0, 300))
    })

    it('offsets and times continue if the clock jumps back', async () => {
      const { broker, clock } = await withStream(brokers)
      await publishNumbers(broker, 0, 2)
      clock.now -= 500_000
      await publishNumbers(broker, 2, 4)
      clock.now += 500_001
      await publishNumbers(broker, 4, 5)
      expect(await dataOf(broker)).toEqual(range(0, 5))
      expect(await broker.offsetAtTime('s', clock.now)).toBe(4)
      expect(await broker.offsetAtTime('s', clock.now - 1)).toBe(0)
    })

    it('stores text and bytes unchanged, empty and larger than a block', async () => {
      const { broker } = await withStream(brokers)
      const data = ['', 'ünïcödé 😀', new Uint8Array(), new Uint8Array([0, 255]), 'x'.repeat(200_000), 'after']
      await Promise.all(data.map((value) => publishTo(broker, { topic: 't', data: value })))
      const read = await dataOf(broker)
      expect(read.map((value) => (value instanceof Uint8Array ? new Uint8Array(value) : value))).toEqual(data)
    })
  })

  describe('several streams', () => {
    it('a message has a position in each of its streams', async () => {
      const { broker } = await withStream(brokers)
      await broker.declareStream(streamOptions({ name: 'other' }), false)
      await publishTo(broker, { topic: 'a', data: 1 })
      const both = await publishTo(broker, { topic: 'b', data: 2, streams: ['s', 'other'] })
      expect(both.positions).toEqual({
        s: { epoch: broker.stream('s')?.epoch, offset: 1 },
        other: { epoch: broker.stream('other')?.epoch, offset: 0 },
      })
      expect(await dataOf(broker)).toEqual([1, 2])
      expect(await dataOf(broker, 'other')).toEqual([2])
    })

    it('a stream that was deleted after the routing is left out', async () => {
      const { broker } = await withStream(brokers)
      const kept = await publishTo(broker, { topic: 'a', data: 1, streams: ['s', 'gone'] })
      expect(Object.keys(kept.positions)).toEqual(['s'])
    })
  })

  describe('declaring', () => {
    it('declared again with the same options, it is found; with other options it is refused or replaced', async () => {
      const { broker } = await withStream(brokers)
      await publishNumbers(broker, 0, 3)
      const { epoch } = broker.stream('s') as StreamState
      await broker.declareStream(streamOptions(), false)
      const other = streamOptions({ maxMessages: 2 })
      await expect(broker.declareStream(other, false)).rejects.toMatchObject({ code: 'stream_exists' })
      await broker.declareStream(other, true)
      expect(broker.stream('s')).toMatchObject({ options: other, epoch })
      expect(await dataOf(broker)).toEqual([1, 2])
    })

    it('declared twice at once, it exists once', async () => {
      const { broker } = await brokers.open()
      const declared = [streamOptions(), streamOptions(), streamOptions({ maxMessages: 2 })]
      const [one, two, three] = await Promise.allSettled(
        declared.map((options) => broker.declareStream(options, false)),
      )
      expect([one?.status, two?.status]).toEqual(['fulfilled', 'fulfilled'])
      expect(three).toMatchObject({ status: 'rejected', reason: { code: 'stream_exists' } })
      expect(await broker.streams()).toHaveLength(1)
    })

    it('declared after a deletion, it begins a new epoch, at offset 0 and without cursors', async () => {
      const { broker } = await withStream(brokers)
      await publishNumbers(broker, 0, 3)
      await broker.setCursor('s', 'c', 2)
      const before = broker.stream('s')?.epoch
      await Promise.all([broker.deleteStream('s'), broker.declareStream(streamOptions(), false)])
      expect(broker.stream('s')).toMatchObject({ first: 0, next: 0 })
      expect(broker.stream('s')?.epoch).not.toBe(before)
      expect(await broker.cursor('s', 'c')).toBeUndefined()
      expect(await dataOf(broker)).toEqual([])
    })

    it('deletes it for good, even alongside a publish', async () => {
      const underTest = await withStream(brokers)
      await publishNumbers(underTest.broker, 0, 3)
      const [, kept] = await Promise.all([
        underTest.broker.deleteStream('s'),
        publishTo(underTest.broker, { topic: 't', data: 3 }),
      ])
      expect(kept.positions).toEqual({})
      await underTest.reopen()
      expect(underTest.broker.stream('s')).toBeUndefined()
      expect(await underTest.broker.streams()).toEqual([])
    })

    it('operations on a missing stream report that there is none', async () => {
      const { broker } = await brokers.open()
      const calls = [
        broker.deleteStream('s'),
        broker.trimStream('s', 0),
        broker.read('s', 0),
        broker.newest('s', ['#'], 1),
        broker.offsetAtTime('s', 0),
        broker.cursor('s', 'c'),
        broker.setCursor('s', 'c', 0),
      ]
      for (const result of await Promise.allSettled(calls)) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'no_stream' } })
      }
    })
  })

  it('cursors store a position by name', async () => {
    const { broker } = await withStream(brokers)
    await publishNumbers(broker, 0, 5)
    const { epoch } = broker.stream('s') as { epoch: string }
    await Promise.all([broker.setCursor('s', 'a', 1), broker.setCursor('s', 'b', 2), broker.setCursor('s', 'a', 3)])
    expect(await broker.cursor('s', 'a')).toEqual({ epoch, offset: 3 })
    expect(await broker.cursor('s', 'b')).toEqual({ epoch, offset: 2 })
    expect(await broker.cursor('s', 'c')).toBeUndefined()
  })

  describe('a store that fails', () => {
    it('refuses all publishes with its code, and leaves nothing behind, not even a hole', async () => {
      const { broker, failWith } = await withStream(brokers)
      await broker.declareStream(streamOptions({ name: 'other' }), false)
      await publishNumbers(broker, 0, 2)
      failWith(new FanfareError('storage_full', 'There is no room'))
      const lost = [
        publishTo(broker, { topic: 'new', data: 'lost', id: 'again', streams: ['s', 'other'] }),
        publishTo(broker, { topic: 't', data: 'lost' }),
      ]
      const tasks = [broker.setCursor('s', 'c', 1), broker.trimStream('s', 1), broker.deleteStream('other')]
      const more = [...tasks, broker.declareStream(streamOptions({ name: 'third' }), false)]
      for (const result of await Promise.allSettled([...lost, ...more])) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'storage_full' } })
      }
      expect(broker.stream('s')).toMatchObject({ first: 0, next: 2, trimmedTo: 0 })
      expect(broker.stream('other')).toMatchObject({ next: 0 })
      expect(broker.stream('third')).toBeUndefined()
      failWith(undefined)
      expect(await broker.cursor('s', 'c')).toBeUndefined()
      const kept = await publishTo(broker, { topic: 'new', data: 2, id: 'again', streams: ['s', 'other'] })
      expect(kept).toMatchObject({
        duplicate: false,
        positions: { s: { offset: 2 }, other: { offset: 0 } },
        queues: [],
      })
      expect(await dataOf(broker)).toEqual([0, 1, 2])
      expect(await broker.newest('s', ['#'], 5)).toEqual([0, 1, 2])
    })

    it('keeps the last values, and the ids that it knew', async () => {
      const { broker, failWith, clock } = await withStream(brokers, { lastValue: true })
      const value = { topic: 't', key: 'k', data: 1, id: 'one' }
      await publishTo(broker, value)
      failWith(new Error('EIO'))
      await expect(publishTo(broker, { ...value, data: 2, id: 'two' })).rejects.toMatchObject({
        code: 'storage_failed',
      })
      failWith(undefined)
      expect(await dataOf(broker)).toEqual([1])
      expect(await publishTo(broker, value)).toMatchObject({ duplicate: true })
      clock.now += DEDUP_WINDOW_MS
      failWith(new Error('EIO'))
      await expect(publishTo(broker, value)).rejects.toMatchObject({ code: 'storage_failed' })
      failWith(undefined)
      expect(await publishTo(broker, value)).toMatchObject({
        duplicate: false,
        positions: { s: { offset: 1 } },
        queues: [],
      })
      expect(await publishTo(broker, value)).toMatchObject({ duplicate: true })
    })

    it('goes on after a message that cannot be encoded', async () => {
      const { broker } = await withStream(brokers)
      const lost = new Promise((kept, refused) => {
        const draft = bareDraft({
          id: 'a',
          topic: 't',
          route: { generation: broker.generation, streams: ['s'] },
          kept,
          refused,
        })
        const broken = Object.defineProperty(draft, 'rest', {
          get() {
            throw new Error('no form')
          },
        })
        broker.publish(broken)
      })
      await expect(lost).rejects.toMatchObject({ code: 'storage_failed' })
      await publishTo(broker, { topic: 't', data: 'after' })
      expect(await readAll(broker, 's')).toEqual([{ offset: 0, topic: 't', data: 'after' }])
    })
  })

  it('remembers after a restart what was deleted, purged and moved, and never reuses a number', async () => {
    const underTest = await withStream(brokers)
    const once = { topic: 't', data: 1, id: 'once', streams: ['s', 'other'] }
    await underTest.broker.declareStream(streamOptions({ name: 'other' }), false)
    await publishTo(underTest.broker, once)
    await underTest.broker.deleteStream('s')
    await underTest.broker.deleteStream('other')
    await underTest.reopen()
    await underTest.broker.declareStream(streamOptions({ name: 'other' }), false)
    await underTest.broker.declareStream(streamOptions(), false)
    expect(await publishTo(underTest.broker, once)).toMatchObject({ duplicate: false })
    expect(await dataOf(underTest.broker, 'other')).toEqual([1])
    await underTest.reopen()
    expect(await publishTo(underTest.broker, once)).toMatchObject({
      duplicate: true,
      positions: { s: { offset: 0 }, other: { offset: 0 } },
    })
  })

  it('finds everything when it is opened again', async () => {
    const underTest = await withStream(brokers, { maxMessages: 8 })
    await underTest.broker.declareStream(streamOptions({ name: 'values', lastValue: true }), false)
    await publishNumbers(underTest.broker, 0, 10)
    for (const data of [1, 2, 3]) {
      await publishTo(underTest.broker, { topic: 'v', key: 'k', data, id: `id${data}`, streams: ['values'] })
    }
    await underTest.broker.trimStream('s', 4)
    await underTest.broker.setCursor('s', 'c', 6)
    const before = await underTest.broker.streams()
    await underTest.reopen()
    const { broker, clock } = underTest
    expect(await broker.streams()).toEqual(before)
    expect(broker.stream('s')).toMatchObject({ first: 4, next: 10, trimmedTo: 4 })
    expect(await dataOf(broker)).toEqual(range(4, 10))
    expect(await dataOf(broker, 'values')).toEqual([3])
    expect(await broker.cursor('s', 'c')).toEqual({ epoch: broker.stream('s')?.epoch, offset: 6 })
    const again = { topic: 'v', key: 'k', data: 3, id: 'id3', streams: ['values'] }
    expect(await publishTo(broker, again)).toMatchObject({
      duplicate: true,
      positions: { values: { offset: 2 } },
      queues: [],
    })
    clock.now += DEDUP_WINDOW_MS
    expect(await publishTo(broker, again)).toMatchObject({ duplicate: false })
    await underTest.broker.declareStream(streamOptions({ name: 'third' }), false)
    await publishNumbers(broker, 10, 11)
    expect(await dataOf(broker)).toEqual(range(4, 11))
    expect(await dataOf(broker, 'third')).toEqual([])
  })
})
