import { expect, it } from 'vitest'
import { onEveryEngine } from '../setup/hubs.ts'
import { nodesOn, type TestNode } from '../setup/nodes.ts'
import type { Peer } from '../setup/peer.ts'
import { range } from '../setup/streams.ts'

type Two = [TestNode, TestNode]

/** Far longer than a test takes: what happens before its end does not happen because time is up. */
const LONG = { drainTimeout: '10m' } as const

onEveryEngine('a draining node', (hubs) => {
  const start = nodesOn(hubs.engine)

  it('moves its clients a few at a time, and serves those that still wait for their turn', async () => {
    const [a, b] = (await start(2, LONG)) as Two
    const peers = await Promise.all(range(0, 30).map(() => a.peer()))
    const publisher = b.client()
    await publisher.ready()
    const left: number[] = []
    const gone = peers.map(async ({ closed }, at) => {
      expect(await closed).toMatchObject({ code: 4000 })
      left.push(at)
    })
    const closing = a.hub.close()
    await Promise.race(gone)
    const waiting = peers.filter((_, at) => !left.includes(at))
    expect(waiting.length).toBeGreaterThan(10)
    const last = peers.at(-1) as Peer
    await last.subscribe(1, 'live')
    await publisher.publish('live', 1)
    expect(await last.next('message')).toMatchObject({ data: 1 })
    await expect(a.peer()).rejects.toThrow()
    await Promise.all([...gone, closing])
  })

  it('lets a client answer and be answered first, and gives it nothing new', async () => {
    const [a, b] = (await start(2, LONG)) as Two
    const [responder, asker] = [await a.peer(), await a.peer()]
    responder.send({ type: 'respond', sub: 1, pattern: 'work' })
    await responder.next('subscribed')
    const other = b.client()
    const first = other.request('work', 1)
    const { request } = await responder.next('request')
    asker.send({ type: 'ask', seq: 1, topic: 'work', data: 2, timeoutMs: 60_000 })
    const second = await responder.next('request')
    const closing = a.hub.close()
    await expect.poll(() => other.request('work', 3).catch(({ code }) => code)).toBe('no_responder')
    responder.send({ type: 'reply', request, data: 'one' })
    expect(await first).toBe('one')
    responder.send({ type: 'reply', request: second.request, data: 'two' })
    expect(await asker.next('answer')).toMatchObject({ data: 'two' })
    await Promise.all([responder.closed, asker.closed, closing])
    expect(responder.frames.filter(({ type }) => type === 'request')).toHaveLength(2)
  })

  it('lets a consumer end what it has begun, and takes back the rest', async () => {
    const [a] = (await start(2, { ...LONG, queues: [{ name: 'q' }] })) as Two
    const worker = await a.peer()
    worker.send({ type: 'consume', consumer: 1, queue: 'q', prefetch: 2, begins: true })
    await worker.next('consuming')
    const publisher = a.client()
    for (const n of [1, 2, 3]) await publisher.enqueue('q', n)
    const [first, second] = [await worker.next('delivery'), await worker.next('delivery')]
    worker.send({ type: 'begin', consumer: 1, delivery: first.delivery })
    await worker.settled()
    const closing = a.hub.close()
    expect(await worker.next('recall')).toMatchObject({ deliveries: [second.delivery] })
    worker.send({ type: 'return', consumer: 1, deliveries: [second.delivery] })
    worker.send({ type: 'ack', consumer: 1, delivery: first.delivery })
    expect(await worker.next('settled')).toMatchObject({ deliveries: [first.delivery] })
    await Promise.all([worker.closed, closing])
    expect(worker.frames.filter(({ type }) => type === 'delivery')).toHaveLength(2)
  })

  it('waits for no client longer than drainTimeout', async () => {
    const [a, b] = (await start(2, { drainTimeout: 500 })) as Two
    const responder = await a.peer()
    responder.send({ type: 'respond', sub: 1, pattern: 'work' })
    await responder.next('subscribed')
    const answer = b.client().request('work')
    await responder.next('request')
    await Promise.all([a.hub.close(), expect(answer).rejects.toMatchObject({ code: 'responder_lost' })])
    expect(await responder.closed).toMatchObject({ code: 4000 })
  })

  it('tells all at once where no other node is there', async () => {
    const [a, b] = (await start(2, LONG)) as Two
    const responder = await a.peer()
    responder.send({ type: 'respond', sub: 1, pattern: 'work' })
    await responder.next('subscribed')
    const asker = await a.peer()
    asker.send({ type: 'ask', seq: 1, topic: 'work', timeoutMs: 60_000 })
    await responder.next('request')
    await b.hub.close()
    await Promise.all([a.hub.close(), responder.closed, asker.closed])
  })
})
