import { setTimeout as passed } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type {
  Client,
  ConnectionsStatus,
  HubInfo,
  Message,
  NodesStatus,
  SubscriptionGap,
  TopicsStatus,
} from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { nodesOn, type TestNode } from '../setup/nodes.ts'
import type { Peer } from '../setup/peer.ts'
import { publishNumbers, range } from '../setup/streams.ts'

type Two = [TestNode, TestNode]

onEveryEngine('a hub of several nodes', (hubs) => {
  const start = nodesOn(hubs.engine)

  it('delivers to a subscriber whatever any node publishes from "subscribed" on, byte for byte', async () => {
    const [a, b] = (await start(2)) as Two
    const subscription = b.client().subscribe('photos.*', { filter: { all: { kind: 'new' } } })
    await subscription.ready
    const messages = subscription[Symbol.asyncIterator]()
    const by = await a.peer()
    const data = '{"id":9007199254740993,"big":1e400,"neg":-0,"b":1,"1":2}'
    const publish = (seq: number, kind: string) =>
      by.socket.send(
        `{"type":"publish","seq":${seq},"topic":"photos.a","key":"k","headers":{"kind":"${kind}"},"data":${data}}`,
      )
    publish(1, 'old')
    publish(2, 'new')
    await a.client().publish('photos.b', new Uint8Array([0, 255]), { headers: { kind: 'new' } })
    const first = (await messages.next()).value as Message
    expect(first).toMatchObject({ topic: 'photos.a', key: 'k', headers: { kind: 'new' } })
    expect(first.raw).toBe(data)
    expect(((await messages.next()).value as Message).data).toEqual(new Uint8Array([0, 255]))
  })

  it('keeps the order of each publisher for subscribers of every node', async () => {
    const nodes = await start(3)
    const seen = nodes.map(() => [] as number[][])
    const readers = nodes.map((node, at) => {
      const own = seen[at] as number[][]
      return node.client().subscribe('n.*', ({ data }) => void own.push(data as number[]))
    })
    await Promise.all(readers.map(({ ready }) => ready))
    const publish = async (node: TestNode, at: number) => {
      const client = node.client()
      await Promise.all(range(0, 300).map((n) => client.publish(`n.${n % 5}`, [at, n])))
    }
    await Promise.all(nodes.map(publish))
    await expect.poll(() => seen.map((each) => each.length)).toEqual([900, 900, 900])
    for (const each of seen) {
      for (const at of range(0, 3)) {
        expect(each.filter(([from]) => from === at).map(([, n]) => n)).toEqual(range(0, 300))
      }
    }
  })

  it('sends nothing to a subscription that ended before it was established', async () => {
    const [a, b] = (await start(2)) as Two
    const peer = await b.peer()
    const other = await b.peer()
    other.send({ type: 'subscribe', sub: 1, pattern: 'a' })
    other.terminate()
    peer.send({ type: 'subscribe', sub: 1, pattern: 'a' }, { type: 'unsubscribe', sub: 1 })
    await peer.next('unsubscribed')
    await peer.subscribe(2, 'b')
    const publisher = a.client()
    await publisher.publish('a', 1)
    await publisher.publish('b', 2)
    expect(await peer.next('message')).toMatchObject({ topic: 'b' })
    expect(peer.frames.filter(({ type }) => type === 'subscribed')).toEqual([{ type: 'subscribed', sub: 2 }])
    expect((await publisher.admin.hub.show()).subscriptions).toBe(1)
  })

  it('leaves to the broker what it may store', async () => {
    const [a, b] = (await start(2, { streams: [{ name: 's', topics: ['s.#'] }] })) as Two
    // In this test, each node has a broker of its own.
    const peer = await b.peer()
    await peer.subscribe(1, '#')
    const publisher = a.client()
    await publisher.publish('s.kept', 1)
    await publisher.publish('t.live', 2)
    expect(await peer.next('message')).toMatchObject({ topic: 't.live' })
  })

  it('reports to live subscriptions what they may have missed, in place, and to no others', async () => {
    const [a, b] = (await start(2, { streams: [{ name: 's', topics: ['s.#'] }] })) as Two
    const [open, paused] = [await b.peer(), await b.peer()]
    await open.subscribe(1, 'news.#')
    await open.subscribe(2, 'quiet')
    await open.subscribe(3, 's.#', { stream: 's' })
    await paused.subscribe(1, 'news.#')
    paused.send({ type: 'pause', sub: 1 })
    await paused.next('paused')
    const publisher = a.client()
    await publisher.publish('news.a', 'before')
    await open.next('message')
    b.bus.cut()
    await publisher.publish('news.b', 'lost')
    await b.client().publish('news.c', 'own')
    expect(await open.next('message')).toMatchObject({ data: 'own' })
    b.bus.heal()
    expect(await open.next('gap')).toEqual({ type: 'gap', sub: 1, reason: 'link' })
    await publisher.publish('news.d', 'after')
    expect(await open.next('message')).toMatchObject({ data: 'after' })
    expect(open.frames.filter(({ type }) => type === 'gap')).toHaveLength(1)
    paused.send({ type: 'resume', sub: 1 })
    await expect.poll(() => told(paused)).toEqual(['before', 'own', 'link', 'after'])
  })

  it('sends a client the gap of a cut link', async () => {
    const [a, b] = (await start(2)) as Two
    const gaps: SubscriptionGap[] = []
    const client = b.client()
    await client.subscribe('news', () => {}, { onGap: (gap) => void gaps.push(gap) }).ready
    b.bus.cut()
    await a.client().publish('news', 1)
    b.bus.heal()
    await expect.poll(() => gaps).toEqual([expect.objectContaining({ count: undefined, reason: 'link' })])
  })

  it('prefers a responder of its own node, and otherwise asks one of another', async () => {
    const [a, b] = (await start(2)) as Two
    const there = b.client().respond('where.*', ({ data }) => ({ there: data }))
    await there.ready
    const asker = a.client()
    expect(await asker.request('where.a', 1)).toEqual({ there: 1 })
    expect(await asker.request('where.a')).toEqual({})
    const here = a.client().respond('where.#', () => 'here')
    await here.ready
    for (const n of range(0, 10)) expect(await asker.request('where.a', n)).toBe('here')
    here.close()
    await expect.poll(() => asker.request('where.a', 2)).toEqual({ there: 2 })
  })

  it('carries requests, replies and errors of responders unchanged', async () => {
    const [a, b] = (await start(2)) as Two
    const echo = b.client().respond<unknown>('echo', ({ data, headers }) => {
      if (data === 'fail') throw new Error('out of ink')
      return data instanceof Uint8Array ? data.slice().reverse() : { data, headers }
    })
    await echo.ready
    const asker = a.client()
    expect(await asker.request('echo', { n: [1, null] }, { headers: { h: 'x' } })).toEqual({
      data: { n: [1, null] },
      headers: { h: 'x' },
    })
    expect(await asker.request('echo', new Uint8Array([1, 2, 3]))).toEqual(new Uint8Array([3, 2, 1]))
    const failed = { code: 'responder_failed', message: expect.stringMatching(/out of ink/) }
    await expect(asker.request('echo', 'fail')).rejects.toMatchObject(failed)
    const [peer, responder] = [await a.peer(), await b.peer()]
    const texts: string[] = []
    for (const { socket } of [peer, responder]) socket.on('message', (text) => texts.push(String(text)))
    responder.send({ type: 'respond', sub: 1, pattern: 'raw' })
    await responder.next('subscribed')
    peer.socket.send('{"type":"ask","seq":1,"topic":"raw","data":9007199254740993,"timeoutMs":5000}')
    const { request } = await responder.next('request')
    responder.socket.send(`{"type":"reply","request":${request},"data":1e400}`)
    await peer.next('answer')
    expect(texts.slice(1)).toEqual([
      expect.stringContaining('"data":9007199254740993'),
      expect.stringContaining('"data":1e400'),
    ])
  })

  it('knows offers that existed before a node joined, until they end', async () => {
    const [a, b] = (await start(2)) as Two
    b.bus.cut()
    const first = b.client().respond('late', () => 'b')
    const second = b.client().respond('late', () => 'b')
    await Promise.all([first.ready, second.ready])
    const asker = a.client()
    await expect(asker.request('late')).rejects.toMatchObject({ code: 'no_responder' })
    b.bus.heal()
    await expect.poll(() => asker.request('late').catch(({ code }) => code)).toBe('b')
    await first.close()
    expect(await asker.request('late')).toBe('b')
    await second.close()
    await expect.poll(() => asker.request('late').catch(({ code }) => code)).toBe('no_responder')
  })

  it('asks another responder if the one of a node ended while the request was on its way', async () => {
    const [a, b, c] = (await start(3)) as [TestNode, TestNode, TestNode]
    const [asker, busy] = [a.client(), await c.peer()]
    busy.send({ type: 'respond', sub: 1, pattern: 'crossed' })
    await busy.next('subscribed')
    const ask = (timeoutMs: number) => asker.request('crossed', 1, { timeout: timeoutMs }).catch(({ code }) => code)
    const first = ask(60_000)
    const { request } = await busy.next('request')
    const ending = b.client().respond('crossed', () => 'never')
    await ending.ready
    // Its node does not hear that it ends, so the next requests still go there first.
    a.bus.pause()
    await ending.close()
    const second = ask(60_000)
    const crossed = await busy.next('request')
    busy.send({ type: 'reply', request: crossed.request, data: 'another' })
    expect(await second).toBe('another')
    const third = ask(20)
    await busy.next('request')
    expect(await third).toBe('request_timeout')
    busy.terminate()
    expect(await first).toBe('responder_lost')
    expect(request).not.toBe(crossed.request)
    await expect.poll(() => ask(60_000)).toBe('no_responder')
  })

  it('reports that a responder is lost when its connection or its node is gone, and how long one waits', async () => {
    const [a, b] = (await start(2)) as Two
    const asker = a.client()
    const ask = (timeoutMs = 60_000) => asker.request('hang', 1, { timeout: timeoutMs }).catch(({ code }) => code)
    const [one, two] = [await b.peer(), await b.peer()]
    one.send({ type: 'respond', sub: 1, pattern: 'hang' })
    await one.next('subscribed')
    const late = ask(20)
    await one.next('request')
    expect(await late).toBe('request_timeout')
    const left = ask()
    await one.next('request')
    one.terminate()
    expect(await left).toBe('responder_lost')
    two.send({ type: 'respond', sub: 1, pattern: 'hang' })
    await two.next('subscribed')
    const died = ask()
    await two.next('request')
    b.bus.cut()
    expect(await died).toBe('responder_lost')
    expect(await ask()).toBe('no_responder')
  })

  it('lists the connections of all nodes at each of them, and ends any', async () => {
    const nodes = (await start(2)) as Two
    const clients = nodes.flatMap((node, at) => range(0, 3).map((n) => node.client({ name: `client ${at} ${n}` })))
    await Promise.all(clients.map((client) => client.ready()))
    const ids: string[] = []
    for (const client of [clients[0], clients[3]] as Client[]) {
      const found = await client.admin.connections.find({ sort: 'client', from: 1, limit: 4 })
      expect(found).toMatchObject({ count: 6, matching: 6 })
      const names = found.connections.map(({ client }) => client)
      expect(names).toEqual(['client 0 1', 'client 0 2', 'client 1 0', 'client 1 1'])
      const reversed = await client.admin.connections.find({
        sort: 'client',
        reverse: true,
        limit: 1,
        filter: 'CLIENT 0',
      })
      expect(reversed).toMatchObject({ count: 6, matching: 3, connections: [{ client: 'client 0 2' }] })
      const { count, connections } = await client.admin.connections.list({ limit: 1 })
      expect([count, connections.map(({ number }) => number)]).toEqual([6, [1, 1]])
      const rest = await client.admin.connections.list({ from: 2 })
      expect(rest.connections.map(({ number }) => number)).toEqual([2, 2, 3, 3])
      ids.push(...found.connections.map(({ connection }) => connection))
    }
    const [operator, target] = [clients[0] as Client, ids[3] as string]
    expect(await operator.admin.connections.show(target)).toMatchObject({ connection: target, client: 'client 1 1' })
    await operator.admin.connections.disconnect(target)
    const ended = { connection: target, code: 'disconnected_by_operator' }
    await expect.poll(() => operator.admin.connections.recent()).toMatchObject([ended])
    expect(await operator.admin.connections.show(target)).toMatchObject(ended)
    for (const act of ['show', 'disconnect'] as const) {
      await expect(operator.admin.connections[act]('nobody')).rejects.toMatchObject({ code: 'no_connection' })
    }
  })

  it('sums up its figures, on request and on $sys topics', async () => {
    const [a, b] = (await start(2)) as Two
    const [atA, atB] = [a.client(), b.client()]
    await atB.subscribe('t.#', () => {}).ready
    await publishNumbers(atA, 't.both', 0, 10)
    await publishNumbers(atB, 't.both', 0, 5)
    await publishNumbers(atB, 't.b', 0, 1)
    const sums = { nodes: 2, connections: 2, publishedTotal: 16, subscriptions: 1, droppedTotal: { link: 0 } }
    await expect.poll(() => atA.admin.hub.show()).toMatchObject({ ...sums, deliveredTotal: 16, node: a.bus.node })
    expect(await atB.admin.hub.show()).toMatchObject({ ...sums, node: b.bus.node })
    const both = { topic: 't.both', publishedTotal: 15 }
    const found = await atA.admin.topics.find({ sort: 'publishedTotal' })
    expect(found.topics).toMatchObject([both, { topic: 't.b', publishedTotal: 1 }])
    expect((await atA.admin.topics.find({ sort: 'publishedTotal', from: 1 })).topics).toMatchObject([{ topic: 't.b' }])
    expect((await atB.admin.topics.list()).busiest).toContainEqual(expect.objectContaining(both))
    expect(await next<HubInfo>(atA, '$sys.hub')).toMatchObject({ nodes: 2, publishedTotal: 16, node: a.bus.node })
    expect(await next<ConnectionsStatus>(atA, '$sys.connections')).toMatchObject({ count: 2 })
    const topics = await next<TopicsStatus>(atA, '$sys.topics')
    expect(topics.busiest).toContainEqual(expect.objectContaining(both))
    // A busy machine may have delayed the hub.
    const { entries } = await atA.admin.hub.attention()
    expect(entries.filter(({ about }) => about.kind !== 'hub')).toEqual([])
  })

  it('lists its nodes at each of them, with the figures of each', async () => {
    const [a, b] = (await start(2)) as Two
    const [atA, atB] = [a.client(), b.client()]
    await Promise.all([b.client().ready(), atB.subscribe('t', () => {}).ready, atA.ready()])
    const { cutOff, nodes } = await atA.admin.nodes.list()
    const of = ({ bus, hub }: TestNode) => ({ ...bus.node, address: `127.0.0.1:${hub.port}` })
    expect(cutOff).toBe(false)
    expect(nodes).toMatchObject([
      { ...of(a), self: true, connections: 1, subscriptions: 0 },
      { ...of(b), self: false, connections: 2, subscriptions: 1 },
    ])
    expect((await atB.admin.nodes.list()).nodes.map(({ self }) => self)).toEqual([false, true])
    const answer = await fetch(`http://127.0.0.1:${a.hub.port}/v1/nodes`)
    expect(await answer.json()).toMatchObject({ cutOff, nodes: [of(a), of(b)] })
    expect(await next<NodesStatus>(atB, '$sys.nodes')).toMatchObject({ cutOff, nodes: [of(a), of(b)] })
    b.bus.cut()
    expect(await atA.admin.nodes.list()).toMatchObject({ cutOff: false, nodes: [of(a)] })
    expect(await atB.admin.nodes.list()).toMatchObject({ cutOff: true, nodes: [{ ...of(b), self: true }] })
  })

  it('shares the limit of an identity between nodes', async () => {
    const authenticate = () => ({ subject: 'ann', permissions: { publish: ['#'] } })
    const nodes = (await start(2, { auth: { authenticate }, identityMessagesPerSecond: 50 })) as Two
    const begin = performance.now()
    let taken = 0
    let refused = 0
    const publish = async ({ hub }: TestNode) => {
      const answer = await fetch(`http://127.0.0.1:${hub.port}/v1/topics/a`, { method: 'POST', body: 'x' })
      await answer.arrayBuffer()
      if (answer.ok) taken++
      else refused++
    }
    // Four times the limit, and until it was reached.
    while (performance.now() - begin < 5000 || refused < 50) {
      await Promise.all([...range(0, 10).flatMap(() => nodes.map(publish)), passed(100)])
    }
    const seconds = (performance.now() - begin) / 1000
    // The initial burst of each node comes first. Without reports from the other, each would accept its own 50 a second.
    expect(taken).toBeLessThan(2 * 50 + 1.5 * 50 * seconds)
    expect(taken).toBeGreaterThan(100)
  })

  it('goes on alone when the others are gone', async () => {
    const [a, b] = (await start(2)) as Two
    const client = a.client()
    await client.ready()
    expect((await client.admin.hub.show()).nodes).toBe(2)
    await b.hub.close()
    expect((await client.admin.hub.show()).nodes).toBe(1)
    const got: unknown[] = []
    await client.subscribe('t', ({ data }) => void got.push(data)).ready
    await client.publish('t', 1)
    await expect.poll(() => got).toEqual([1])
  })
})

/** Data of messages and reasons of gaps, in the order in which a peer received them. */
function told(peer: Peer): unknown[] {
  return peer.frames.flatMap((frame) => {
    if (frame.type === 'gap') return [frame.reason]
    return frame.type === 'message' ? [frame.data] : []
  })
}

/** The next message on a topic. */
async function next<Data>(client: Client, topic: string): Promise<Data> {
  for await (const { data } of client.subscribe(topic)) return data as Data
  throw new Error(`nothing came on ${topic}`)
}
