import { setImmediate } from 'node:timers'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Client, connect, type Delivery } from '../../client/node.ts'
import { type TestHub, type TestHubOptions, testHub } from './index.ts'

const started: TestHub[] = []
afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(started.map((hub) => hub.close()))
  started.length = 0
})

async function start(options: TestHubOptions = {}): Promise<TestHub> {
  const hub = await testHub(options)
  started.push(hub)
  return hub
}

/** What a subscription gets from now on. */
async function listen(client: Client, pattern: string): Promise<unknown[]> {
  const got: unknown[] = []
  await client.subscribe(pattern, ({ data }) => void got.push(data)).ready
  return got
}

describe('queues', () => {
  it('a retry comes after 30 s and not before', async () => {
    const hub = await start({ queues: [{ name: 'jobs', backoff: { base: '30s', cap: '30s' } }] })
    const client = hub.connect()
    const attempts: number[] = []
    client.consume('jobs', ({ attempt }) => {
      attempts.push(attempt)
      if (attempt < 3) throw new Error('not yet')
    })
    // Between two looks of the broker at the time, and all the same exact.
    await hub.advance(42)
    await client.enqueue('jobs', 'a')
    await hub.settled()
    await hub.advance(29_999)
    expect(attempts).toEqual([1])
    await hub.advance(1)
    expect(attempts).toEqual([1, 2])
    await hub.advance('30s')
    expect(attempts).toEqual([1, 2, 3])
    expect(await client.admin.queues.show('jobs')).toMatchObject({ depth: 0, inFlight: 0 })
  })

  it('a lease that is not ended expires at its deadline, and the message is redelivered after the backoff', async () => {
    const hub = await start({ queues: [{ name: 'jobs', ackDeadline: '30s', backoff: { base: '10s' } }] })
    const client = hub.connect()
    const held: Delivery[] = []
    void (async () => {
      for await (const delivery of client.consume('jobs', { prefetch: 1 })) held.push(delivery)
    })()
    await client.enqueue('jobs', 'a')
    await hub.advance(39_999)
    expect(held.map(({ attempt }) => attempt)).toEqual([1])
    await hub.advance(1)
    expect(held.map(({ attempt }) => attempt)).toEqual([1, 2])
    await expect(held[0]?.ack()).rejects.toMatchObject({ code: 'lease_lost' })
    await held[1]?.ack()
  })

  it('a handler that runs keeps its lease as long as it takes', async () => {
    const hub = await start({ queues: [{ name: 'jobs', ackDeadline: '30s' }] })
    const client = hub.connect()
    const attempts: number[] = []
    let finish = () => {}
    client.consume('jobs', ({ attempt }) => {
      attempts.push(attempt)
      return new Promise<void>((resolve) => {
        finish = resolve
      })
    })
    await client.enqueue('jobs', 'a')
    await hub.advance('2m')
    expect(await client.admin.queues.show('jobs')).toMatchObject({ inFlight: 1 })
    finish()
    await hub.settled()
    expect(attempts).toEqual([1])
    expect(await client.admin.queues.show('jobs')).toMatchObject({ depth: 0, inFlight: 0 })
  })

  it('delayed and expiring messages keep to the millisecond', async () => {
    const hub = await start({ queues: [{ name: 'jobs', onExpiry: 'dead-letter' }] })
    const client = hub.connect()
    await client.enqueue('jobs', 'late', { delay: 90_000 })
    await client.enqueue('jobs', 'gone', { delay: 120_000, expiresAt: hub.now + 60_050 })
    const got: unknown[] = []
    client.consume('jobs', ({ data }) => void got.push(data, hub.now))
    const begin = hub.now
    await hub.advance(60_049)
    expect(await client.admin.queues.deadLetters.list('jobs')).toEqual([])
    await hub.advance(1)
    expect(await client.admin.queues.deadLetters.list('jobs')).toMatchObject([{ reason: 'expired' }])
    await hub.advance('1m')
    expect(got).toEqual(['late', begin + 90_000])
  })

  it('what the queue monitor says comes every second of this time', async () => {
    const hub = await start({ queues: [{ name: 'jobs' }] })
    const client = hub.connect()
    const said = await listen(client, '$sys.queues.jobs')
    for (let n = 0; n < 40; n++) {
      await client.enqueue('jobs', n)
      await hub.advance('1s')
    }
    expect(said.length).toBe(40)
    expect(said.at(-1)).toMatchObject({ depth: 40, growing: true, oldestAgeMs: 40_000 })
  })
})

