import { afterEach, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import type { HubOptions } from '../../server/index.ts'
import type { JsonMessage } from '../../shared/json-message.ts'
import { cpuTime } from '../setup/cpu-time.ts'
import { EventStream, type ServerEvent } from '../setup/event-stream.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { publishNumbers, range } from '../setup/streams.ts'

const SMALL = { outboxBytes: 512 * 1024, frameBytes: 64 * 1024 }
const TEXT = 'x'.repeat(4000)

onEveryEngine('server-sent events', (hubs) => {
  const closing: (() => unknown)[] = []
  let refusing: ReturnType<typeof hubs.start> | undefined
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  async function world(options: HubOptions = {}) {
    const { hub, url, http } = await hubs.start({ streams: [{ name: 's', topics: ['s.#'] }], ...options })
    const client = connect(url)
    closing.push(() => client.close())
    return {
      hub,
      client,
      http,
      /** Connections that do not belong to the client. */
      others: () => hub.connectionCount - 1,
      async open(query: string, lastEventId?: string) {
        const stream = await EventStream.open(`${http}/v1/events?${query}`, lastEventId)
        closing.push(() => stream.cut())
        return stream
      },
    }
  }

  it('refuses a filter that is too large before it copies it for each of many patterns', async () => {
    const { http } = await world()
    const query = `${'pattern=a&'.repeat(1500)}all=x=${'y'.repeat(14_000)}`
    const timeOf = (query: string, code: string) =>
      cpuTime(async () => {
        for (const _ of range(0, 30)) {
          const answer = await fetch(`${http}/v1/events?${query}`)
          expect(await answer.json()).toMatchObject({ status: 400, code })
        }
      })
    // An equally long query, which is refused at once.
    const short = await timeOf(`${query}&policy=none`, 'bad_params')
    expect(await timeOf(query, 'bad_frame')).toBeLessThan(2 * short + 500)
  })

  it('sends live messages to every reader, by pattern and filter, each once', async () => {
    const { client, open } = await world()
    const stream = await open('pattern=live.*&pattern=live.%23&any=kind=jpeg&any=size=big')
    await client.publish('live.a', 1, { headers: { kind: 'jpeg' }, key: 'k' })
    await client.publish('live.a', 2, { headers: { kind: 'text' } })
    await client.publish('live.a.b', new Uint8Array([1, 2, 3]), { headers: { kind: 'png', size: 'big' } })
    const [first, second] = await stream.take(2)
    expect(first).toMatchObject({ event: 'message', id: undefined })
    expect(message(first)).toEqual({
      id: expect.any(String),
      topic: 'live.a',
      key: 'k',
      headers: { kind: 'jpeg' },
      data: 1,
    })
    expect(message(second)).toMatchObject({ topic: 'live.a.b', base64: 'AQID' })
    expect(stream.events).toHaveLength(2)
  })

  it('continues after a cut by the id of the last event, with overlapping patterns', async () => {
    const { client, open } = await world()
    const query = 'pattern=s.even&pattern=s.%23&from=earliest'
    const numbers: number[] = []
    const published = (async () => {
      for (const n of range(0, 3000)) {
        const done = client.publish(n % 2 === 0 ? 's.even' : 's.odd', n)
        if (n % 50 === 49) await done
      }
    })()
    let lastEventId: string | undefined
    for (const until of [300, 1100, 1900, 3000]) {
      const stream = await open(query, lastEventId)
      for (let read = 0; numbers.length < until; ) {
        if (stream.events.length === read) await stream.change()
        for (; read < stream.events.length; read++) numbers.push(message(stream.events[read]).data as number)
      }
      lastEventId = stream.lastEventId
      stream.cut()
    }
    await published
    // Each once, and each topic in order.
    expect(numbers.toSorted((a, b) => a - b)).toEqual(range(0, 3000))
    expect(numbers.filter((n) => n % 2 === 0)).toEqual(range(0, 1500).map((n) => 2 * n))
  })

  it('sends an id before the first message, starts where requested, and accepts an id as a start', async () => {
    const { client, open } = await world()
    const early = await open('pattern=s.%23&from=latest')
    while (early.lastEventId === undefined) await early.change()
    early.cut()
    await publishNumbers(client, 's.a', 0, 5)
    const resumed = await open('pattern=s.%23&from=latest', early.lastEventId)
    expect((await resumed.take(5)).map((event) => message(event).data)).toEqual(range(0, 5))
    // Polyfills, which cannot set a header, send it this way: in every request, and empty in the first.
    const id = encodeURIComponent(early.lastEventId)
    const byQuery = await open(`pattern=s.%23&from=latest&lastEventId=${id}`)
    expect((await byQuery.take(5)).map((event) => message(event).data)).toEqual(range(0, 5))
    const first = await open('pattern=s.%23&from=earliest&lastEventId=&_=1795550000')
    expect(message(await first.next()).data).toBe(0)
    for (const [from, expected] of [
      ['last:2', [3, 4]],
      ['3', [3, 4]],
      [resumed.events[1]?.id as string, [2, 3, 4]],
    ] as const) {
      const stream = await open(`pattern=s.%23&from=${from}`)
      expect((await stream.take(expected.length)).map((event) => message(event).data)).toEqual(expected)
    }
  })

  it('reports a gap if the log has deleted messages', async () => {
    const { client, open } = await world()
    await publishNumbers(client, 's.a', 0, 4)
    const stream = await open('pattern=s.%23&from=earliest')
    const second = (await stream.take(2))[1]
    stream.cut()
    await client.admin.streams.trim('s', 3)
    const [gap, next] = await (await open('pattern=s.%23&from=earliest', second?.id)).take(2)
    expect(gap).toMatchObject({ event: 'gap' })
    expect(JSON.parse(gap?.data as string)).toEqual({
      pattern: 's.#',
      reason: 'trimmed',
      count: 1,
      offsets: { from: 2, to: 2 },
    })
    expect(message(next).data).toBe(3)
  })

  it('a slow reader holds no more than the outbox, and is notified of what its policy dropped', async () => {
    const { hub, client, open } = await world(SMALL)
    const slow = await open('pattern=flood')
    slow.stall()
    for (let n = 0; n < 4000; n += 100) {
      await Promise.all(range(n, n + 100).map((each) => client.publish('flood', { n: each, text: TEXT })))
      expect(hub.outboxBytes).toBeLessThanOrEqual(SMALL.outboxBytes)
    }
    slow.goOn()
    const { received, lost } = await account(slow, 4000)
    expect(lost).toBeGreaterThan(0)
    expect(received.at(-1)).toBe(3999)
  })

  it('a slow reader of a stream is fed at its own pace, and loses nothing', async () => {
    const { hub, client, open } = await world(SMALL)
    const slow = await open('pattern=s.%23&policy=pause')
    slow.stall()
    for (let n = 0; n < 3000; n += 100) {
      await Promise.all(range(n, n + 100).map((each) => client.publish('s.flood', { n: each, text: TEXT })))
      expect(hub.outboxBytes).toBeLessThanOrEqual(SMALL.outboxBytes)
    }
    slow.goOn()
    expect((await account(slow, 3000)).received).toEqual(range(0, 3000))
  })

  it('ends a response with the reason, and releases the connection', async () => {
    const { hub, client, open, others } = await world(SMALL)
    const slow = await open('pattern=flood&policy=disconnect')
    slow.stall()
    for (let n = 0; n < 400; n += 20) {
      await Promise.all(range(n, n + 20).map(() => client.publish('flood', TEXT.repeat(10))))
    }
    slow.goOn()
    await slow.end()
    expect(reason(slow)).toMatchObject({ code: 'slow_consumer', status: 429, retry: true })
    const deleted = await open('pattern=s.%23&from=latest')
    await client.admin.streams.delete('s')
    await deleted.end()
    expect(reason(deleted)).toMatchObject({ code: 'no_stream', status: 404 })
    await expect.poll(others).toBe(0)
    const last = await open('pattern=a')
    const closed = hub.close()
    await last.end()
    expect(reason(last)).toMatchObject({ code: 'shutting_down', status: 503 })
    await closed
  })

  it('notices readers that leave, stalled or not, and opens nothing for a HEAD', async () => {
    const { hub, client, http, open, others } = await world(SMALL)
    const idle = await open('pattern=a')
    const stalled = await open('pattern=flood')
    stalled.stall()
    await Promise.all(range(0, 2000).map((n) => client.publish('flood', { n, text: TEXT })))
    expect(others()).toBe(2)
    idle.cut()
    stalled.cut()
    await expect.poll(others).toBe(0)
    expect(hub.outboxBytes).toBe(0)
    const head = await fetch(`${http}/v1/events?pattern=a`, { method: 'HEAD' })
    expect(head.headers.get('content-type')).toMatch('text/event-stream')
    expect(others()).toBe(0)
  })

  it('is kept alive by comments, and is a connection like others', async () => {
    const { client, open, http } = await world({ pingInterval: 50 })
    const stream = await open('pattern=a')
    const before = stream.comments
    while (stream.comments < before + 4) await stream.change()
    await client.publish('a', 1)
    expect(message(await stream.next()).data).toBe(1)
    const { connections } = await (await fetch(`${http}/v1/connections`)).json()
    const own = connections.find(({ subscriptionCount }: { subscriptionCount: number }) => subscriptionCount === 1)
    expect(own).toMatchObject({ address: '127.0.0.1', deliveredTotal: 1, subscriptions: [{ pattern: 'a' }] })
    expect((await fetch(`${http}/v1/connections/${own.connection}`, { method: 'DELETE' })).status).toBe(200)
    await stream.end()
    expect(reason(stream)).toMatchObject({ code: 'disconnected_by_operator' })
  })

  it.each([
    ['', 400, 'bad_params'],
    ['patern=b', 400, 'bad_params'],
    ['pattern=s.%23&stream=s&lastEventId=yesterday', 400, 'bad_params'],
    ['pattern=a..b', 400, 'bad_pattern'],
    ['pattern=a&policy=never', 400, 'bad_params'],
    ['pattern=a&policy=pause', 400, 'policy_unsupported'],
    ['pattern=a&from=earliest', 404, 'no_stream'],
    ['pattern=s.%23&from=yesterday', 400, 'bad_params'],
    ['pattern=s.a&pattern=s.b&pattern=s.c&from=a:1,a:2', 400, 'bad_params'],
    ['pattern=s.%23&stream=t', 404, 'no_stream'],
    ['pattern=a&all=kind', 400, 'bad_params'],
    ['pattern=a&any=kind=a&any=kind=b', 400, 'bad_params'],
    ['pattern=a&all=kind=a&any=kind=b', 400, 'bad_frame'],
  ])('refuses "%s" before it begins', async (query, status, code) => {
    refusing ??= hubs.start({ streams: [{ name: 's', topics: ['s.#'] }] })
    const { hub, http } = await refusing
    const refusal = await EventStream.open(`${http}/v1/events?${query}`).catch((error: Error) => error.message)
    expect(refusal).toMatch(new RegExp(`^${status} .*"code":"${code}"`))
    await expect.poll(() => hub.connectionCount).toBe(0)
  })

  it('a temporary refusal is an event for clients that accept events, and a problem for all others', async () => {
    let down = false
    const { http } = await hubs.start({
      maxConnections: 1,
      auth: {
        authenticate: () =>
          down ? Promise.reject(new Error('down')) : { subject: 'anyone', permissions: { admin: true } },
      },
    })
    const ask = (query: string, accept = 'text/event-stream') =>
      fetch(`${http}/v1/events?${query}`, { headers: { accept, authorization: 'Bearer x' } })
    expect((await ask('pattern=..')).status).toBe(400)
    expect((await ask('pattern=a&policy=pause')).status).toBe(400)
    const first = await EventStream.open(`${http}/v1/events?pattern=a`)
    const passing = async (code: string) => {
      const answer = await ask('pattern=a')
      expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
      const [, retry, problem = ''] = /^retry: (\d+)\nevent: end\ndata: (.*)\n\n$/.exec(await answer.text()) ?? []
      expect(Number(retry)).toBeGreaterThanOrEqual(4000)
      expect(JSON.parse(problem)).toMatchObject({ code, retry: true })
    }
    await passing('hub_full')
    expect((await ask('pattern=a', '*/*')).status).toBe(503)
    down = true
    await passing('auth_unavailable')
    first.cut()
  })
})

function message(event: ServerEvent | undefined): JsonMessage {
  expect(event?.event).toBe('message')
  return JSON.parse(event?.data as string) as JsonMessage
}

function reason(stream: EventStream): unknown {
  const last = stream.events.at(-1)
  expect(last?.event).toBe('end')
  return JSON.parse(last?.data as string)
}

/** Reads until all are accounted for: numbers that arrived, in order, and gaps in place of the others. */
async function account(stream: EventStream, count: number): Promise<{ received: number[]; lost: number }> {
  const received: number[] = []
  let lost = 0
  for (let expected = 0; expected < count; ) {
    const event = await stream.next()
    if (event.event === 'gap') {
      const gap = JSON.parse(event.data) as { count: number }
      lost += gap.count
      expected += gap.count
    } else {
      const { n } = message(event).data as { n: number }
      expect(n).toBe(expected)
      received.push(n)
      expected = n + 1
    }
  }
  return { received, lost }
}
