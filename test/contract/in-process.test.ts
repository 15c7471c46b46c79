import { afterAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { connect, FanfareError, type Message, type SubscriptionGap } from '../../client/node.ts'
import { hashApiKey } from '../../server/auth/api-key.ts'
import { createHub, defineTopics, type Hub, type HubOptions, startHub } from '../../server/index.ts'
import { ENGINES, type EngineUnderTest, suiteOn } from '../setup/engines.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { hearUncaught } from '../setup/uncaught.ts'

/** No client is accepted without a key. */
const ACCESS = {
  auth: { apiKeys: [{ name: 'remote', hash: hashApiKey(`ffk_${'x'.repeat(32)}`), permissions: { admin: true } }] },
} as const satisfies HubOptions

const SUITE = 'a client in the process of its hub'
const HUBS: readonly (readonly [string, EngineUnderTest | undefined])[] = [
  ...ENGINES.map((engine) => [suiteOn(engine, SUITE), engine] as const),
  [`${SUITE}, which does not listen`, undefined],
]

describe.each(HUBS)('%s', (_, engine) => {
  const hubs: Hub[] = []
  afterAll(() => Promise.all(hubs.map((hub) => hub.close())))
  const start = async (options: HubOptions = {}) => {
    const given = { drainTimeout: 5_000, ...ACCESS, ...options }
    const hub = engine ? await startHub({ port: 0, engine, ...given }) : await createHub(given)
    hubs.push(hub)
    return hub
  }

  it('publishes, subscribes, consumes, requests, responds and administers', async () => {
    const hub = await start({ streams: [{ name: 's', topics: ['s.#'] }], queues: [{ name: 'q' }] })
    const [client, other] = [hub.connect(), hub.connect()]
    const live = client.subscribe('a.*')[Symbol.asyncIterator]()
    await other.publish('s.a', 'kept')
    await other.publish('a.text', { text: 'ä€😀' })
    await other.publish('a.bytes', new Uint8Array([0, 1, 255]))
    expect((await live.next()).value).toMatchObject({ topic: 'a.text', data: { text: 'ä€😀' } })
    expect((await live.next()).value).toMatchObject({ topic: 'a.bytes', data: new Uint8Array([0, 1, 255]) })
    const replay = client.subscribe('s.#', { from: 'earliest' })[Symbol.asyncIterator]()
    expect((await replay.next()).value).toMatchObject({ data: 'kept', offsets: { s: 0 } })
    const done = new Promise((resolve) => client.consume('q', ({ data }) => resolve(data)))
    await other.enqueue('q', 'a job')
    expect(await done).toBe('a job')
    client.respond<number[], number>('sums', ({ data }) => data.reduce((sum, each) => sum + each, 0))
    expect(await client.request('sums', [1, 2, 3])).toBe(6)
    await expect.poll(() => other.admin.queues.show('q')).toMatchObject({ depth: 0, inFlight: 0 })
    expect(await other.admin.hub.show()).toMatchObject({ engine: engine ?? 'none', connections: 2 })
    await expect(other.admin.queues.show('none')).rejects.toBeInstanceOf(FanfareError)
    await Promise.all([client.close(), other.close()])
    await expect.poll(() => hub.connectionCount).toBe(0)
  })

  it('may do everything, as the hub itself, unless the program restricts it', async () => {
    const hub = await start()
    expect(await hub.connect().admin.hub.whoami()).toEqual({
      subject: 'in-process',
      roles: [],
      permissions: { admin: true },
    })
    const client = hub.connect({ subject: 'ann', permissions: { publish: ['users.${sub}.#'] } })
    expect(await client.admin.hub.whoami()).toEqual({
      subject: 'ann',
      roles: [],
      permissions: { publish: ['users.ann.#'] },
    })
    await client.publish('users.ann.note', 1)
    await expect(client.publish('users.bob.note', 1)).rejects.toMatchObject({ code: 'forbidden' })
    await expect(client.subscribe('#').ready).rejects.toMatchObject({ code: 'forbidden' })
    expect(await hub.connect({ subject: 'bob' }).admin.hub.whoami()).toMatchObject({ permissions: { admin: true } })
    expect(await hub.connect({ permissions: {} }).admin.hub.whoami()).toMatchObject({ subject: 'in-process' })
  })

  it('is listed among the connections as one in this process, and among those that have ended', async () => {
    const hub = await start()
    const client = hub.connect({ name: 'reports 1.0', subject: 'reports' })
    await client.ready()
    const shown = { address: 'in this process', client: 'reports 1.0', subject: 'reports' }
    const watcher = hub.connect()
    expect((await watcher.admin.connections.find({ filter: 'this process' })).connections).toMatchObject([
      expect.objectContaining(shown),
      { address: 'in this process', subject: 'in-process' },
    ])
    await client.close()
    await expect.poll(() => watcher.admin.connections.recent()).toMatchObject([shown])
  })

  it('shares no object and no bytes with other clients', async () => {
    const hub = await start()
    const client = hub.connect()
    const objects: { list: number[] }[] = []
    const buffers: Uint8Array[] = []
    for (const reader of [client, hub.connect()]) {
      await reader.subscribe('object', ({ data }) => void objects.push(data as (typeof objects)[number])).ready
      await reader.subscribe('bytes', ({ data }) => void buffers.push(data as Uint8Array)).ready
    }
    const [object, bytes] = [{ list: [1] }, new Uint8Array([1, 2])]
    const published = [client.publish('object', object), client.publish('bytes', bytes)]
    object.list.push(2)
    bytes.fill(9)
    await Promise.all(published)
    await expect.poll(() => [objects.length, buffers.length]).toEqual([2, 2])
    expect(objects).toEqual([{ list: [1] }, { list: [1] }])
    for (const { list } of objects.slice(0, 1)) list.push(3)
    for (const buffer of buffers.slice(0, 1)) buffer.fill(7)
    expect([objects[1], buffers[1]]).toEqual([{ list: [1] }, new Uint8Array([1, 2])])
    expect([object, bytes]).toEqual([{ list: [1, 2] }, new Uint8Array([9, 9])])
  })

  it('has the window and the frame size of every connection, and no limits per second', async () => {
    const limits = { messagesPerSecond: 1, bytesPerSecond: 1, identityMessagesPerSecond: 1, subscribesPerSecond: 1 }
    const hub = await start({ ...limits, window: 2, frameBytes: 10_000, subscriptions: 20 })
    const client = hub.connect()
    const got: unknown[] = []
    const subscribed = Array.from({ length: 20 }, (_, n) =>
      client.subscribe(`a.${n}`, ({ data }) => void got.push(data)),
    )
    await Promise.all(subscribed.map(({ ready }) => ready))
    await Promise.all(Array.from({ length: 200 }, (_, n) => client.publish(`a.${n % 20}`, n)))
    await expect.poll(() => got.length).toBe(200)
    expect(got).toEqual(Array.from({ length: 200 }, (_, n) => n))
    await expect(client.publish('a', 'x'.repeat(20_000))).rejects.toMatchObject({ code: 'frame_too_large' })
    await expect(client.subscribe('one.more').ready).rejects.toMatchObject({ code: 'too_many_subscriptions' })
    expect((await hub.connect().admin.hub.show()).connections).toBe(2)
  })

  it('a slow handler is a slow subscriber: the hub holds up to an outbox, and the policy decides about the rest', async () => {
    const hub = await start({ outboxBytes: 64 * 1024, frameBytes: 16 * 1024 })
    const [publisher, slow] = [hub.connect(), hub.connect()]
    const got: number[] = []
    let missed = 0
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const onGap = ({ count = 0 }: SubscriptionGap) => {
      missed += count
    }
    const handler = async ({ data }: Message<unknown>) => {
      await held
      got.push((data as { n: number }).n)
    }
    await slow.subscribe('a', handler, { policy: 'drop-oldest', bufferLimit: 10, onGap }).ready
    const text = 'x'.repeat(1_000)
    for (let n = 0; n < 2_000; n++) await publisher.publish('a', { n, text })
    expect(hub.outboxBytes).toBeLessThanOrEqual(64 * 1024)
    goOn()
    await expect.poll(() => got.at(-1)).toBe(1_999)
    expect(missed).toBeGreaterThan(1_000)
    expect(got.length + missed).toBe(2_000)
    expect(got).toEqual([...got].sort((a, b) => a - b))
  })

  it('reconnects after an operator ended its connection, and closes when the operator asks for it', async () => {
    const hub = await start()
    const abort = new AbortController()
    const client = hub.connect({ backoff: { base: 1, cap: 1 }, signal: abort.signal })
    const states: string[] = []
    client.onState(({ to, reason }) => void states.push(`${to} ${reason.code}`))
    const got: unknown[] = []
    await client.subscribe('a', ({ data }) => void got.push(data)).ready
    const operator = hub.connect()
    const { connections } = await operator.admin.connections.list()
    await operator.admin.connections.disconnect(connections[0]?.connection as string)
    await expect.poll(() => states.at(-1)).toBe('connected opened')
    await client.publish('a', 1)
    await expect.poll(() => got).toEqual([1])
    expect(states).toContain('waiting disconnected_by_operator')
    abort.abort()
    await expect.poll(() => client.state).toBe('closed')
    await expect.poll(() => hub.connectionCount).toBe(1)
  })

  it('works with a contract, whose types it has and which the hub checks', async () => {
    const topics = defineTopics({ 'prices.*': z.object({ euros: z.number() }) })
    const hub = await start({ topics })
    const client = hub.connect({ topics })
    const typed = hub.connect<{ 'prices.*': { euros: number } }>()
    const prices: number[] = []
    await typed.subscribe('prices.gold', ({ data: { euros } }) => void prices.push(euros)).ready
    await client.publish('prices.gold', { euros: 12 })
    await expect.poll(() => prices).toEqual([12])
    // @ts-expect-error The compiler knows it, too.
    await expect(client.publish('prices.gold', { euros: '12' })).rejects.toMatchObject({ code: 'bad_data' })
  })

  describe('when the hub closes', () => {
    it('receives everything pending, and ends: iterators finish, and the reason is given', async () => {
      const hub = await start({ queues: [{ name: 'q', maxMessages: 1, overflow: 'block' }] })
      const client = hub.connect()
      const read: unknown[] = []
      const loop = (async () => {
        for await (const { data } of client.subscribe('a')) read.push(data)
      })()
      const handled: unknown[] = []
      const subscription = client.subscribe('a', ({ data }) => void handled.push(data))
      await subscription.ready
      client.respond('sums', () => 1)
      client.consume('none', () => {}).ready.catch(() => {})
      const stuck = new Promise<void>((resolve) => {
        client.consume('q', () => {
          resolve()
          return new Promise(() => {})
        })
      })
      await client.enqueue('q', 1)
      await stuck
      const blocked = client.enqueue('q', 2).then(
        () => 'kept',
        ({ code }) => code,
      )
      const states: string[] = []
      client.onState(({ to, reason }) => void states.push(`${to} ${reason.code}`))
      await client.publish('a', 1)
      const began = Date.now()
      await hub.close()
      expect(Date.now() - began).toBeLessThan(4_000)
      expect(states).toEqual(['closed shutting_down'])
      await loop
      await subscription.ended
      expect([read, handled]).toEqual([[1], [1]])
      expect(['kept', 'connection_lost']).toContain(await blocked)
      await expect(client.ready()).rejects.toMatchObject({ code: 'shutting_down' })
      await expect(client.publish('a', 1)).rejects.toMatchObject({ code: 'client_closed' })
      expect(await client.close()).toEqual({ unsent: 0, unanswered: 0 })
      expect(() => hub.connect()).toThrow(expect.objectContaining({ code: 'shutting_down' }))
    })

    it('ends at once even while it waits to reconnect, and pending calls reject', async () => {
      const hub = await start()
      const client = hub.connect({ backoff: { base: 600_000, cap: 600_000 } })
      await client.ready()
      const operator = hub.connect()
      const { connections } = await operator.admin.connections.list()
      await operator.admin.connections.disconnect(connections[0]?.connection as string)
      await expect.poll(() => client.state).toBe('waiting')
      const waiting = client.publish('a', 1)
      const refused = expect(waiting).rejects.toMatchObject({ code: 'shutting_down' })
      const closing = hub.close()
      await refused
      expect(client.state).toBe('closed')
      await closing
    })

    it('is not accepted while the hub drains', async () => {
      const hub = await start()
      const first = hub.connect()
      await first.ready()
      const late = hub.connect()
      const closing = hub.close()
      expect(() => hub.connect()).toThrow(expect.objectContaining({ code: 'shutting_down' }))
      await expect(late.ready()).rejects.toMatchObject({ code: 'shutting_down' })
      await closing
      expect([first.state, hub.connectionCount]).toEqual(['closed', 0])
    })

    it('a handler without onError causes no uncaught error', async () => {
      const uncaught = hearUncaught()
      const hub = await start({ queues: [{ name: 'q' }] })
      const client = hub.connect()
      client.subscribe('a', () => {})
      client.consume('q', () => {})
      client.respond('b', () => {})
      await client.publish('a', 1)
      await hub.close()
      await new Promise((resolve) => setImmediate(resolve))
      expect(uncaught).toEqual([])
    })
  })

  it.each([
    [{ token: 'secret' }, 'bad_option'],
    [{ getToken: async () => 'secret' }, 'bad_option'],
    [{ WebSocket: class {} }, 'bad_option'],
    [{ subjects: 'ann' }, 'bad_option'],
    [{ subject: '' }, 'bad_option'],
    [{ subject: 17 }, 'bad_option'],
    [{ permissions: 'all' }, 'bad_option'],
    [{ permissions: { publish: ['a..b'] } }, 'bad_option'],
    [{ permissions: { write: ['a'] } }, 'bad_option'],
    [{ backoff: { base: 0 } }, 'bad_option'],
    [{ name: 'x'.repeat(201) }, 'bad_option'],
    [null, 'bad_option'],
  ])('refuses the options %o', async (options, code) => {
    const hub = await start()
    expect(() => hub.connect(options as never)).toThrow(expect.objectContaining({ code }))
  })
})

onEveryEngine('clients in the process and over the network', (hubs) => {
  it('share topics and queues, and neither counts against the limits of the other', async () => {
    const { hub, url } = await hubs.start({ maxConnections: 1, queues: [{ name: 'q' }] })
    const own = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const client = hub.connect()
        await client.ready()
        return client
      }),
    )
    const remote = connect(url)
    await remote.ready()
    const more = hub.connect()
    const got: unknown[] = []
    await more.subscribe('a', ({ data }) => void got.push(data)).ready
    await remote.publish('a', 'from afar')
    await expect.poll(() => got).toEqual(['from afar'])
    const done = new Promise((resolve) => remote.consume('q', ({ data }) => resolve(data)))
    await own[0]?.enqueue('q', 'from here')
    expect(await done).toBe('from here')
    const refused = connect(url)
    const reason = new Promise<string>((resolve) => refused.onState((change) => resolve(change.reason.message)))
    expect(await reason).toMatch(/503/)
    await Promise.all([remote.close(), refused.close(), ...own.map((client) => client.close())])
  })
})