describe('streams and topics', () => {
  it('an id is a duplicate within the window, and new after it', async () => {
    const hub = await start({ streams: [{ name: 's', topics: ['s.#'] }], dedupWindow: 120_000 })
    const client = hub.connect()
    const publish = async () => (await client.publish('s.a', 1, { id: 'order-17' })).duplicate
    expect(await publish()).toBe(false)
    await hub.advance('119s')
    expect(await publish()).toBe(true)
    await hub.advance('1s')
    expect(await publish()).toBe(false)
  })

  it('what has expired is not in the log any more, and what is too old neither', async () => {
    const hub = await start({ streams: [{ name: 's', topics: ['s.#'], maxAge: '1m' }] })
    const client = hub.connect()
    await client.publish('s.a', 'short', { expiresAt: hub.now + 30_000 })
    await client.publish('s.a', 'long')
    await hub.advance('30s')
    const replay = async () => {
      const got: unknown[] = []
      await client.subscribe('s.#', ({ data }) => void got.push(data), { from: 'earliest' }).ready
      await hub.settled()
      return got
    }
    expect(await replay()).toEqual(['long'])
    await hub.advance('31s')
    expect(await replay()).toEqual([])
    expect(await client.admin.streams.show('s')).toMatchObject({ first: 2 })
  })

  it('a request times out when its time is over', async () => {
    const hub = await start()
    hub.connect().respond('sums', () => new Promise(() => {}))
    await hub.settled()
    const failed = vi.fn()
    hub.connect().request('sums', [1], { timeout: 5_000 }).catch(failed)
    await hub.advance(4_999)
    expect(failed).not.toHaveBeenCalled()
    await hub.advance(1)
    expect(failed).toHaveBeenCalledWith(expect.objectContaining({ code: 'request_timeout' }))
  })

  it('bytes arrive as bytes, and a message that is too large costs only its sender', async () => {
    const hub = await start({ frameBytes: 10_000 })
    const client = hub.connect()
    const got = await listen(client, 'a')
    await client.publish('a', new Uint8Array([0, 1, 255]))
    await client.publish('a', { text: 'ä€😀' })
    expect(got).toEqual([new Uint8Array([0, 1, 255]), { text: 'ä€😀' }])
    await expect(client.publish('a', 'x'.repeat(20_000))).rejects.toMatchObject({ code: 'frame_too_large' })
    const raw = new hub.clientOptions.WebSocket(hub.url, ['fanfare.v1'])
    const closed: number[] = []
    raw.onclose = ({ code }) => void closed.push(code)
    raw.onopen = () => raw.send('x'.repeat(20_000))
    await hub.settled()
    expect(closed).toEqual([expect.any(Number)])
    await client.publish('a', 'still there')
    expect(got.at(-1)).toBe('still there')
  })
})

describe('the network', () => {
  it('a client that is cut off waits longer after each try, and resumes where it was', async () => {
    const hub = await start({ streams: [{ name: 's', topics: ['s.#'] }] })
    const reader = hub.connect({ backoff: { base: 1_000, cap: 60_000 } })
    const got: unknown[] = []
    const recovered: boolean[] = []
    const options = {
      from: 'earliest',
      cursor: 'c',
      onResubscribed: (e: { recovered: boolean }) => recovered.push(e.recovered),
    } as const
    await reader.subscribe('s.#', ({ data }) => void got.push(data), options).ready
    const publisher = hub.connect()
    await publisher.publish('s.a', 1)
    await hub.settled()
    const tries: number[] = []
    const begin = hub.now
    reader.onState(({ to }) => to === 'connecting' && tries.push(hub.now - begin))
    hub.cut({ client: reader, duration: '10s' })
    await publisher.publish('s.a', 2)
    await hub.advance('14s')
    expect(tries).toEqual([1_000, 3_000, 7_000])
    expect([reader.state, publisher.state, got]).toEqual(['waiting', 'connected', [1]])
    await hub.advance('1s')
    expect([reader.state, got, recovered]).toEqual(['connected', [1, 2], [true]])
  })

  it('a publish that is cut off comes again by itself, and is kept once', async () => {
    const hub = await start({ streams: [{ name: 's', topics: ['s.#'] }] })
    const client = hub.connect()
    await client.ready()
    const lost = client.publish('s.a', 1)
    await new Promise((resolve) => setImmediate(resolve))
    hub.cut()
    await hub.advance('1s')
    await lost
    expect(await client.admin.streams.show('s')).toMatchObject({ next: 1 })
  })

  it('code that connects by itself is given what it needs, and silence is noticed on both sides', async () => {
    const hub = await start({ pingInterval: 10_000, helloTimeout: 5_000 })
    const client = connect(hub.url, { ...hub.clientOptions, name: 'mine' })
    await client.ready()
    const mute = new hub.clientOptions.WebSocket(hub.url, ['fanfare.v1'])
    let closed = ''
    mute.onclose = ({ reason }) => {
      closed = reason
    }
    await hub.advance('1m')
    expect(closed).toMatch(/^hello_timeout/)
    expect(client.state).toBe('connected')
    await client.close()
  })

  it('does not connect to what the hub refuses, nor to a hub that is closed', async () => {
    const hub = await start()
    for (const [url, protocol] of [
      [hub.url, 'other'],
      [`${hub.url}?token=secret`, 'fanfare.v1'],
    ] as const) {
      const refused = new hub.clientOptions.WebSocket(url, [protocol])
      const events: unknown[] = []
      refused.onerror = () => void events.push('error')
      refused.onclose = ({ code }) => void events.push(code)
      await hub.settled()
      expect(events).toEqual(['error', 1006])
    }
    const own = connect(hub.url, hub.clientOptions)
    await own.ready()
    await hub.close()
    await hub.advance('1m')
    expect(own.state).toBe('waiting')
    await own.close()
  })
})

