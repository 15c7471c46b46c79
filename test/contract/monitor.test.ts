import { expect, it } from 'vitest'
import type {
  Client,
  ConnectionInfo,
  ConnectionsStatus,
  HubInfo,
  StreamStatus,
  TopicsStatus,
} from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { QueueReader } from '../setup/queues.ts'
import { publishNumbers, range, streamWorlds } from '../setup/streams.ts'

onEveryEngine('the status of the hub', (hubs) => {
  const start = streamWorlds(hubs)

  it('counts what is published and delivered, each once', async () => {
    const { hub, client, peer } = await start({ queues: [{ name: 'q' }] })
    const publisher = client()
    const twice = await peer()
    await twice.subscribe(1, 't.#')
    await twice.subscribe(2, 't.one')
    const replay = await peer()
    await publishNumbers(publisher, 't.one', 0, 10)
    await publishNumbers(publisher, 's.kept', 0, 5)
    await replay.subscribe(1, 's.#', { from: 'earliest' })
    while (replay.frames.filter(({ type }) => type === 'message').length < 5) await replay.next('message')
    await publisher.enqueue('q', 1, { id: 'job' })
    // A duplicate, and a refused publish, are not messages.
    await publisher.enqueue('q', 1, { id: 'job' })
    await publisher.publish('$forbidden', 1).catch(() => {})
    await new QueueReader(client(), 'q').done(1)
    const info = await publisher.admin.hub.show()
    expect(info).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      engine: hubs.engine,
      connections: 4,
      subscriptions: 3,
      streams: 1,
      queues: 1,
      topics: 3,
      publishedTotal: 16,
      // Ten to one that has two subscriptions, five from the log, one from the queue.
      deliveredTotal: 16,
      droppedTotal: {},
      outboxBytes: 0,
      outboxTotalBytes: 256 * 1024 * 1024,
    })
    expect(info.memoryBytes).toBeGreaterThan(10_000_000)
    expect(Math.abs(Date.now() - info.startedAt)).toBeLessThan(60_000)
    expect(hub.connectionCount).toBe(4)
  })

  it('is published on $sys topics, with the rates of the last second', async () => {
    const { client } = await start({ queues: [{ name: 'q' }] })
    const watcher = client()
    const publisher = client()
    await watcher.subscribe('t.#', () => {}).ready
    const busy = setInterval(() => {
      void publisher.publish('t.busy', 'x'.repeat(100))
      void publisher.publish('s.kept', 1)
    }, 10)
    try {
      const hub = until<HubInfo>(watcher, '$sys.hub', (info) => info.deliveredPerSecond > 10)
      const topics = until<TopicsStatus>(watcher, '$sys.topics', ({ busiest }) =>
        busiest.some(({ publishedPerSecond }) => publishedPerSecond > 10),
      )
      const stream = until<StreamStatus>(watcher, '$sys.streams.s', (info) => info.publishedPerSecond > 10)
      const info = await hub
      expect(info.bytesInPerSecond).toBeGreaterThan(1000)
      expect(info.publishedPerSecond).toBeGreaterThan(10)
      expect(info.bytesOutPerSecond).toBeGreaterThan(0)
      expect(info.cpu).toBeGreaterThan(0)
      expect((await topics).busiest.map(({ topic }) => topic).sort()).toEqual(['s.kept', 't.busy'])
      expect(await stream).toMatchObject({ name: 's', topics: ['s.#'], first: 0, cursors: {} })
    } finally {
      clearInterval(busy)
    }
  })

  it('lists the connection first that cannot keep up, and reports what it lost', async () => {
    const { client, peer } = await start({ outboxBytes: 300_000 })
    const [watcher, publisher] = [client(), client()]
    const slow = await peer()
    await slow.subscribe(7, 't.#', { policy: 'drop-newest' })
    await slow.subscribe(8, 's.#', { policy: 'pause', from: 'latest' })
    slow.stall()
    const status = until<ConnectionsStatus>(watcher, '$sys.connections', ({ slowest }) =>
      Boolean(slowest[0] && slowest[0].droppedTotal > 0),
    )
    const flood = 'x'.repeat(100_000)
    let dropped = 0
    while (dropped === 0) {
      await Promise.all(range(0, 20).map(() => publisher.publish('t.flood', flood)))
      dropped = (await publisher.admin.hub.show()).droppedTotal['drop-newest'] ?? 0
    }
    const { count, slowest } = await status
    expect(count).toBe(3)
    const [first] = slowest as [ConnectionInfo]
    expect(first).toMatchObject({ outboxLimitBytes: 300_000, subscriptionCount: 2, consumerCount: 0 })
    expect(first.lagMs).toBeGreaterThan(0)
    expect(first.outboxBytes).toBeGreaterThan(200_000)
    expect(first.subscriptions).toMatchObject([
      { sub: 7, pattern: 't.#', policy: 'drop-newest', paused: false, behind: false, droppedTotal: first.droppedTotal },
      { sub: 8, pattern: 's.#', policy: 'pause', stream: 's', droppedTotal: 0 },
    ])
    const total = (await watcher.admin.connections.show(first.connection)).droppedTotal
    slow.goOn()
    // What it is notified of equals what was counted.
    let told = 0
    while (told < total) told += (await slow.next('gap')).count ?? 0
    expect(told).toBe(total)
    const after = () => watcher.admin.connections.show(first.connection)
    await expect.poll(after).toMatchObject({ lagMs: 0, outboxBytes: 0, droppedTotal: total })
  })

  it('lists connections, shows one in detail, and ends it', async () => {
    const { client, peer, url } = await start({ queues: [{ name: 'q' }] })
    const operator = client(url, { name: 'operator' })
    await operator.ready()
    const other = await peer()
    for (const sub of range(0, 12)) await other.subscribe(sub, `t.${sub}`)
    other.send({ type: 'pause', sub: 3 }, { type: 'consume', consumer: 1, queue: 'q', prefetch: 5 })
    await other.next('consuming')
    const page = await operator.admin.connections.list()
    expect(page.count).toBe(2)
    expect(page.connections).toMatchObject([{ number: 1, client: expect.stringContaining('operator') }, { number: 2 }])
    expect(page.connections[1]?.subscriptions).toHaveLength(10)
    const [rest] = (await operator.admin.connections.list({ from: 2, limit: 1 })).connections as [ConnectionInfo]
    expect(rest).toMatchObject({ number: 2, address: expect.stringContaining('127.0.0.1'), subscriptionCount: 12 })
    const shown = await operator.admin.connections.show(rest.connection)
    expect(shown.subscriptions.filter(({ paused }) => paused).map(({ sub }) => sub)).toEqual([3])
    expect(shown.subscriptions).toHaveLength(12)
    expect(shown.consumers).toEqual([{ queue: 'q', inFlight: 0, prefetch: 5 }])
    await operator.admin.connections.disconnect(rest.connection)
    expect((await other.next('error')).code).toBe('disconnected_by_operator')
    expect((await other.closed).code).toBe(4004)
    await expect(operator.admin.connections.show('nobody')).rejects.toMatchObject({ code: 'no_connection' })
    await expect(operator.admin.connections.disconnect('nobody')).rejects.toMatchObject({ code: 'no_connection' })
    await expect(operator.admin.connections.list({ limit: 1001 })).rejects.toMatchObject({ code: 'bad_params' })
  })

  it('a client that an operator has disconnected comes back', async () => {
    const { client } = await start()
    const [operator, other] = [client(), client()]
    await other.ready()
    const [first] = (await operator.admin.connections.list()).connections as [ConnectionInfo]
    const own = await operator.admin.hub.show()
    expect(own.connections).toBe(2)
    const back = new Promise<void>((resolve) => {
      let lost = 0
      for (const each of [operator, other]) {
        each.onState(({ to }) => {
          if (to !== 'connected') lost++
          else if (lost > 0) resolve()
        })
      }
    })
    // It may have ended itself: then the response is lost with the connection.
    await operator.admin.connections.disconnect(first.connection).catch(() => {})
    await back
    expect((await operator.admin.hub.show()).connections).toBe(2)
  })

  it('names the busiest topics first', async () => {
    const { client } = await start()
    const publisher = client()
    for (const [topic, count] of [
      ['t.some', 3],
      ['t.most', 5],
      ['t.least', 1],
    ] as const) {
      await publishNumbers(publisher, topic, 0, count)
    }
    // A new stream changes the routes of topics, but not the counts.
    await publisher.admin.streams.declare({ name: 'later', topics: ['t.most'] })
    await publishNumbers(publisher, 't.most', 5, 7)
    const { count, busiest } = await publisher.admin.topics.list({ limit: 2 })
    expect(count).toBe(3)
    expect(busiest).toHaveLength(2)
    const all = await publisher.admin.topics.list()
    const totals = Object.fromEntries(all.busiest.map(({ topic, publishedTotal }) => [topic, publishedTotal]))
    expect(totals).toEqual({ 't.most': 7, 't.some': 3, 't.least': 1 })
  })
})

/** The first message of the hub on a topic that meets a condition. */
async function until<Data>(client: Client, topic: string, wanted: (data: Data) => boolean): Promise<Data> {
  for await (const { data } of client.subscribe(topic)) if (wanted(data as Data)) return data as Data
  throw new Error('The subscription has ended')
}
