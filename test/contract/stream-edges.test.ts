import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Client, SubscriptionGap } from '../../client/node.ts'
import type { HubOptions } from '../../server/index.ts'
import type { Frame, GapFrame } from '../../shared/frames.ts'
import type { StreamPage } from '../../shared/json-message.ts'
import { EventStream } from '../setup/event-stream.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import type { Peer } from '../setup/peer.ts'
import { publishNumbers, range, streamWorlds } from '../setup/streams.ts'

const EDGE = [{ name: 's', topics: ['s.#'], maxMessages: 50 }]

onEveryEngine('streams at their edges', (hubs) => {
  const startIn = streamWorlds(hubs)
  const directories: string[] = []
  afterEach(async () => {
    await Promise.all(directories.splice(0).map((directory) => rm(directory, { recursive: true, force: true })))
  })

  /** On disk, where a commit can be read a while before the hub knows of it. */
  async function start(options: HubOptions = {}) {
    const data = await mkdtemp(join(tmpdir(), 'fanfare-edges-'))
    directories.push(data)
    return startIn({ data, ...options })
  }

  /** Publishes until stopped; a few messages at a time make small blocks. */
  function publishing(client: Client, lanes = 1) {
    let stopped = false
    const done = Promise.all(
      range(0, lanes).map(async () => {
        while (!stopped) await client.publish('s.a', 0)
      }),
    )
    return async () => {
      stopped = true
      await done
    }
  }

  /** Where a subscription begins, and the first offsets that it gets, with the gaps in between. */
  async function firstOffsets(peer: Peer, sub: number, count: number, from: object | string) {
    await peer.subscribe(sub, 's.#', { from })
    const offsets: number[] = []
    let begin = 0
    for (;;) {
      offsets.length = 0
      for (const frame of peer.framesFor(sub)) {
        if (frame.type === 'subscribed') begin = frame.offset as number
        else if (frame.type === 'message') offsets.push(frame.offsets?.['s'] as number)
        else if (frame.type === 'gap' && frame.offsets) offsets.push(...range(frame.offsets.from, frame.offsets.to + 1))
      }
      if (offsets.length >= count) break
      peer.send({ type: 'ping' })
      await peer.next('pong')
    }
    peer.send({ type: 'unsubscribe', sub })
    await peer.next('unsubscribed')
    return { begin, offsets }
  }

  describe('while others publish', () => {
    it('the last messages of a topic are as many as requested, and everything that follows', async () => {
      const { client, peer } = await start()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 20)
      const stop = publishing(publisher)
      const reader = await peer()
      for (const sub of range(0, 150)) {
        await reader.subscribe(sub, 's.#', { from: { last: 5 } })
        const { offset } = reader.framesFor(sub).find(({ type }) => type === 'subscribed') as { offset: number }
        let got: number[] = []
        while (got.length < 6) {
          await publisher.publish('s.b', 0)
          got = reader
            .framesFor(sub)
            .flatMap((f) => (f.type === 'message' && f.topic === 's.a' ? [f.offsets?.['s'] as number] : []))
        }
        expect(got.filter((each) => each < offset)).toHaveLength(5)
        reader.send({ type: 'unsubscribe', sub })
        await reader.next('unsubscribed')
      }
      await stop()
    })

    it('no reader at the edge of retention misses a message without a gap', async () => {
      const { client, peer } = await start({ streams: EDGE })
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 60)
      const stop = publishing(publisher, 3)
      const read = async (reader: Peer) => {
        for (const sub of range(0, 60)) {
          const { begin, offsets } = await firstOffsets(reader, sub, 50, 'earliest')
          expect(offsets).toEqual(range(begin, begin + offsets.length))
        }
      }
      await Promise.all((await Promise.all(range(0, 5).map(peer))).map(read))
      await stop()
    })

    it('a reader that resumes there gets everything, or a gap', async () => {
      const { client, peer } = await start({ streams: EDGE })
      const publisher = client()
      const { positions } = await publisher.publish('s.a', 0)
      const { epoch } = positions['s'] as { epoch: string }
      await publishNumbers(publisher, 's.a', 0, 60)
      const stop = publishing(publisher, 3)
      const read = async (reader: Peer) => {
        for (const sub of range(0, 60)) {
          const { first } = await publisher.admin.streams.show('s')
          const wanted = first + (sub % 5)
          const { offsets } = await firstOffsets(reader, sub, 40, { offset: wanted, epoch })
          expect(offsets).toEqual(range(wanted, wanted + offsets.length))
        }
      }
      await Promise.all((await Promise.all(range(0, 5).map(peer))).map(read))
      await stop()
    })

    it('a page has everything from its start to the start of the next', async () => {
      const { client, hub } = await start({ streams: EDGE })
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 60)
      const stop = publishing(publisher)
      for (const _ of range(0, 150)) {
        const answer = await fetch(`http://127.0.0.1:${hub.port}/v1/streams/s/messages?limit=1000`)
        const { from, next, messages } = (await answer.json()) as StreamPage
        expect(messages.map(({ offsets }) => offsets?.['s'])).toEqual(range(from, next))
      }
      await stop()
    })
  })

  describe('the last messages of each topic', () => {
    const TEXT = 'x'.repeat(4000)

    it('are counted in a gap if they are trimmed while a slow reader waits for them', async () => {
      const { client, peer } = await start({ outboxBytes: 512 * 1024, frameBytes: 64 * 1024 })
      const publisher = client()
      for (const n of range(0, 10)) {
        await Promise.all(range(0, 200).map((m) => publisher.publish(m % 2 ? 's.a' : 's.other', `${n} ${m} ${TEXT}`)))
      }
      const reader = await peer()
      reader.stall()
      reader.send({ type: 'subscribe', sub: 1, pattern: 's.a', from: { last: 900 } })
      await publisher.publish('none', 0)
      await publisher.admin.streams.trim('s', 1950)
      reader.goOn()
      await reader.next('live')
      const frames = reader.framesFor(1)
      const gaps = frames.filter((frame): frame is GapFrame => frame.type === 'gap')
      const missing = gaps.reduce((sum, { count = 0 }) => sum + count, 0)
      expect(gaps[0]).toMatchObject({ reason: 'trimmed', offsets: { to: 1949 } })
      expect(missing).toBeGreaterThan(0)
      expect(frames.filter(({ type }) => type === 'message').length + missing).toBe(900)
    })

    it('are completed after a cut in their middle, and nothing that follows is left out', async () => {
      const { client, network } = await start()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 3000)
      const net = await network()
      const gaps: SubscriptionGap[] = []
      const reader = client(net.url).subscribe('s.a', {
        from: { last: 2000 },
        bufferLimit: 100,
        onGap: (gap) => gaps.push(gap),
      })
      const seen: unknown[] = []
      for await (const { data } of reader) {
        seen.push(data)
        if (seen.length === 300) {
          net.refuse()
          await publishNumbers(publisher, 's.a', 3000, 6000)
          net.allow()
        }
        if (seen.length === 5000) break
        if (seen.length % 50 === 0) await new Promise(setImmediate)
      }
      expect(seen).toEqual(range(1000, 6000))
      expect(gaps).toEqual([])
    })

    it('are reported as missing if they were trimmed while the client was away', async () => {
      const { client, network } = await start()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 3000)
      const net = await network()
      const gaps: SubscriptionGap[] = []
      const events: unknown[] = []
      const reader = client(net.url).subscribe('s.a', {
        from: { last: 2000 },
        bufferLimit: 100,
        onGap: (gap) => gaps.push(gap),
        onResubscribed: (event) => events.push(event),
      })
      const seen: number[] = []
      for await (const { data } of reader) {
        seen.push(data as number)
        if (seen.length === 300) {
          net.refuse()
          await publisher.admin.streams.trim('s', 2900)
          await publishNumbers(publisher, 's.a', 3000, 3100)
          net.allow()
        }
        if (data === 3099) break
        if (seen.length % 50 === 0) await new Promise(setImmediate)
      }
      const [{ offsets, reason }] = gaps as [SubscriptionGap]
      expect({ reason, to: offsets?.to, events }).toEqual({
        reason: 'trimmed',
        to: 2899,
        events: [{ recovered: false }],
      })
      expect(seen).toEqual([...range(1000, offsets?.from as number), ...range(2900, 3100)])
    })

    it('continue after the last event when server-sent events were cut', async () => {
      const { client, hub } = await start()
      const publisher = client()
      await publishNumbers(publisher, 's.a', 0, 500)
      for (const topic of ['s.b', 's.c']) await publisher.publish(topic, topic)
      await publishNumbers(publisher, 's.a', 500, 600)
      const url = `http://127.0.0.1:${hub.port}/v1/events?pattern=s.%23&from=last:1`
      const dataOf = ({ data }: { data: string }) => (JSON.parse(data) as { data: unknown }).data
      const first = await EventStream.open(url)
      const [event] = await first.take(1)
      expect(dataOf(event as { data: string })).toBe('s.b')
      first.cut()
      await publisher.publish('s.d', 's.d')
      await publisher.publish('s.c', 'again')
      const again = await EventStream.open(url, event?.id)
      expect((await again.take(4)).map(dataOf)).toEqual(['s.c', 599, 's.d', 'again'])
      again.cut()
      const third = await EventStream.open(url, again.lastEventId)
      await publisher.publish('s.d', 'end')
      expect((await third.take(1)).map(dataOf)).toEqual(['end'])
      third.cut()
    })
  })

  it('a gap after a cut names nothing that was handled, even if the cursor is older', async () => {
    const { client, network } = await start()
    const publisher = client()
    const net = await network()
    const notes: unknown[] = []
    let handled: (() => void) | undefined
    const subscription = client(net.url).subscribe(
      's.a',
      ({ data }) => {
        if (data === 99 || data === 199 || data === 299) handled?.()
      },
      {
        from: 'earliest',
        cursor: 'reports',
        onGap: ({ offsets }) => notes.push(offsets),
        onResubscribed: (event) => notes.push(event),
      },
    )
    await subscription.ready
    const until = () =>
      new Promise<void>((resolve) => {
        handled = resolve
      })
    const early = until()
    await publishNumbers(publisher, 's.a', 0, 100)
    await early
    await subscription.commit()
    const next = until()
    await publishNumbers(publisher, 's.a', 100, 200)
    await next
    net.refuse()
    await publisher.admin.streams.trim('s', 200)
    const late = until()
    await publishNumbers(publisher, 's.a', 200, 300)
    net.allow()
    await late
    expect(notes).toEqual([{ recovered: true }])
  })

  it('a hand-written subscribe frame with a bad start gets an error that explains what is wrong', async () => {
    const { peer } = await start()
    const reader = await peer()
    for (const from of [{ last: 1, time: 1 }, { last: 1, before: -1 }, { before: 1 }, { offset: 1, time: 1 }]) {
      const other = await peer()
      other.send({ type: 'subscribe', sub: 1, pattern: 's.#', from })
      expect((await other.next('error')).code).toBe('bad_frame')
    }
    await reader.subscribe(1, 's.#', { from: { last: 3, before: 7, epoch: 'none' } })
    const told: Frame[] = reader.framesFor(1)
    expect(told[0]).toMatchObject({ recovered: false })
    expect(told.find(({ type }) => type === 'gap') ?? (await reader.next('gap'))).toMatchObject({ reason: 'epoch' })
  })
})
