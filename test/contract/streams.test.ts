import { describe, expect, it } from 'vitest'
import type { Message, SubscribeOptions, SubscriptionGap } from '../../client/node.ts'
import type { Frame } from '../../shared/frames.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Reader } from '../setup/reader.ts'
import { publishNumbers, range, streamWorlds } from '../setup/streams.ts'

const OUTBOX_BYTES = 512 * 1024
const TEXT = 'x'.repeat(4000)

onEveryEngine('streams', (hubs) => {
  const start = streamWorlds(hubs)

  describe('start', () => {
    it('latest, earliest, at an offset, at a time, with the last messages; then live', async () => {
      const { client } = await start()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 5)
      const { positions } = await publisher.publish('s.a', 5)
      const { epoch } = positions['s'] as { epoch: string }
      const reader = client()
      const [last] = await new Reader(reader.subscribe('s.a', { from: { last: 1 } })).take(1)
      // A later millisecond, so that the time names one place.
      while (Date.now() <= (last?.publishedAt as number)) await new Promise(setImmediate)
      await publishNumbers(publisher, 's.a', 6, 8)
      const from = async (options: SubscribeOptions) => {
        const subscription = reader.subscribe('s.#', options)
        await subscription.ready
        return new Reader(subscription)
      }
      const readers: [Reader<unknown>, number][] = [
        [await from({ from: 'latest' }), 8],
        [await from({ policy: 'pause' }), 8],
        [await from({ from: 'earliest' }), 0],
        [await from({ from: { offset: 3, epoch } }), 3],
        [await from({ from: { offset: 4 } }), 4],
        [await from({ from: { time: (last?.publishedAt as number) + 1 } }), 6],
        [await from({ from: { last: 2 } }), 6],
      ]
      await publishNumbers(publisher, 's.a', 8, 10)
      for (const [numbers, first] of readers) expect(await numbers.data(10 - first)).toEqual(range(first, 10))
    })

    it('delivers what matches the pattern and passes the filter, from the log as well as live', async () => {
      const { client } = await start()
      const publisher = client()
      const publish = async (from: number, to: number) => {
        for (const n of range(from, to)) {
          const data = n % 3 === 0 ? new Uint8Array([n]) : n
          await publisher.publish(n % 2 ? 's.odd' : 's.even', data, { headers: { third: `${n % 3 === 0}` } })
        }
      }
      await publish(0, 30)
      const odd = new Reader(client().subscribe('s.odd', { from: 'earliest' }))
      const filter = { all: { third: 'true' } }
      const third = new Reader(client().subscribe('s.*', { from: 'earliest', filter }))
      const lastOdd = new Reader(client().subscribe('s.odd', { from: { last: 3 }, filter }))
      expect((await odd.take(15)).map(({ offsets }) => offsets?.['s'])).toEqual(range(0, 30).filter((n) => n % 2))
      expect((await third.data(10)).map((data) => [...(data as Uint8Array)])).toEqual(range(0, 10).map((n) => [n * 3]))
      await publish(30, 40)
      expect((await odd.take(5)).map(({ offsets }) => offsets?.['s'])).toEqual([31, 33, 35, 37, 39])
      expect((await third.take(4)).map(({ offsets }) => offsets?.['s'])).toEqual([30, 33, 36, 39])
      // 25, 27 and 29 were the last; of those and of later ones 27, 33 and 39 pass.
      expect((await lastOdd.take(3)).map(({ offsets }) => offsets?.['s'])).toEqual([27, 33, 39])
    })

    it('stores text and bytes unchanged, in order', async () => {
      const { client } = await start()
      const publisher = client()
      const data = [0, 'ünïcödé 😀', new Uint8Array([0, 255]), new Uint8Array(), { a: [null] }, 'x'.repeat(100_000)]
      const bytes = new Uint8Array(150_000).fill(7)
      const all = [...data, bytes, bytes, ...data, undefined]
      const live = client().subscribe('s.mixed', { from: 'latest' })
      await live.ready
      await Promise.all(all.map((value) => publisher.publish('s.mixed', value)))
      const replay = new Reader(client().subscribe('s.mixed', { from: 'earliest' }))
      expect((await replay.data(all.length)).map(comparable)).toEqual(all.map(comparable))
      expect((await new Reader(live).data(all.length)).map(comparable)).toEqual(all.map(comparable))
    })

    it('last: 1 returns the newest of each topic at once', async () => {
      const { client } = await start()
      const publisher = client()
      for (const n of range(0, 30)) await publisher.publish(`s.${n % 3}`, n)
      const values = new Reader(client().subscribe('s.*', { from: { last: 1 } }))
      expect(await values.data(3)).toEqual([27, 28, 29])
      await publisher.publish('s.0', 30)
      expect(await values.data(1)).toEqual([30])
    })

    it('last: 1 of a last-value stream, which keeps the newest of each key', async () => {
      const { client } = await start({ streams: [{ name: 'v', topics: ['v.#'], lastValue: true }] })
      const publisher = client()
      for (const round of range(0, 3)) {
        await Promise.all(range(0, 2000).map((n) => publisher.publish('v.k', round * 2000 + n, { key: `${n % 5}` })))
      }
      const replay = new Reader(client().subscribe('v.#', { from: 'earliest' }))
      const last = new Reader(client().subscribe('v.#', { from: { last: 2 } }))
      expect(await replay.data(5)).toEqual(range(5995, 6000))
      expect(await last.data(2)).toEqual([5998, 5999])
      await publisher.publish('v.k', 6000, { key: '3' })
      expect(await replay.data(1)).toEqual([6000])
      expect(await last.data(1)).toEqual([6000])
    })

    it('of a stream that does not exist, is ambiguous, or does not capture the topic is refused', async () => {
      const streams = [
        { name: 'a', topics: ['t.*'] },
        { name: 'b', topics: ['t.#'] },
      ]
      const { client } = await start({ streams })
      const reader = client()
      const refusal = (pattern: string, options: SubscribeOptions) =>
        expect(reader.subscribe(pattern, options).ready).rejects
      await refusal('t.x', { from: 'earliest' }).toMatchObject({ code: 'ambiguous_stream' })
      await refusal('#', { from: 'earliest' }).toMatchObject({ code: 'no_stream' })
      await refusal('t.x', { from: 'earliest', stream: 'c' }).toMatchObject({ code: 'no_stream' })
      await refusal('#', { policy: 'pause' }).toMatchObject({ code: 'policy_unsupported' })
      await refusal('#', { cursor: 'c' }).toMatchObject({ code: 'no_stream' })
    })
  })

  describe('seam', () => {
    it('each continues live with every number once and in order, at full speed', async () => {
      const { client } = await start()
      const [PUBLISHERS, EACH] = [4, 2000]
      const readers: Promise<void>[] = []
      const join = () => {
        const whole = client().subscribe('s.*', { from: 'earliest', bufferLimit: 100_000 })
        readers.push(readWhole(new Reader(whole), PUBLISHERS * EACH))
        const last = client().subscribe('s.*', { from: { last: 3 }, bufferLimit: 100_000 })
        readers.push(readLast(new Reader(last), PUBLISHERS, EACH))
      }
      const publish = async (publisher: number) => {
        const own = client()
        for (let n = 0; n < EACH; n += 100) {
          await Promise.all(range(n, n + 100).map((number) => own.publish(`s.${publisher}`, number)))
          if (Math.random() < 0.1 && readers.length < 24) join()
        }
      }
      join()
      await Promise.all(range(0, PUBLISHERS).map(publish))
      join()
      await Promise.all(readers)
    })

    async function readWhole(reader: Reader<unknown>, count: number): Promise<void> {
      const next = new Map<string, number>()
      for (let offset = 0; offset < count; offset++) {
        const { topic, data, offsets } = await reader.next()
        expect(offsets?.['s']).toBe(offset)
        expect(data).toBe(next.get(topic) ?? 0)
        next.set(topic, (data as number) + 1)
      }
    }

    /** Three of each topic that has this many, or all, and everything from there on. */
    async function readLast(reader: Reader<unknown>, topics: number, each: number): Promise<void> {
      const next = new Map<string, number>()
      let newest = -1
      for (let finished = 0; finished < topics; ) {
        const { topic, data, offsets } = await reader.next()
        expect(offsets?.['s']).toBeGreaterThan(newest)
        newest = offsets?.['s'] as number
        expect(data).toBe(next.get(topic) ?? data)
        next.set(topic, (data as number) + 1)
        if (data === each - 1) finished++
      }
    }

    it('overlapping subscriptions of one connection each get their messages once', async () => {
      const { client } = await start()
      const publisher = client()
      const reader = client()
      await publishNumbers(publisher, 's.a', 0, 2000)
      const seen: Record<string, unknown[]> = { plain: [], narrow: [], whole: [], last: [], latest: [] }
      const into = (name: string) => (message: Message) => void seen[name]?.push(message.data)
      const subscriptions = [
        reader.subscribe('s.#', into('plain')),
        reader.subscribe('s.a', into('narrow'), { policy: 'drop-newest' }),
        reader.subscribe('s.#', into('whole'), { from: 'earliest' }),
        reader.subscribe('s.a', into('last'), { from: { last: 10 } }),
        reader.subscribe('#', into('latest'), { stream: 's', from: 'latest' }),
      ]
      await Promise.all(subscriptions.map(({ ready }) => ready))
      await publishNumbers(publisher, 's.a', 2000, 4000)
      await publisher.publish('s.end', 'end')
      await expect.poll(() => Object.values(seen).map((list) => list.at(-1))).toEqual(['end', 3999, 'end', 3999, 'end'])
      const end = ['end']
      expect(seen).toEqual({
        plain: [...range(2000, 4000), ...end],
        narrow: range(2000, 4000),
        whole: [...range(0, 4000), ...end],
        last: range(1990, 4000),
        latest: [...range(2000, 4000), ...end],
      })
    })

    it('a message that two streams capture is in both, and reaches each subscription once', async () => {
      const streams = [
        { name: 'one', topics: ['t.#'] },
        { name: 'two', topics: ['t.b', 'u'] },
      ]
      const { client } = await start({ streams })
      const publisher = client()
      const reader = client()
      const one = new Reader(reader.subscribe('t.b', { stream: 'one', from: 'earliest' }))
      const two = new Reader(reader.subscribe('#', { stream: 'two', from: 'earliest' }))
      await publisher.publish('t.a', 0)
      const { positions } = await publisher.publish('t.b', 1)
      expect(positions).toMatchObject({ one: { offset: 1 }, two: { offset: 0 } })
      expect(await one.next()).toMatchObject({ data: 1, offsets: { one: 1, two: 0 } })
      expect(await two.next()).toMatchObject({ data: 1, offsets: { one: 1, two: 0 } })
      await publisher.publish('u', 2)
      await publisher.publish('t.b', 3)
      expect(await one.data(1)).toEqual([3])
      expect(await two.data(2)).toEqual([2, 3])
    })
  })

  describe('a reader that cannot keep up', () => {
    /** A peer that has stopped reading while 4,000 messages of 4 kB were published. */
    async function stalled(subscribe: object) {
      const world = await start({ outboxBytes: OUTBOX_BYTES, frameBytes: 64 * 1024 })
      const slow = await world.peer()
      await slow.subscribe(1, 's.flood', subscribe)
      slow.stall()
      const publisher = world.client()
      let most = 0
      for (const n of range(0, 40)) {
        await Promise.all(range(n * 100, n * 100 + 100).map((data) => publisher.publish('s.flood', { data, TEXT })))
        most = Math.max(most, world.hub.outboxBytes)
      }
      return { slow, most, publisher }
    }

    async function until(peer: Awaited<ReturnType<typeof stalled>>['slow'], last: number) {
      for (;;) {
        const { data } = await peer.next('message')
        if ((data as { data: number }).data === last) return
      }
    }

    const numbersIn = (frames: readonly Frame[]) =>
      frames.flatMap((frame) => (frame.type === 'message' ? [(frame.data as { data: number }).data] : []))

    it('pause: is fed from the log, loses nothing, and the hub holds little for it', async () => {
      const { slow, most, publisher } = await stalled({ policy: 'pause' })
      expect(most).toBeLessThan(OUTBOX_BYTES)
      slow.goOn()
      await slow.next('behind')
      await slow.next('live')
      await publisher.publish('s.flood', { data: 4000 })
      await until(slow, 4000)
      expect(numbersIn(slow.frames)).toEqual(range(0, 4001))
      expect(slow.frames.some(({ type }) => type === 'gap')).toBe(false)
      const behind = slow.frames.findIndex(({ type }) => type === 'behind')
      expect(slow.frames[behind]).toMatchObject({ offset: numbersIn(slow.frames.slice(0, behind)).length })
    })

    it('drop-oldest: is notified of what it misses', async () => {
      const { slow, publisher } = await stalled({ stream: 's', policy: 'drop-oldest' })
      slow.goOn()
      await publisher.publish('s.flood', { data: 4000 })
      await until(slow, 4000)
      const lost = slow.frames.reduce((sum, frame) => sum + (frame.type === 'gap' ? (frame.count as number) : 0), 0)
      expect(lost).toBeGreaterThan(0)
      expect(numbersIn(slow.frames).length + lost).toBe(4001)
    })

    it('pause next to a plain subscription: each gets its messages once', async () => {
      const world = await start({ outboxBytes: OUTBOX_BYTES, frameBytes: 64 * 1024 })
      const slow = await world.peer()
      await slow.subscribe(1, 's.flood')
      await slow.subscribe(2, 's.#', { policy: 'pause' })
      await slow.subscribe(3, '#')
      slow.stall()
      const publisher = world.client()
      for (const n of range(0, 40)) {
        await Promise.all(range(n * 100, n * 100 + 100).map((data) => publisher.publish('s.flood', { data, TEXT })))
      }
      slow.goOn()
      await slow.next('live')
      await publisher.publish('s.flood', { data: 4000 })
      await until(slow, 4000)
      // As a client would: a shared message is for live subscriptions, one after `only` for that one.
      const byStream = numbersIn(slow.framesFor(2))
      expect(byStream).toEqual(range(0, 4001))
      const plain = slow.framesFor(1)
      const lost = plain.reduce((sum, frame) => sum + (frame.type === 'gap' ? (frame.count as number) : 0), 0)
      expect(numbersIn(plain).length + lost).toBe(4001)
    })

    it('pauses and resumes by itself at a slow reader', async () => {
      const { client } = await start()
      const publisher = client()
      const gaps: SubscriptionGap[] = []
      await publishNumbers(publisher, 's.slow', 0, 1000)
      const slow = client().subscribe('s.slow', { from: 'earliest', bufferLimit: 20, onGap: (gap) => gaps.push(gap) })
      const more = publishNumbers(publisher, 's.slow', 1000, 3000)
      const seen: unknown[] = []
      for await (const { data } of slow) {
        seen.push(data)
        if (seen.length === 3000) break
        if (seen.length % 10 === 0) await new Promise(setImmediate)
      }
      await more
      expect(seen).toEqual(range(0, 3000))
      expect(gaps).toEqual([])
    })
  })

  it('replay does not hold up live messages elsewhere', async () => {
    const { client, peer } = await start()
    const publisher = client()
    for (const n of range(0, 40)) {
      await Promise.all(range(n * 100, n * 100 + 100).map((data) => publisher.publish('s.long', { data, TEXT })))
    }
    const live = await peer()
    await live.subscribe(1, 'live')
    const replaying = await peer()
    replaying.send({ type: 'subscribe', sub: 1, pattern: 's.long', from: 'earliest' })
    await replaying.next('message')
    for (const seq of range(0, 5)) {
      live.send({ type: 'publish', seq, topic: 'live', data: seq })
      await live.next('message')
    }
    expect(replaying.frames.filter(({ type }) => type === 'message').length).toBeLessThan(4000)
    await replaying.next('live')
    expect(replaying.frames.filter(({ type }) => type === 'message').length).toBe(4000)
  })

  describe('in the middle of a replay', () => {
    async function replaying() {
      const world = await start()
      const publisher = world.client()
      for (const n of range(0, 20)) {
        await Promise.all(range(n * 100, n * 100 + 100).map((data) => publisher.publish('s.long', { data, TEXT })))
      }
      return { ...world, publisher }
    }

    it('unsubscribe ends it, and the connection stays open', async () => {
      const { peer } = await replaying()
      const reader = await peer()
      reader.send({ type: 'subscribe', sub: 1, pattern: 's.long', from: 'earliest' })
      await reader.next('message')
      reader.send({ type: 'unsubscribe', sub: 1 })
      await reader.next('unsubscribed')
      const all = reader.frames.length
      expect(await reader.settled()).toEqual([])
      await reader.subscribe(1, 's.long', { from: { offset: 1999 } })
      expect(await reader.next('message')).toMatchObject({ data: { data: 1999 } })
      expect(all).toBeLessThan(2000)
    })

    it('a connection that ends leaves nothing behind', async () => {
      const { peer, hub, publisher } = await replaying()
      const reader = await peer()
      reader.send({ type: 'subscribe', sub: 1, pattern: 's.long', from: 'earliest' })
      await reader.next('message')
      reader.socket.terminate()
      await expect.poll(() => hub.connectionCount).toBe(1)
      expect(hub.outboxBytes).toBe(0)
      await publisher.publish('s.long', 'after')
    })

    it('deleting the stream interrupts its subscriptions with the reason, until it is declared again', async () => {
      const { client, publisher } = await replaying()
      const reader = client()
      const told: string[] = []
      const onInterrupted = ({ code }: { code: string }) => void told.push(code)
      const behind = new Reader(reader.subscribe('s.long', { from: 'earliest', bufferLimit: 10, onInterrupted }))
      const live = reader.subscribe('s.#', { from: 'latest', onInterrupted })
      await live.ready
      await behind.next()
      await publisher.admin.streams.delete('s')
      await expect.poll(() => told).toEqual(['no_stream', 'no_stream'])
      expect((await publisher.publish('s.long', 'messages that are not stored')).positions).toEqual({})
      await publisher.admin.streams.declare({ name: 's', topics: ['s.#'] })
      await publisher.publish('s.long', 'again')
      expect((await new Reader(live).next()).data).toBe('again')
      // What had arrived before, and then the new log.
      while ((await behind.next()).data !== 'again');
    })
  })
})

function comparable(data: unknown): unknown {
  return data instanceof Uint8Array ? `bytes ${Buffer.from(data).toString('hex')}` : data
}
