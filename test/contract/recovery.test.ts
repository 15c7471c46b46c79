import { describe, expect, it } from 'vitest'
import type { SubscribeOptions, SubscriptionGap } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Reader } from '../setup/reader.ts'
import { publishNumbers, range, streamWorlds } from '../setup/streams.ts'

onEveryEngine('recovery', (hubs) => {
  const start = streamWorlds(hubs)

  /** Options that record in `events`, in order, what a subscription learns besides its messages. */
  function noting(events: unknown[], options: SubscribeOptions): SubscribeOptions {
    return {
      ...options,
      onResubscribed: (event) => events.push(event),
      onGap: ({ reason, count, offsets }: SubscriptionGap) => events.push({ reason, count, offsets }),
    }
  }

  describe('after a cut', () => {
    it('continues by itself without loss or repeats, also in the middle of a replay', async () => {
      const { client, network } = await start()
      const net = await network()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 2000)
      const events: unknown[] = []
      const subscription = client(net.url).subscribe('s.a', noting(events, { from: 'earliest', bufferLimit: 100 }))
      const publishing = publishNumbers(publisher, 's.a', 2000, 6000)
      const seen: unknown[] = []
      for await (const { data } of subscription) {
        seen.push(data)
        if ([1, 300, 1500, 2500, 4000].includes(seen.length)) net.cut()
        if (seen.length === 6000) break
        if (seen.length % 100 === 0) await new Promise(setImmediate)
      }
      await publishing
      expect(seen).toEqual(range(0, 6000))
      expect(events.length).toBeGreaterThan(0)
      expect(new Set(events.map((event) => JSON.stringify(event)))).toEqual(new Set(['{"recovered":true}']))
    })

    it('a start at the latest or with the last messages continues where it was', async () => {
      const { client, network } = await start()
      const net = await network()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 10)
      const reader = client(net.url)
      const events: unknown[] = []
      const latest = reader.subscribe('s.a', noting(events, { from: 'latest' }))
      const last = reader.subscribe('s.a', noting(events, { from: { last: 2 } }))
      await Promise.all([latest.ready, last.ready])
      await publishNumbers(publisher, 's.a', 10, 12)
      const [fromLatest, fromLast] = [new Reader(latest), new Reader(last)]
      expect(await fromLatest.data(2)).toEqual([10, 11])
      expect(await fromLast.data(4)).toEqual([8, 9, 10, 11])
      net.refuse()
      await publishNumbers(publisher, 's.a', 12, 20)
      net.allow()
      expect(await fromLatest.data(8)).toEqual(range(12, 20))
      expect(await fromLast.data(8)).toEqual(range(12, 20))
      expect(events).toEqual([{ recovered: true }, { recovered: true }])
    })

    it('distinguishes what retention, an operator and a new epoch have deleted', async () => {
      const streams = [
        { name: 'kept', topics: ['kept'], maxMessages: 5 },
        { name: 'trimmed', topics: ['trimmed'] },
        { name: 'anew', topics: ['anew'] },
        { name: 'whole', topics: ['whole'] },
      ]
      const { client, network } = await start({ streams })
      const net = await network()
      const publisher = client()
      const reader = client(net.url)
      const subscribed = streams.map(({ name }) => {
        const events: unknown[] = []
        return { name, events, reader: new Reader(reader.subscribe(name, noting(events, { from: 'earliest' }))) }
      })
      for (const { name } of streams) await publishNumbers(publisher, name, 0, 5)
      for (const each of subscribed) expect(await each.reader.data(5)).toEqual(range(0, 5))
      net.refuse()
      await publisher.admin.streams.delete('anew')
      await publisher.admin.streams.declare({ name: 'anew', topics: ['anew'] })
      for (const { name } of streams) await publishNumbers(publisher, name, 5, 15)
      await publisher.admin.streams.trim('trimmed', 8)
      net.allow()
      const learned: Record<string, unknown> = {}
      for (const { name, events, reader } of subscribed) {
        const seen = [await reader.next()]
        while (seen.at(-1)?.data !== 14) seen.push(await reader.next())
        learned[name] = [...events, seen.length]
      }
      expect(learned).toEqual({
        kept: [{ recovered: false }, { reason: 'retention', count: 5, offsets: { from: 5, to: 9 } }, 5],
        trimmed: [{ recovered: false }, { reason: 'trimmed', count: 3, offsets: { from: 5, to: 7 } }, 7],
        anew: [{ recovered: false }, { reason: 'epoch', count: undefined, offsets: undefined }, 10],
        whole: [{ recovered: true }, 10],
      })
    })

    it('a reader that retention overtakes is notified in place', async () => {
      const { client } = await start({ streams: [{ name: 's', topics: ['s'], maxMessages: 100 }] })
      const publisher = client()
      const events: { reason: string; count: number }[] = []
      const slow = client().subscribe('s', noting(events, { from: 'earliest', bufferLimit: 10 }))
      await slow.ready
      await publishNumbers(publisher, 's', 0, 2000)
      let [received, newest] = [0, -1]
      for await (const { data } of slow) {
        expect(data).toBeGreaterThan(newest)
        newest = data as number
        received++
        if (newest === 1999) break
      }
      expect(received + events.reduce((sum, { count }) => sum + count, 0)).toBe(2000)
      expect(new Set(events.map(({ reason }) => reason))).toEqual(new Set(['retention']))
    })

    it('an offset beyond the end belongs to another log', async () => {
      const { client } = await start()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 3)
      const events: unknown[] = []
      const beyond = new Reader(client().subscribe('s.a', noting(events, { from: { offset: 99 } })))
      expect(await beyond.data(3)).toEqual([0, 1, 2])
      expect(events).toEqual([{ reason: 'epoch', count: undefined, offsets: undefined }])
    })
  })

  describe('cursors', () => {
    it('store what has been handled, for another client to continue from', async () => {
      const { client } = await start()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 100)
      const options = { from: 'earliest', cursor: 'reports' } as const
      const first = client()
      const subscription = first.subscribe('s.a', options)
      const reader = new Reader(subscription)
      // The fiftieth has been handed over, and 49 have been handled.
      await reader.take(50)
      await subscription.commit()
      expect((await publisher.admin.streams.show('s')).cursors['reports']).toMatchObject({ offset: 49 })
      const second = client()
      const goesOn = new Reader(second.subscribe('s.a', options))
      expect(await goesOn.data(11)).toEqual(range(49, 60))
      // No commit is needed: closing stores it.
      await second.close()
      expect((await publisher.admin.streams.show('s')).cursors['reports']).toMatchObject({ offset: 59 })
      expect(await new Reader(client().subscribe('s.#', options)).data(1)).toEqual([59])
    })

    it('are stored by handlers, and when the subscription ends', async () => {
      const { client } = await start()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 10)
      const reader = client()
      const done = new Promise<void>((resolve) => {
        const subscription = reader.subscribe(
          's.a',
          async ({ data }) => {
            await Promise.resolve()
            if (data === 9) void subscription.unsubscribe().then(resolve)
          },
          { from: 'earliest', cursor: 'c' },
        )
      })
      await done
      // The last one was not handled when it ended the subscription.
      expect((await publisher.admin.streams.show('s')).cursors['c']).toMatchObject({ offset: 9 })
    })

    it('survive cuts: what was handled is stored in the end', async () => {
      const { client, network } = await start()
      const net = await network()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 50)
      const subscription = client(net.url).subscribe('s.a', { from: 'earliest', cursor: 'c' })
      const reader = new Reader(subscription)
      await reader.take(21)
      net.refuse()
      const stored = subscription.commit()
      net.allow()
      await stored
      expect((await publisher.admin.streams.show('s')).cursors['c']).toMatchObject({ offset: 20 })
      expect(await reader.data(29)).toEqual(range(21, 50))
    })

    it('are deleted with their stream', async () => {
      const { client } = await start()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 10)
      const options = { from: 'latest', cursor: 'c' } as const
      const before = client().subscribe('s.a', { ...options, from: 'earliest' })
      await new Reader(before).take(6)
      await before.commit()
      await publisher.admin.streams.delete('s')
      await publisher.admin.streams.declare({ name: 's', topics: ['s.#'] })
      await publishNumbers(publisher, 's.a', 0, 20)
      const fresh = client().subscribe('s.a', options)
      await fresh.ready
      await publisher.publish('s.a', 'next')
      expect(await new Reader(fresh).data(1)).toEqual(['next'])
    })

    it('are refused without a stream', async () => {
      const { peer } = await start()
      const by = await peer()
      await by.subscribe(1, 's.a', { from: 'latest' })
      by.send({ type: 'commit', sub: 1, offset: 3 })
      expect(await by.next('error')).toMatchObject({ code: 'no_cursor', sub: 1, offset: 3 })
    })
  })

  describe('publishing again', () => {
    it('with a known id yields the first receipt, and nothing is delivered', async () => {
      const { client } = await start()
      const publisher = client()
      const live = new Reader(client().subscribe('s.a', { from: 'earliest' }))
      const first = await publisher.publish('s.a', 1, { id: 'once' })
      const second = await client().publish('s.a', 2, { id: 'once' })
      expect(second).toEqual({ ...first, duplicate: true })
      await publisher.publish('s.a', 3)
      expect(await live.data(2)).toEqual([1, 3])
    })

    it.each([
      ['text', 'payload'],
      ['bytes', new Uint8Array([0, 1, 255])],
    ])('a publish without a response when the connection was lost is stored once: %s', async (_, data) => {
      const { client, network } = await start()
      const net = await network()
      const publisher = client(net.url)
      await publisher.ready()
      const live = new Reader(client().subscribe('s.a', { from: 'earliest' }))
      net.holdReplies()
      const publishes = Promise.all(range(0, 20).map(() => publisher.publish('s.a', data)))
      await live.take(20)
      net.cut()
      const receipts = await publishes
      expect(receipts.map(({ duplicate }) => duplicate)).toEqual(range(0, 20).map(() => true))
      expect(receipts.map(({ positions }) => positions['s']?.offset)).toEqual(range(0, 20))
      await publisher.publish('s.a', 'last')
      const all = await new Reader(client().subscribe('s.a', { from: 'earliest' })).data(21)
      expect(all.slice(0, 20)).toEqual(range(0, 20).map(() => data))
      expect(all[20]).toBe('last')
    })

    it('keeps order and count however often the connection is cut', async () => {
      const { client, network } = await start()
      const net = await network()
      const publisher = client(net.url)
      const live = new Reader(client().subscribe('s.a', { from: 'earliest', bufferLimit: 10_000 }))
      const publishes = publishNumbers(publisher, 's.a', 0, 5000)
      const seen: unknown[] = []
      while (seen.length < 5000) {
        seen.push((await live.next()).data)
        if (seen.length % 900 === 0) net.cut()
      }
      await publishes
      expect(seen).toEqual(range(0, 5000))
    })

    it('reports an unknown outcome if no stream stores it', async () => {
      const { client, network, peer } = await start()
      const net = await network()
      const publisher = client(net.url)
      await publisher.ready()
      const live = await peer()
      await live.subscribe(1, 'plain')
      net.holdReplies()
      const publish = publisher.publish('plain', 1)
      await live.next('message')
      net.cut()
      await expect(publish).rejects.toMatchObject({ code: 'connection_lost' })
      expect(await live.settled()).toEqual([])
    })
  })
})
