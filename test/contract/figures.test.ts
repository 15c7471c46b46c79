import { expect, it } from 'vitest'
import type { Client, ConnectionInfo } from '../../client/node.ts'
import type { Credentials } from '../../server/index.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { publishNumbers, range, streamWorlds } from '../setup/streams.ts'

onEveryEngine('figures that an operator asks for', (hubs) => {
  const start = streamWorlds(hubs)

  it('finds queues in the whole hub, however many there are, in the requested order', async () => {
    const queues = range(0, 120).map((n) => ({ name: `q${String(n).padStart(3, '0')}` }))
    queues.push({ name: 'mail', bindings: [{ topic: 'letters.#' }] } as (typeof queues)[number])
    const { client } = await start({ queues })
    const operator = client()
    for (const [name, count] of [
      ['q119', 3],
      ['q070', 5],
    ] as const) {
      for (const n of range(0, count)) await operator.enqueue(name, n)
    }
    const names = async (search: Parameters<Client['admin']['queues']['find']>[0]) =>
      (await operator.admin.queues.find(search)).queues.map(({ name }) => name)
    expect(await operator.admin.queues.find({ limit: 2 })).toMatchObject({ count: 121, matching: 121 })
    // Queues without consumers come first, and those with the largest backlog before the rest.
    expect(await names({ limit: 3 })).toEqual(['q070', 'q119', 'mail'])
    expect(await names({ filter: 'Q11', sort: 'name' })).toEqual(range(110, 120).map((n) => `q${n}`))
    expect(await names({ filter: 'letters' })).toEqual(['mail'])
    expect(await names({ sort: 'ready', limit: 2, reverse: true })).toEqual(['q118', 'q117'])
    expect(await names({ sort: 'name', from: 119, limit: 10 })).toEqual(['q118', 'q119'])
    expect(await operator.admin.queues.find({ filter: 'nothing' })).toEqual({ count: 121, matching: 0, queues: [] })
    const [row] = (await operator.admin.queues.find({ filter: 'q070', history: true })).queues
    expect(row).toMatchObject({ name: 'q070', ready: 5, depth: 5 })
    expect(row?.history).toBeInstanceOf(Array)
    await expect(operator.call('queues.find', { sort: 'nonsense' })).rejects.toMatchObject({ code: 'bad_params' })
  })

  it('finds streams, topics and connections, also by what a connection uses', async () => {
    const { client, peer, url } = await start({ queues: [{ name: 'jobs' }] })
    const operator = client(url, { name: 'operator' })
    await publishNumbers(operator, 's.kept', 0, 3)
    await publishNumbers(operator, 't.live', 0, 2)
    expect(await operator.admin.streams.find({ filter: 'S.#' })).toMatchObject({ count: 1, matching: 1 })
    expect((await operator.admin.streams.find({ sort: 'messages', history: true })).streams).toMatchObject([
      { name: 's', first: 0, next: 3, messages: 3 },
    ])
    const { count, topics } = await operator.admin.topics.find({ filter: 'live' })
    expect(count).toBe(2)
    expect(topics).toMatchObject([{ topic: 't.live', publishedTotal: 2 }])
    const other = await peer()
    await other.subscribe(1, 'prices.eur')
    other.send({ type: 'consume', consumer: 1, queue: 'jobs', prefetch: 5 })
    await other.next('consuming')
    const numbers = async (filter: string) =>
      (await operator.admin.connections.find({ filter, sort: 'number' })).connections.map(({ number }) => number)
    expect(await numbers('')).toEqual([1, 2])
    expect(await numbers('Prices')).toEqual([2])
    expect(await numbers('jobs')).toEqual([2])
    expect(await numbers('operator')).toEqual([1])
    expect(await numbers('127.0.0')).toEqual([1, 2])
    expect(await operator.admin.connections.find({ filter: 'nobody' })).toMatchObject({ count: 2, matching: 0 })
  })

  it('reports everything that is wrong with a queue in one entry', async () => {
    const { client } = await start({ queues: [{ name: 'q', maxAttempts: 1, onDeadLetter: 'park' }, { name: 'idle' }] })
    const operator = client()
    for (const n of range(0, 3)) await operator.enqueue('q', n, { key: 'one' })
    const consumer = operator.consume('q', (delivery) => delivery.reject('broken'))
    await until(async () => (await operator.admin.queues.show('q')).deadLetters === 1)
    await consumer.close()
    await operator.enqueue('q', 4)
    // A busy machine may have delayed the hub.
    const { warnings, entries: all } = await operator.admin.hub.attention()
    const entries = all.filter(({ about }) => about.kind !== 'hub')
    expect(warnings).toBe(all.filter(({ level }) => level === 'warning').length)
    expect(entries).toMatchObject([{ about: { kind: 'queue', name: 'q' }, level: 'warning' }])
    expect(entries[0]?.troubles.map(({ kind, text }) => [kind, text.replace(/\d+ (ms|s)/, 'a while')])).toEqual([
      ['no-consumer', 'has no consumer: 1 message is ready, oldest for a while.'],
      ['dead-letters', 'has 1 dead letter.'],
      ['parked', 'has 1 parked group: it waits until an operator resumes it.'],
    ])
  })

  it('names the subscriber that lost messages recently, even if it has caught up', async () => {
    const { client, url } = await start({ outboxBytes: 300_000 })
    const operator = client()
    const slow = client(url, { name: 'slow one' })
    let letGo = () => {}
    const gate = new Promise<void>((resolve) => {
      letGo = resolve
    })
    let handled = 0
    const onMessage = async () => {
      handled++
      await gate
    }
    await slow.subscribe('t.#', onMessage, { policy: 'drop-oldest' }).ready
    const flood = 'x'.repeat(50_000)
    const slowOne = async () =>
      (await operator.admin.connections.find({ filter: 'slow one' })).connections[0] as ConnectionInfo
    while ((await slowOne()).droppedTotal === 0) await operator.publish('t.flood', flood)
    const { droppedTotal } = await slowOne()
    letGo()
    await until(async () => (await slowOne()).outboxBytes === 0)
    expect(handled).toBeGreaterThan(0)
    const { connection, lagMs } = await slowOne()
    expect(lagMs).toBe(0)
    const { entries } = await operator.admin.hub.attention()
    const entry = entries.find(({ about }) => about.kind === 'connection')
    expect(entry).toMatchObject({
      level: 'problem',
      about: { connection, client: expect.stringContaining('slow one') },
    })
    expect(entry?.troubles[0]).toMatchObject({ kind: 'losing', level: 'problem' })
    expect(entry?.troubles[0]?.text).toContain(`: ${droppedTotal} of t.# (policy drop-oldest).`)
    // The default order of connections lists it first.
    expect((await operator.admin.connections.find({ limit: 1 })).connections).toMatchObject([{ connection }])
  })

  it('counts the readable messages of a last-value stream', async () => {
    const { client } = await start()
    const operator = client()
    await operator.admin.streams.declare({ name: 'latest', topics: ['prices.#'], lastValue: true })
    for (const n of range(0, 30)) await operator.publish(`prices.${n % 3}`, n)
    expect(await operator.admin.streams.show('latest')).toMatchObject({ first: 0, next: 30, messages: 3 })
    await operator.admin.streams.trim('latest', 28)
    expect(await operator.admin.streams.show('latest')).toMatchObject({ first: 28, next: 30, messages: 2 })
  })

  it('requires the permissions of the corresponding methods', async () => {
    const permissions = { all: { admin: true }, few: { consume: ['mine'], declare: ['s'] } } as const
    const authenticate = ({ token }: Credentials) => ({
      subject: String(token),
      permissions: permissions[token as keyof typeof permissions],
    })
    const auth = { authenticate }
    const { client, url } = await start({ queues: [{ name: 'mine' }, { name: 'other' }], auth })
    const few = client(url, { token: 'few' })
    expect(await few.admin.queues.find()).toMatchObject({ count: 1, matching: 1, queues: [{ name: 'mine' }] })
    expect(await few.admin.streams.find()).toMatchObject({ count: 1, streams: [{ name: 's' }] })
    expect(await few.admin.hub.history({ of: 'queue', name: 'mine', range: 'minutes' })).toHaveProperty('times')
    const forbidden = { code: 'forbidden' }
    await expect(few.admin.hub.history({ of: 'queue', name: 'other', range: 'minutes' })).rejects.toMatchObject(
      forbidden,
    )
    await expect(few.admin.hub.history({ of: 'hub', range: 'day' })).rejects.toMatchObject(forbidden)
    for (const method of ['hub.attention', 'connections.find', 'connections.recent', 'topics.find']) {
      await expect(few.call(method), method).rejects.toMatchObject(forbidden)
    }
  })

  it('keeps five minutes and a day of history of the hub, a queue and a stream', async () => {
    const { client } = await start({ queues: [{ name: 'q' }] })
    const operator = client()
    await operator.enqueue('q', 1)
    await publishNumbers(operator, 's.kept', 0, 3)
    const history = (of: 'queue' | 'stream', name: string) => operator.admin.hub.history({ of, name, range: 'minutes' })
    await until(async () => Math.max(0, ...((await history('queue', 'q')).figures['ready'] ?? [])) === 1)
    const { times, figures } = await history('queue', 'q')
    expect(Object.keys(figures)).toEqual(['ready', 'publishedPerSecond', 'ackedPerSecond'])
    expect(figures['ready']).toHaveLength(times.length)
    await until(async () => Math.max(0, ...((await history('stream', 's')).figures['publishedPerSecond'] ?? [])) > 0)
    const hub = await operator.admin.hub.history({ of: 'hub', range: 'minutes' })
    expect(Math.max(...(hub.figures['publishedPerSecond'] ?? []))).toBeGreaterThan(0)
    expect(await operator.admin.hub.history({ of: 'hub', range: 'day' })).toMatchObject({ kept: true })
    await expect(history('queue', 'none')).rejects.toMatchObject({ code: 'no_queue' })
  })

  it('remembers a connection that has ended, with its last figures and the reason', async () => {
    const { client, peer } = await start()
    const operator = client()
    const other = await peer()
    await other.subscribe(1, 'prices.eur')
    const [, { connection }] = (await operator.admin.connections.list()).connections as [
      unknown,
      { connection: string },
    ]
    await operator.admin.connections.disconnect(connection)
    await other.closed
    const ended = await operator.admin.connections.show(connection)
    expect(ended).toMatchObject({ connection, code: 'disconnected_by_operator', subscriptionCount: 1 })
    expect(ended).toMatchObject({ endedAt: expect.any(Number), reason: expect.stringMatching(/operator/i) })
    const leaves = await peer()
    leaves.terminate()
    await until(async () => (await operator.admin.connections.recent()).length === 2)
    const [last] = await operator.admin.connections.recent()
    expect(last).not.toHaveProperty('code')
    expect(last?.reason).toBe('The client or the network closed the connection.')
  })
})

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50))
}
