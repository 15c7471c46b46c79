import { expect, it } from 'vitest'
import type { Broker } from '../../server/broker/broker.ts'
import type { BrokerUnderTest } from '../setup/broker-under-test.ts'
import { onEveryBroker, publishTo, readAll, streamOptions } from '../setup/brokers.ts'
import { cpuSince } from '../setup/cpu-time.ts'
import { range } from '../setup/streams.ts'

/** More topics than a function call takes arguments. */
const MANY = 130_000

onEveryBroker('a broker with many names and much to do', (brokers) => {
  async function publishMany(
    broker: Broker,
    count: number,
    to: { streams?: string[]; queues?: string[] },
    atOnce = 10_000,
  ): Promise<void> {
    for (let from = 0; from < count; from += atOnce) {
      const numbers = range(from, Math.min(from + atOnce, count))
      await Promise.all(numbers.map((n) => publishTo(broker, { topic: `t.${n}`, data: n, streams: [], ...to })))
    }
  }

  /** The most CPU time that the process used without a break while something went on, in milliseconds. */
  async function longestTurn(work: () => Promise<unknown>): Promise<number> {
    let [longest, last] = [0, process.cpuUsage()]
    const timer = setInterval(() => {
      longest = Math.max(longest, cpuSince(last))
      last = process.cpuUsage()
    }, 1)
    await work()
    clearInterval(timer)
    return longest
  }

  /** Counting takes time, too. */
  async function emptied({ records }: BrokerUnderTest): Promise<void> {
    await expect.poll(records, { timeout: 60_000, interval: 1000 }).toBeLessThan(10)
  }

  it('deletes a stream of very many topics, in steps that let others have their turn', {
    timeout: 120_000,
  }, async () => {
    const underTest = await brokers.open()
    const { broker } = underTest
    await broker.declareStream(streamOptions(), false)
    await broker.declareStream(streamOptions({ name: 'other' }), false)
    await publishMany(broker, MANY, { streams: ['s'] })
    expect(await underTest.records()).toBeGreaterThan(MANY)
    const longest = await longestTurn(async () => {
      await broker.deleteStream('s')
      expect(broker.stream('s')).toBeUndefined()
      await publishTo(broker, { topic: 't', data: 'meanwhile', streams: ['other'] })
    })
    expect(longest).toBeLessThan(1000)
    await emptied(underTest)
    expect(await readAll(broker, 'other')).toHaveLength(1)
  })

  it('continues a deletion after a restart, and never reuses a number', { timeout: 120_000 }, async () => {
    const underTest = await brokers.open()
    await underTest.broker.declareStream(streamOptions(), false)
    await publishMany(underTest.broker, 20_000, { streams: ['s'] })
    await underTest.broker.deleteStream('s')
    await underTest.reopen()
    expect(underTest.broker.stream('s')).toBeUndefined()
    await underTest.broker.declareStream(streamOptions(), false)
    await publishTo(underTest.broker, { topic: 't.1', data: 'new' })
    await emptied(underTest)
    expect((await readAll(underTest.broker, 's')).map(({ data }) => data)).toEqual(['new'])
    await underTest.reopen()
    expect((await readAll(underTest.broker, 's')).map(({ data }) => data)).toEqual(['new'])
  })

  it('deletes a queue of very many dead letters', { timeout: 120_000 }, async () => {
    // Making that many on disk takes minutes.
    if (!brokers.isFast) return
    const underTest = await brokers.open()
    const { broker } = underTest
    const options = { name: 'q', bindings: [], ackDeadlineMs: 1000, maxAttempts: 1, backoffBaseMs: 1, backoffCapMs: 1 }
    const rest = { maxMessages: 1, maxBytes: 1e9, overflow: 'dead-letter', onExpiry: 'drop', onDeadLetter: 'continue' }
    await broker.declareQueue({ ...options, ...rest, maxDeadLetters: 1e9 } as never, false)
    await publishMany(broker, MANY, { queues: ['q'] }, 250)
    expect(await underTest.records()).toBeGreaterThan(MANY)
    await broker.deleteQueue('q')
    expect(broker.queue('q')).toBeUndefined()
    await emptied(underTest)
  })

  it('removes expired messages while another stream keeps it busy', async () => {
    const { broker, clock } = await brokers.open()
    await broker.declareStream(streamOptions({ name: 'quiet', maxAgeMs: 1000 }), false)
    await broker.declareStream(streamOptions({ name: 'busy' }), false)
    await publishTo(broker, { topic: 'quiet', data: 0, streams: ['quiet'] })
    clock.now += 2000
    let stopped = false
    const lanes = range(0, 8).map(async (n) => {
      while (!stopped) {
        await publishTo(broker, { topic: 'busy', data: n, streams: ['busy'] })
        await new Promise(setImmediate)
      }
    })
    await expect.poll(() => broker.stream('quiet')).toMatchObject({ first: 1, next: 1 })
    stopped = true
    await Promise.all(lanes)
  })

  it('removes a long tail in steps, without another commit', async () => {
    const underTest = await brokers.open()
    const { broker } = underTest
    await broker.declareStream(streamOptions(), false)
    for (const n of range(0, 300)) await publishTo(broker, { topic: 't', data: n })
    await broker.trimStream('s', 299)
    expect(broker.stream('s')).toMatchObject({ first: 299, next: 300 })
    await expect.poll(() => underTest.records()).toBeLessThan(10)
    expect((await readAll(broker, 's')).map(({ data }) => data)).toEqual([299])
  })

  it('gives a message the same time that a start by time uses', async () => {
    const { broker, clock } = await brokers.open()
    for (const name of ['a', 'b']) await broker.declareStream(streamOptions({ name }), false)
    const times: number[] = []
    const steps = [0, 5000, -60_000, -59_000, 6000]
    for (const [n, step] of steps.entries()) {
      clock.now = 1_000_000 + step
      await publishTo(broker, { topic: 't', data: n, streams: n % 2 ? ['a', 'b'] : ['b'] })
      const block = await broker.read('b', n)
      const at = block?.find(n) as number
      const { publishedAt } = JSON.parse(block?.wire(at) as string) as { publishedAt: number }
      expect(publishedAt).toBe(block?.time(at))
      times.push(publishedAt - 1_000_000)
    }
    expect(times).toEqual([0, 5000, 5000, 5000, 6000])
    const ofA = await broker.read('a', 1)
    expect(ofA?.time(ofA.find(1))).toBe(1_005_000)
    expect(await broker.offsetAtTime('b', 1_005_000)).toBe(1)
  })

  it('lists cursors in pages, and deletes them', async () => {
    const underTest = await brokers.open()
    await underTest.broker.declareStream(streamOptions(), false)
    const names = range(0, 250).map((n) => `c${String(n).padStart(3, '0')}`)
    await Promise.all(names.map((name, n) => underTest.broker.setCursor('s', name, n)))
    await underTest.broker.setCursor('s', 'ann.tab', 7)
    await underTest.reopen()
    const { broker } = underTest
    const [info] = await broker.streams()
    expect(info?.cursorCount).toBe(251)
    expect(Object.keys(info?.cursors ?? {})).toHaveLength(100)
    const page = await broker.cursors('s', { after: 'c100', limit: 3 })
    expect(page.map(({ name, offset }) => [name, offset])).toEqual([
      ['c101', 101],
      ['c102', 102],
      ['c103', 103],
    ])
    expect(await broker.cursors('s', { prefix: 'ann.', limit: 10 })).toMatchObject([{ name: 'ann.tab', offset: 7 }])
    expect(await broker.cursors('s', { prefix: 'ann.', after: 'ann.tab', limit: 10 })).toEqual([])
    await broker.deleteCursor('s', 'c101')
    await expect(broker.deleteCursor('s', 'c101')).rejects.toMatchObject({ code: 'no_cursor' })
    expect(await broker.cursor('s', 'c101')).toBeUndefined()
    expect((await broker.streams())[0]?.cursorCount).toBe(250)
  })

  it('refuses a cursor beyond the limit, and reuses the place of an idle one', async () => {
    const { broker, clock } = await brokers.open({ cursorsPerStream: 3, cursorIdleMs: 10 * 86_400_000 })
    await broker.declareStream(streamOptions({ maxAgeMs: 1e12 }), false)
    await broker.declareStream(streamOptions({ name: 'other', maxAgeMs: 1e12 }), false)
    const set = (...names: string[]) => Promise.all(names.map((name) => broker.setCursor('s', name, 1)))
    await set('a', 'b', 'c')
    await expect(set('d')).rejects.toMatchObject({ code: 'cursor_limit' })
    await set('a')
    await broker.setCursor('other', 'd', 1)
    await broker.deleteCursor('s', 'a')
    await set('d')
    await expect(set('a')).rejects.toMatchObject({ code: 'cursor_limit' })
    clock.now += 6 * 86_400_000
    await set('b')
    // A reader that subscribes with it uses it, even if it does not move.
    await broker.cursor('s', 'c')
    clock.now += 6 * 86_400_000
    await set('e')
    expect((await broker.cursors('s', { limit: 10 })).map(({ name }) => name)).toEqual(['b', 'c', 'e'])
    expect((await broker.streams()).map(({ cursorCount }) => cursorCount)).toEqual([3, 1])
  })
})