it('a client has the identity that the test sets, as on a hub in a program, or that of a token', async () => {
  const hub = await start({ auth: { authenticate: ({ token }) => ({ subject: token ?? 'nobody', permissions: {} }) } })
  const subjectOf = async (client: Client) => (await client.admin.hub.whoami()).subject
  const own = hub.connect({ subject: 'ann', permissions: { publish: ['a'] } })
  expect(await subjectOf(own)).toBe('ann')
  await own.publish('a', 1)
  await expect(own.publish('b', 1)).rejects.toMatchObject({ code: 'forbidden' })
  expect(await Promise.all([subjectOf(hub.connect({ token: 'bob' })), subjectOf(hub.connect())])).toEqual([
    'bob',
    'nobody',
  ])
  hub.cut({ client: own })
  await hub.advance('5s')
  expect(await subjectOf(own)).toBe('ann')
  expect(() => hub.connect({ subject: '' })).toThrow(expect.objectContaining({ code: 'bad_option' }))
})

describe('the time', () => {
  it('hubs know nothing of each other', async () => {
    const [one, other] = [await start(), await start()]
    const [here, there] = [await listen(one.connect(), 'a'), await listen(other.connect(), 'a')]
    await one.connect().publish('a', 1)
    const before = other.now
    await one.advance('1m')
    expect([here, there, other.now - before]).toEqual([[1], [], 0])
  })

  it('is not that of the test, whose own timers may be faked', async () => {
    vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) })
    const hub = await start({ queues: [{ name: 'jobs' }] })
    expect(hub.now).toBe(Date.UTC(2030, 0, 1))
    const client = hub.connect()
    const done: number[] = []
    client.consume('jobs', async () => {
      await new Promise((resolve) => setTimeout(resolve, 60_000))
      done.push(Date.now())
    })
    await client.enqueue('jobs', 'a')
    await hub.advance('2m')
    expect([done, Date.now()]).toEqual([[], Date.UTC(2030, 0, 1)])
    await vi.advanceTimersByTimeAsync(60_000)
    await hub.settled()
    expect(done).toEqual([Date.UTC(2030, 0, 1) + 60_000])
    expect(await client.admin.queues.show('jobs')).toMatchObject({ depth: 0, inFlight: 0 })
  })

  it('waits for handlers that take turns of the event loop, one movement after the other', async () => {
    const hub = await start({ queues: [{ name: 'a' }, { name: 'b' }] })
    const client = hub.connect()
    const done: [unknown, number][] = []
    client.consume('a', async ({ data }) => {
      for (let n = 0; n < 10; n++) await new Promise((resolve) => setImmediate(resolve))
      await client.enqueue('b', data)
    })
    client.consume('b', ({ data }) => void done.push([data, hub.now]))
    const begin = hub.now
    await client.enqueue('a', 1, { delay: 500 })
    await client.enqueue('a', 2, { delay: 1_000 })
    await Promise.all([hub.advance('800ms'), hub.advance('1s')])
    expect(done).toEqual([
      [1, begin + 500],
      [2, begin + 1_000],
    ])
    expect(hub.now).toBe(begin + 1_800)
  })

  it('a chain that never ends is called out, and wrong options too', async () => {
    const hub = await start()
    const client = hub.connect()
    await client.subscribe('loop', () => void client.publish('loop', 1).catch(() => {})).ready
    await client.publish('loop', 1)
    await expect(hub.advance('1s')).rejects.toThrow('never settles')
    hub.cut()
    await expect(testHub({ window: -1 })).rejects.toMatchObject({ code: 'bad_config' })
    expect(() => hub.advance('soon')).toThrow()
    expect(() => hub.cut({ client: connect(hub.url, hub.clientOptions) })).toThrow(TypeError)
  })
})
