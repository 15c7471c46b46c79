import { describe, expect, it, vi } from 'vitest'
import type { Broker } from '../../server/broker/broker.ts'
import {
  dataOf,
  onEveryBroker,
  publishNumbers,
  publishTo,
  readAll,
  streamOptions,
  withStream,
} from '../setup/brokers.ts'
import { range } from '../setup/streams.ts'

onEveryBroker('broker', (brokers) => {
  describe('retention', () => {
    it('by count keeps from the exact offset', async () => {
      const { broker } = await withStream(brokers, { maxMessages: 100 })
      await publishNumbers(broker, 0, 250)
      expect(broker.stream('s')).toMatchObject({ first: 150, next: 250 })
      await publishNumbers(broker, 250, 251)
      expect(await dataOf(broker)).toEqual(range(151, 251))
    })

    it('by age keeps from the exact message, and may keep nothing', async () => {
      const { broker, clock } = await withStream(brokers, { maxAgeMs: 1000 })
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
      // Any commit triggers retention; nothing is published to this stream.
      await broker.trimStream('s', 0)
      expect(broker.stream('s')).toMatchObject({ first: 12, next: 12, trimmedTo: 0 })
      expect(await dataOf(broker)).toEqual([])
      await publishNumbers(broker, 12, 13)
      expect(await readAll(broker, 's')).toEqual([{ offset: 12, topic: 't', data: 12 }])
    })

    it('by age cuts a block that contains both, as compaction makes them', async () => {
      const { broker, clock } = await withStream(brokers, { lastValue: true, maxAgeMs: 1000 })
      await publishTo(broker, { topic: 't', key: 'old', data: 'old' })
      clock.now += 600
      await Promise.all(range(0, 3000).map((n) => publishTo(broker, { topic: 't', key: 'k', data: n })))
      await broker.trimStream('s', 0)
      // How much is compacted by now is the broker's affair.
      const block = await broker.read('s', 0)
      expect([block?.firstOffset, block?.lastOffset]).toEqual([0, 3000])
      clock.now += 401
      await broker.trimStream('s', 0)
      expect(broker.stream('s')?.first).toBeGreaterThan(0)
      expect(await dataOf(broker)).toEqual([2999])
    })

    it('by bytes deletes the oldest blocks, and keeps the newest whatever its size', async () => {
      const { broker } = await withStream(brokers, { maxBytes: 100_000 })
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
    it('trim deletes everything before an offset, and does not report it as retention', async () => {
      const { broker } = await withStream(brokers)
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

    it('trim does not claim what retention has deleted before', async () => {
      const { broker } = await withStream(brokers, { maxMessages: 2 })
      await publishNumbers(broker, 0, 10)
      await broker.trimStream('s', 5)
      expect(broker.stream('s')).toMatchObject({ first: 8, trimmedTo: 0 })
    })
  })

  describe('last values', () => {
    const put = (broker: Broker, topic: string, key: string | undefined, data: unknown) =>
      publishTo(broker, { topic, data, ...(key !== undefined && { key }) })

    it('are the newest message of each topic and key', async () => {
      const { broker } = await withStream(brokers, { lastValue: true })
      await Promise.all([put(broker, 'a', 'x', 1), put(broker, 'a', 'y', 2), put(broker, 'b', 'x', 3)])
      await Promise.all([put(broker, 'a', 'x', 4), put(broker, 'a', 'x', 5), put(broker, 'b', undefined, 6)])
      expect(await dataOf(broker)).toEqual([2, 3, 5, 6])
    })

    it('distinguish keys of any content', async () => {
      const { broker } = await withStream(brokers, { lastValue: true })
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

    it('compaction of thousands of values keeps the order of the rest', async () => {
      const { broker } = await withStream(brokers, { lastValue: true })
      for (const round of range(0, 20)) {
        await Promise.all(range(0, 500).map((n) => put(broker, `t.${n % 7}`, `${n}`, round * 500 + n)))
      }
      expect(await dataOf(broker)).toEqual(range(9500, 10_000))
      // Far less than the ten thousand published, each of 50 bytes and more.
      await compacts(broker, 2500 * 100)
      expect(await broker.newest('s', ['#'], 1)).toHaveLength(7)
      expect(await broker.newest('s', ['t', '3'], 1000)).toEqual(
        range(9500, 10_000).filter((n) => (n - 9500) % 7 === 3),
      )
    })

    it('compaction leaves each value at its offset', async () => {
      const { broker } = await withStream(brokers, { lastValue: true })
      // Every fiftieth stays, so that those of one commit stay at offsets that do not follow each other.
      const keyOf = (n: number) => (n % 50 === 7 ? `${n}` : 'k')
      await Promise.all(range(0, 3000).map((n) => put(broker, 't', keyOf(n), n)))
      await put(broker, 't', 'k', 3000)
      await compacts(broker, 30_000)
      const kept = range(0, 3001).filter((n) => keyOf(n) !== 'k' || n === 3000)
      const found = await readAll(broker, 's')
      expect(found.map(({ offset, data }) => [offset, data])).toEqual(kept.map((n) => [n, n]))
    })

    it('compaction works if all values of a key arrive in one commit', async () => {
      const { broker } = await withStream(brokers, { lastValue: true })
      for (const round of range(0, 3))
        await Promise.all(range(0, 3000).map((n) => put(broker, 't', 'k', round * 3000 + n)))
      await publishTo(broker, { topic: 'end', data: 'end' })
      await broker.trimStream('s', 0)
      expect(await dataOf(broker)).toEqual([8999, 'end'])
      await compacts(broker, 3500 * 100)
    })

    it('compaction does not move the first offset: what newer values have replaced is not missing', async () => {
      const { broker, clock } = await withStream(brokers, { lastValue: true })
      await Promise.all(range(0, 3000).map((n) => put(broker, 't', 'k', n)))
      await put(broker, 't', 'l', 3000)
      clock.now += 10
      await put(broker, 't', 'k', 3001)
      await compacts(broker, 1000)
      await put(broker, 't', 'm', 3002)
      expect(await dataOf(broker)).toEqual([3000, 3001, 3002])
      expect(broker.stream('s')).toMatchObject({ first: 0, next: 3003 })
    })

    it('compaction does not touch what retention deletes in the same commit', async () => {
      const { broker, clock } = await withStream(brokers, { lastValue: true, maxAgeMs: 1000 })
      await Promise.all(range(0, 3000).map((n) => put(broker, 't', 'old', n)))
      clock.now += 1001
      await Promise.all(range(3000, 6000).map((n) => put(broker, 't', 'k', n)))
      expect(await dataOf(broker)).toEqual([5999])
      await broker.trimStream('s', 0)
      expect((await broker.streams())[0]?.bytes).toBe((await broker.read('s', 0))?.bytes)
    })

    it('retention deletes values together with their messages, and no newer one', async () => {
      const { broker, clock } = await withStream(brokers, { lastValue: true, maxAgeMs: 1000 })
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

    it('replaced values are hidden even if lastValue was switched on later', async () => {
      const underTest = await withStream(brokers, { lastValue: true })
      const { broker } = underTest
      await put(broker, 't', 'k', 0)
      await broker.declareStream(streamOptions(), true)
      for (const n of range(1, 200)) await put(broker, 't', n % 2 ? 'k' : 'l', n)
      expect(await dataOf(broker)).toHaveLength(200)
      await broker.declareStream(streamOptions({ lastValue: true }), true)
      await put(broker, 't', 'm', 200)
      await expect.poll(() => dataOf(broker)).toEqual([198, 199, 200])
      expect(await broker.newest('s', ['t'], 2)).toEqual([199, 200])
      await underTest.reopen()
      await put(underTest.broker, 't', 'l', 201)
      expect(await dataOf(underTest.broker)).toEqual([199, 200, 201])
    })

    it('newest: the values that stand, right after lastValue was switched on', async () => {
      const { broker } = await withStream(brokers, { lastValue: true })
      await put(broker, 't', 'k0', 0)
      await broker.declareStream(streamOptions(), true)
      for (const n of range(1, 101)) await put(broker, 't', `k${n % 50}`, n)
      await broker.declareStream(streamOptions({ lastValue: true }), true)
      const standing = range(51, 101)
      expect(await broker.newest('s', ['t'], 1000)).toEqual(standing)
      expect(await dataOf(broker)).toEqual(standing)
    })

    it('lastValue may be switched on over a long log of small messages', async () => {
      const { broker } = await withStream(brokers)
      const keys = range(0, 5000).map((n) => `k${n}`)
      for (const data of [1, 2]) await Promise.all(keys.map((key) => publishTo(broker, { topic: 't', key, data })))
      await broker.declareStream(streamOptions({ lastValue: true }), true)
      await expect.poll(async () => (await dataOf(broker)).length, { timeout: 20_000 }).toBe(keys.length)
      expect(new Set(await dataOf(broker))).toEqual(new Set([2]))
    })
  })

  describe('finding', () => {
    it('newest: this many of each matching topic', async () => {
      const { broker } = await withStream(brokers, { maxMessages: 20 })
      for (const n of range(0, 30)) await publishTo(broker, { topic: ['a.x', 'a.y', 'b'][n % 3] as string, data: n })
      expect(await broker.newest('s', ['#'], 1)).toEqual([27, 28, 29])
      expect(await broker.newest('s', ['a', '*'], 2)).toEqual([24, 25, 27, 28])
      expect(await broker.newest('s', ['b'], 100)).toEqual([11, 14, 17, 20, 23, 26, 29])
      expect(await broker.newest('s', ['c'], 1)).toEqual([])
      expect(await broker.newest('s', ['#'], 0)).toEqual([])
    })

    it('offsetAtTime: the first message that is not older, across many blocks', async () => {
      const { broker, clock } = await withStream(brokers)
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
      const { broker, clock } = await withStream(brokers)
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
})

/** A broker may compact some blocks at a time, between commits; each trim is an occasion. */
async function compacts(broker: Broker, toBytes: number): Promise<void> {
  await vi.waitFor(
    async () => {
      await broker.trimStream('s', 0)
      const [info] = await broker.streams()
      expect(info?.bytes).toBeLessThan(toBytes)
    },
    { timeout: 20_000 },
  )
}
