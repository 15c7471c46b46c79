import { describe, expect, it, vi } from 'vitest'
import type { Broker, Kept } from '../../server/broker/broker.ts'
import { FanfareError } from '../../shared/errors.ts'
import { DEDUP_WINDOW_MS, onEveryBroker, publishTo, readAll, streamOptions } from '../setup/brokers.ts'

onEveryBroker('broker', (brokers) => {
  async function withStream(options: Parameters<typeof streamOptions>[0] = {}, more: { dedupIds?: number } = {}) {
    const underTest = await brokers.open(more)
    await underTest.broker.declareStream(streamOptions(options), false)
    return underTest
  }

  /** Numbers on one topic, all in one turn and so in one group. */
  function publishNumbers(broker: Broker, from: number, to: number, topic = 't'): Promise<Kept[]> {
    return Promise.all(range(from, to).map((n) => publishTo(broker, { topic, data: n })))
  }

  const dataOf = async (broker: Broker, stream = 's') => (await readAll(broker, stream)).map(({ data }) => data)

  describe('order', () => {
    it('gives offsets in the order of publish, and the receipts their positions', async () => {
      const { broker } = await withStream()
      const kept = [...(await publishNumbers(broker, 0, 500)), ...(await publishNumbers(broker, 500, 600))]
      const { epoch } = broker.stream('s') as { epoch: string }
      expect(kept).toEqual(
        range(0, 600).map((offset) => ({ duplicate: false, positions: { s: { epoch, offset } }, queues: [] })),
      )
      expect(await readAll(broker, 's')).toEqual(range(0, 600).map((n) => ({ offset: n, topic: 't', data: n })))
    })

    it('settles in order, with the state of the stream already behind it', async () => {
      const { broker } = await withStream()
      const settled: number[] = []
      const all = range(0, 300).map(async (n) => {
        const { positions } = await publishTo(broker, { topic: 't', data: n })
        expect(broker.stream('s')?.next).toBeGreaterThan(positions['s']?.offset as number)
        settled.push(n)
      })
      await Promise.all(all)
      expect(settled).toEqual(range(0, 300))
    })

    it('offsets and times go on where the clock jumps back', async () => {
      const { broker, clock } = await withStream()
      await publishNumbers(broker, 0, 2)
      clock.now -= 500_000
      await publishNumbers(broker, 2, 4)
      clock.now += 500_001
      await publishNumbers(broker, 4, 5)
      expect(await dataOf(broker)).toEqual(range(0, 5))
      expect(await broker.offsetAtTime('s', clock.now)).toBe(4)
      expect(await broker.offsetAtTime('s', clock.now - 1)).toBe(0)
    })

    it('keeps text and bytes, empty and larger than a block, as they came', async () => {
      const { broker } = await withStream()
      const data = ['', 'ünïcödé 😀', new Uint8Array(), new Uint8Array([0, 255]), 'x'.repeat(200_000), 'after']
      await Promise.all(data.map((value) => publishTo(broker, { topic: 't', data: value })))
      const read = await dataOf(broker)
      expect(read.map((value) => (value instanceof Uint8Array ? new Uint8Array(value) : value))).toEqual(data)
    })
  })

  describe('several streams', () => {
    it('a message has its own place in each of its streams', async () => {
      const { broker } = await withStream()
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

    it('a stream that was deleted since the routing is left out', async () => {
      const { broker } = await withStream()
      const kept = await publishTo(broker, { topic: 'a', data: 1, streams: ['s', 'gone'] })
      expect(Object.keys(kept.positions)).toEqual(['s'])
    })
  })

  describe('duplicates', () => {
    const once = { topic: 't', data: 1, id: 'once' }

    it('of one group and of the next yield the first receipt', async () => {
      const { broker } = await withStream()
      const [first, second] = await Promise.all([publishTo(broker, once), publishTo(broker, once)])
      const third = await publishTo(broker, once)
      expect(first?.duplicate).toBe(false)
      expect(second).toEqual({ duplicate: true, positions: first?.positions, queues: [] })
      expect(third).toEqual(second)
      expect(await dataOf(broker)).toEqual([1])
    })

    it("are told by ids of the publisher's own alone", async () => {
      const { broker } = await withStream()
      await publishNumbers(broker, 0, 2)
      expect(await dataOf(broker)).toEqual([0, 1])
    })

    it('are known for the window and no longer', async () => {
      const { broker, clock } = await withStream()
      await publishTo(broker, once)
      clock.now += DEDUP_WINDOW_MS - 1
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: true })
      clock.now += 1
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: false })
      expect(await publishTo(broker, once)).toMatchObject({
        duplicate: true,
        positions: { s: { offset: 1 } },
        queues: [],
      })
    })

    it('are known of the newest ids alone where there are too many', async () => {
      const { broker } = await withStream({}, { dedupIds: 3 })
      for (const id of ['a', 'b', 'c', 'd']) await publishTo(broker, { topic: 't', data: id, id })
      expect(await publishTo(broker, { topic: 't', data: 'd', id: 'd' })).toMatchObject({ duplicate: true })
      expect(await publishTo(broker, { topic: 't', data: 'b', id: 'b' })).toMatchObject({ duplicate: true })
      expect(await publishTo(broker, { topic: 't', data: 'a', id: 'a' })).toMatchObject({ duplicate: false })
    })

    it('are the same publisher and topic, too', async () => {
      const { broker } = await withStream()
      await publishTo(broker, once)
      expect(await publishTo(broker, { ...once, topic: 'u' })).toMatchObject({ duplicate: false })
      expect(await publishTo(broker, { ...once, publisher: 'q' })).toMatchObject({ duplicate: false })
      expect(await publishTo(broker, { ...once, publisher: 'q' })).toMatchObject({
        duplicate: true,
        positions: { s: { offset: 2 } },
      })
    })

    it('are not of a stream that has been deleted, or trimmed', async () => {
      const { broker } = await withStream()
      await publishTo(broker, once)
      await broker.deleteStream('s')
      await broker.declareStream(streamOptions(), false)
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: false })
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: true })
      await broker.trimStream('s', 1)
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: false, positions: { s: { offset: 1 } } })
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: true, positions: { s: { offset: 1 } } })
    })

    it('are known again where a deletion could not be stored', async () => {
      const { broker, failWith } = await withStream()
      await publishTo(broker, once)
      failWith(new Error('EIO'))
      const outcomes = await Promise.allSettled([
        broker.deleteStream('s'),
        broker.declareStream(streamOptions({ name: 'other' }), false),
        publishTo(broker, { ...once, streams: ['s', 'other'] }),
      ])
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
      failWith(undefined)
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: true, positions: { s: { offset: 0 } } })
    })

    it('are known of the newest ids where one commit has more than the limit', async () => {
      const underTest = await withStream({}, { dedupIds: 3 })
      const publish = (n: number) => publishTo(underTest.broker, { topic: 't', data: n, id: `m${n}` })
      await Promise.all(range(0, 10).map(publish))
      if (brokers.keeps) await underTest.reopen()
      for (const n of [9, 7]) expect(await publish(n)).toMatchObject({ duplicate: true })
      expect(await publish(6)).toMatchObject({ duplicate: false })
      expect(await publish(7)).toMatchObject({ duplicate: false })
      expect(await publish(9)).toMatchObject({ duplicate: true })
    })
  })

  describe('retention', () => {
    it('by count begins at the exact offset', async () => {
      const { broker } = await withStream({ maxMessages: 100 })
      await publishNumbers(broker, 0, 250)
      expect(broker.stream('s')).toMatchObject({ first: 150, next: 250 })
      await publishNumbers(broker, 250, 251)
      expect(await dataOf(broker)).toEqual(range(151, 251))
    })

    it('by age begins at the exact message, and may leave nothing', async () => {
      const { broker, clock } = await withStream({ maxAgeMs: 1000 })
      await publishNumbers(broker, 0, 5)
      clock.now += 600
      await publishNumbers(broker, 5, 10)
      clock.now += 400
      await publishNumbers(broker, 10, 11)
      expect(broker.stream('s')?.first).toBe(0)
      clock.now += 1
      await publishNumbers(broker, 11, 12)
      expect(await dataOf(broker)).toEqual(range(5, 12))
      clock.now += 1001
      // Whatever is committed lets retention look; nothing of this stream is published.
      await broker.trimStream('s', 0)
      expect(broker.stream('s')).toMatchObject({ first: 12, next: 12, trimmedTo: 0 })
      expect(await dataOf(broker)).toEqual([])
      await publishNumbers(broker, 12, 13)
      expect(await readAll(broker, 's')).toEqual([{ offset: 12, topic: 't', data: 12 }])
    })

    it('by age cuts a block that holds both, as compaction makes them', async () => {
      const { broker, clock } = await withStream({ lastValue: true, maxAgeMs: 1000 })
      await publishTo(broker, { topic: 't', key: 'old', data: 'old' })
      clock.now += 600
      await Promise.all(range(0, 3000).map((n) => publishTo(broker, { topic: 't', key: 'k', data: n })))
      await broker.trimStream('s', 0)
      expect((await broker.read('s', 0))?.count).toBe(2)
      clock.now += 401
      await broker.trimStream('s', 0)
      expect(broker.stream('s')).toMatchObject({ first: 3000, next: 3001 })
      expect(await dataOf(broker)).toEqual([2999])
    })

    it('by bytes lets go of the oldest blocks, and keeps the newest whatever its size', async () => {
      const { broker } = await withStream({ maxBytes: 100_000 })
      const text = 'x'.repeat(10_000)
      for (const n of range(0, 30)) await publishTo(broker, { topic: 't', data: `${n} ${text}` })
      await broker.trimStream('s', 0)
      const [info] = await broker.streams()
      expect(info?.bytes).toBeLessThanOrEqual(100_000)
      expect(info?.bytes).toBeGreaterThan(90_000)
      const numbers = (await dataOf(broker)).map((data) => Number.parseInt(data as string, 10))
      expect(numbers).toEqual(range(broker.stream('s')?.first as number, 30))
      expect(numbers.length).toBe(9)
      await publishTo(broker, { topic: 't', data: 'y'.repeat(150_000) })
      await broker.trimStream('s', 0)
      expect(broker.stream('s')).toMatchObject({ first: 30, next: 31 })
      expect(await dataOf(broker)).toHaveLength(1)
    })
  })

  describe('trimming', () => {
    it('lets go of what lies before an offset, and says that it was no retention', async () => {
      const { broker } = await withStream()
      await publishNumbers(broker, 0, 10)
      await broker.trimStream('s', 4)
      expect(broker.stream('s')).toMatchObject({ first: 4, next: 10, trimmedTo: 4 })
      await broker.trimStream('s', 2)
      expect(await dataOf(broker)).toEqual(range(4, 10))
      await broker.trimStream('s', 1_000_000)
      expect(broker.stream('s')).toMatchObject({ first: 10, next: 10, trimmedTo: 10 })
      await publishNumbers(broker, 10, 11)
      expect(await dataOf(broker)).toEqual([10])
    })

    it('does not claim what retention has taken before', async () => {
      const { broker } = await withStream({ maxMessages: 2 })
      await publishNumbers(broker, 0, 10)
      await broker.trimStream('s', 5)
      expect(broker.stream('s')).toMatchObject({ first: 8, trimmedTo: 0 })
    })
  })

  describe('last values', () => {
    const put = (broker: Broker, topic: string, key: string | undefined, data: unknown) =>
      publishTo(broker, { topic, data, ...(key !== undefined && { key }) })

    it('shows the newest message of each topic and key', async () => {
      const { broker } = await withStream({ lastValue: true })
      await Promise.all([put(broker, 'a', 'x', 1), put(broker, 'a', 'y', 2), put(broker, 'b', 'x', 3)])
      await Promise.all([put(broker, 'a', 'x', 4), put(broker, 'a', 'x', 5), put(broker, 'b', undefined, 6)])
      expect(await dataOf(broker)).toEqual([2, 3, 5, 6])
    })

    it('tells keys apart that hold anything', async () => {
      const { broker } = await withStream({ lastValue: true })
      const keys = [
        'a',
        'a\u0000',
        '\u0000',
        '\u0001',
        'a b',
        ' ',
        'ü',
        '\uffff',
        '😀',
        'k'.repeat(255),
        '字'.repeat(255),
      ]
      for (const round of [0, 1]) for (const key of keys) await put(broker, 't', key, `${round}${key}`)
      expect(await dataOf(broker)).toEqual(keys.map((key) => `1${key}`))
    })

    it('compacts thousands of values, in the order of what is left', async () => {
      const { broker } = await withStream({ lastValue: true })
      for (const round of range(0, 20)) {
        await Promise.all(range(0, 500).map((n) => put(broker, `t.${n % 7}`, `${n}`, round * 500 + n)))
      }
      expect(await dataOf(broker)).toEqual(range(9500, 10_000))
      const [info] = await broker.streams()
      // Far less than the ten thousand that came, each of 50 bytes and more.
      expect(info?.bytes).toBeLessThan(2500 * 100)
      expect(await broker.newest('s', ['#'], 1)).toHaveLength(7)
      expect(await broker.newest('s', ['t', '3'], 1000)).toEqual(
        range(9500, 10_000).filter((n) => (n - 9500) % 7 === 3),
      )
    })

    it('compacts where all values of a key come in one group', async () => {
      const { broker } = await withStream({ lastValue: true })
      for (const round of range(0, 3))
        await Promise.all(range(0, 3000).map((n) => put(broker, 't', 'k', round * 3000 + n)))
      await publishTo(broker, { topic: 'end', data: 'end' })
      await broker.trimStream('s', 0)
      expect(await dataOf(broker)).toEqual([8999, 'end'])
      const [info] = await broker.streams()
      expect(info?.bytes).toBeLessThan(3500 * 100)
    })

    it('leaves alone what retention lets go of in the same commit', async () => {
      const { broker, clock } = await withStream({ lastValue: true, maxAgeMs: 1000 })
      await Promise.all(range(0, 3000).map((n) => put(broker, 't', 'old', n)))
      clock.now += 1001
      await Promise.all(range(3000, 6000).map((n) => put(broker, 't', 'k', n)))
      expect(await dataOf(broker)).toEqual([5999])
      await broker.trimStream('s', 0)
      expect((await broker.streams())[0]?.bytes).toBe((await broker.read('s', 0))?.bytes)
    })

    it('forgets values with the messages that retention lets go of, and no newer one', async () => {
      const { broker, clock } = await withStream({ lastValue: true, maxAgeMs: 1000 })
      await put(broker, 't', 'old', 1)
      await put(broker, 't', 'k', 2)
      clock.now += 1001
      await put(broker, 't', 'k', 3)
      await put(broker, 't', 'other', 4)
      expect(await dataOf(broker)).toEqual([3, 4])
      await put(broker, 't', 'k', 5)
      expect(await dataOf(broker)).toEqual([4, 5])
      expect(await broker.newest('s', ['t'], 10)).toEqual([3, 4])
    })

    it('hides the values that are replaced also where it was switched on later', async () => {
      const underTest = await withStream({ lastValue: true })
      const { broker } = underTest
      await put(broker, 't', 'k', 0)
      await broker.declareStream(streamOptions(), true)
      for (const n of range(1, 200)) await put(broker, 't', n % 2 ? 'k' : 'l', n)
      expect(await dataOf(broker)).toHaveLength(200)
      await broker.declareStream(streamOptions({ lastValue: true }), true)
      await put(broker, 't', 'm', 200)
      await vi.waitFor(async () => expect(await dataOf(broker)).toEqual([198, 199, 200]))
      expect(await broker.newest('s', ['t'], 2)).toEqual([199, 200])
      if (brokers.keeps) await underTest.reopen()
      await put(underTest.broker, 't', 'l', 201)
      expect(await dataOf(underTest.broker)).toEqual([199, 200, 201])
    })
  })

  describe('finding', () => {
    it('newest: so many of each topic that matches', async () => {
      const { broker } = await withStream({ maxMessages: 20 })
      for (const n of range(0, 30)) await publishTo(broker, { topic: ['a.x', 'a.y', 'b'][n % 3] as string, data: n })
      expect(await broker.newest('s', ['#'], 1)).toEqual([27, 28, 29])
      expect(await broker.newest('s', ['a', '*'], 2)).toEqual([24, 25, 27, 28])
      expect(await broker.newest('s', ['b'], 100)).toEqual([11, 14, 17, 20, 23, 26, 29])
      expect(await broker.newest('s', ['c'], 1)).toEqual([])
      expect(await broker.newest('s', ['#'], 0)).toEqual([])
    })

    it('offsetAtTime: the first that is not older, over many blocks', async () => {
      const { broker, clock } = await withStream()
      const start = clock.now
      for (const n of range(0, 50)) {
        clock.now = start + n * 10
        await publishNumbers(broker, n * 3, n * 3 + 3)
      }
      for (const n of [0, 1, 24, 49]) {
        expect(await broker.offsetAtTime('s', start + n * 10)).toBe(n * 3)
        expect(await broker.offsetAtTime('s', start + n * 10 - 9)).toBe(n * 3)
      }
      expect(await broker.offsetAtTime('s', clock.now + 1)).toBe(150)
      expect(await broker.offsetAtTime('s', 0)).toBe(0)
      await broker.trimStream('s', 100)
      expect(await broker.offsetAtTime('s', 0)).toBe(100)
    })

    it('streams: what an operator sees', async () => {
      const { broker, clock } = await withStream()
      const oldestAt = clock.now
      await publishNumbers(broker, 0, 2)
      clock.now += 10
      await publishNumbers(broker, 2, 3)
      await broker.setCursor('s', 'reports', 2)
      const { epoch } = broker.stream('s') as { epoch: string }
      const [info] = await broker.streams()
      expect(info).toMatchObject({ ...streamOptions(), epoch, first: 0, next: 3, oldestAt, newestAt: clock.now })
      expect(info?.cursors).toEqual({ reports: { epoch, offset: 2 } })
      expect(info?.bytes).toBeGreaterThan(0)
    })
  })

  describe('declaring', () => {
    it('again with the same options finds it; with others refuses, or replaces them', async () => {
      const { broker } = await withStream()
      await publishNumbers(broker, 0, 3)
      const { epoch } = await broker.declareStream(streamOptions(), false)
      const other = streamOptions({ maxMessages: 2 })
      await expect(broker.declareStream(other, false)).rejects.toMatchObject({ code: 'stream_exists' })
      expect(await broker.declareStream(other, true)).toMatchObject({ options: other, epoch })
      expect(await dataOf(broker)).toEqual([1, 2])
    })

    it('twice at once makes one', async () => {
      const { broker } = await brokers.open()
      const declared = [streamOptions(), streamOptions(), streamOptions({ maxMessages: 2 })]
      const [one, two, three] = await Promise.allSettled(
        declared.map((options) => broker.declareStream(options, false)),
      )
      expect([one?.status, two?.status]).toEqual(['fulfilled', 'fulfilled'])
      expect(three).toMatchObject({ status: 'rejected', reason: { code: 'stream_exists' } })
      if (!brokers.keeps) return
      expect(await broker.streams()).toHaveLength(1)
    })

    it('after a deletion begins a new epoch, at offset 0 and without cursors', async () => {
      const { broker } = await withStream()
      await publishNumbers(broker, 0, 3)
      await broker.setCursor('s', 'c', 2)
      const before = broker.stream('s')?.epoch
      const [, again] = await Promise.all([broker.deleteStream('s'), broker.declareStream(streamOptions(), false)])
      expect(again).toMatchObject({ first: 0, next: 0 })
      expect(again.epoch).not.toBe(before)
      expect(await broker.cursor('s', 'c')).toBeUndefined()
      expect(await dataOf(broker)).toEqual([])
    })

    it('deletes for good, also beside a publish', async () => {
      const underTest = await withStream()
      await publishNumbers(underTest.broker, 0, 3)
      const [, kept] = await Promise.all([
        underTest.broker.deleteStream('s'),
        publishTo(underTest.broker, { topic: 't', data: 3 }),
      ])
      expect(kept.positions).toEqual({})
      if (brokers.keeps) await underTest.reopen()
      expect(underTest.broker.stream('s')).toBeUndefined()
      expect(await underTest.broker.streams()).toEqual([])
    })

    it('what needs a stream says that there is none', async () => {
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

  it('cursors hold a position by name', async () => {
    const { broker } = await withStream()
    await publishNumbers(broker, 0, 5)
    const { epoch } = broker.stream('s') as { epoch: string }
    await Promise.all([broker.setCursor('s', 'a', 1), broker.setCursor('s', 'b', 2), broker.setCursor('s', 'a', 3)])
    expect(await broker.cursor('s', 'a')).toEqual({ epoch, offset: 3 })
    expect(await broker.cursor('s', 'b')).toEqual({ epoch, offset: 2 })
    expect(await broker.cursor('s', 'c')).toBeUndefined()
  })

  describe('a store that fails', () => {
    it('refuses all with the code, leaves nothing behind, and no hole', async () => {
      const { broker, failWith } = await withStream()
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

    it('keeps the values that stood, and what it knew of ids', async () => {
      const { broker, failWith, clock } = await withStream({ lastValue: true })
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

    it('goes on behind a message that cannot be encoded', async () => {
      const { broker } = await withStream()
      const broken = {
        toJSON() {
          throw new Error('no form')
        },
      }
      const lost = publishTo(broker, { topic: 't', data: broken })
      await expect(lost).rejects.toMatchObject({ code: 'storage_failed' })
      await publishTo(broker, { topic: 't', data: 'after' })
      expect(await readAll(broker, 's')).toEqual([{ offset: 0, topic: 't', data: 'after' }])
    })
  })

  if (brokers.keeps) {
    it('remembers after a restart what was deleted, purged and moved, and uses no number again', async () => {
      const underTest = await withStream()
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

    it('finds everything again when it is opened anew', async () => {
      const underTest = await withStream({ maxMessages: 8 })
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
  }
})

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, n) => from + n)
}
