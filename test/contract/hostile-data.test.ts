import { expect, it } from 'vitest'
import { encodeRecord } from '../../shared/codec.ts'
import type { ErrorFrame } from '../../shared/frames.ts'
import { dataOfEarlierHub } from '../setup/earlier-hub.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { range, streamWorlds } from '../setup/streams.ts'

const lists = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const objects = (levels: number) => '{"a":'.repeat(levels) + 1 + '}'.repeat(levels)
const mixed = (levels: number) => '[{"a":'.repeat(levels / 2) + 1 + '}]'.repeat(levels / 2)
const json = { 'content-type': 'application/json' }

onEveryEngine('data nested deeply', (hubs) => {
  const start = streamWorlds(hubs)

  it.each([
    ['lists', lists],
    ['objects', objects],
    ['both', mixed],
  ])(
    '%s of 100 levels pass everywhere, and deeper ones are refused everywhere, without closing a connection',
    async (_, deep) => {
      const { hub, peer } = await start({ queues: [{ name: 'q', bindings: [{ topic: 's.#' }] }] })
      const by = await peer()
      const at = `http://127.0.0.1:${hub.port}/v1`
      const post = async (path: string, body: string) =>
        (await (await fetch(at + path, { method: 'POST', headers: json, body })).json()) as { code?: string }
      const refused = async () => (await by.next('error')) as ErrorFrame
      for (const levels of [102, 1000, 4170, 20_000]) {
        const data = deep(levels)
        const ways = [
          `{"type":"publish","seq":7,"topic":"s.a","data":${data}}`,
          `[{"type":"publish","seq":7,"topic":"a","data":${data}}]`,
          `{"type":"ask","seq":7,"topic":"a","timeoutMs":1000,"data":${data}}`,
        ]
        for (const frame of ways) {
          by.socket.send(frame)
          expect(await refused()).toMatchObject({ code: 'nested_too_deeply', seq: 7 })
        }
        by.socket.send(`{"type":"ack","consumer":1,"delivery":7,"publish":[{"topic":"a","data":${data}}]}`)
        expect(await refused()).toMatchObject({ code: 'nested_too_deeply', delivery: 7 })
        for (const path of ['/topics/s.a', '/queues/q/messages']) {
          expect((await post(path, data)).code).toBe('nested_too_deeply')
        }
        expect((await post('/publish', `{"topic":"a","data":${data}}`)).code).toBe('nested_too_deeply')
        // In a field that the frame does not have, and in a frame that takes no data at all.
        const odd = await peer()
        odd.socket.send(`{"type":"ping","deep":${data}}`)
        expect(await odd.next('error')).toMatchObject({ code: 'bad_frame', message: 'ping has no field "deep".' })
        by.socket.send(`{"type":"call","seq":8,"method":"queues.show","params":{"name":${data}}}`)
        expect(await refused()).toMatchObject({ code: 'bad_params', seq: 8 })
        by.socket.send(`{"type":"call","seq":9,"method":"queues.show","params":{"name":"q","deep":${data}}}`)
        expect(await refused()).toMatchObject({ code: 'bad_params', seq: 9 })
      }
      by.socket.send(`{"type":"publish","seq":10,"topic":"s.a","data":${deep(100)}}`)
      expect((await by.next('receipt')).queues).toEqual(['q'])
      by.socket.send(`{"type":"call","seq":11,"method":"streams.read","params":{"name":"s"}}`)
      expect((await by.next('result')).result).toMatchObject({ messages: [{ data: JSON.parse(deep(100)) }] })
      by.send({ type: 'consume', consumer: 1, queue: 'q' })
      const { delivery } = await by.next('delivery')
      by.send({ type: 'reject', consumer: 1, delivery })
      await by.next('settled')
      by.send({ type: 'call', seq: 12, method: 'deadLetters.list', params: { name: 'q' } })
      expect((await by.next('result')).result).toMatchObject([{ message: { data: JSON.parse(deep(100)) } }])
    },
  )

  it.each([
    ['key', `"key":${lists(500)}`],
    ['headers', `"headers":{"a":${lists(500)}}`],
    ['id', `"id":${objects(500)}`],
  ])('as %s breaks the shape of the frame', async (_, field) => {
    const { peer } = await start()
    const by = await peer()
    by.socket.send(`{"type":"publish","seq":1,"topic":"a",${field}}`)
    expect(await by.next('error')).toMatchObject({ code: 'bad_frame' })
  })

  it('in the header of a binary record is not data', async () => {
    const { peer } = await start()
    const by = await peer()
    by.socket.send(
      encodeRecord(
        `{"type":"publish","seq":1,"topic":"a","data":${lists(5000)}}`,
        new TextEncoder().encode(lists(5000)),
      ),
    )
    expect(await by.next('receipt')).toMatchObject({ seq: 1 })
  })

  it('that an earlier hub has stored can still be listed, read, delivered and followed', async () => {
    const deep = mixed(4000)
    const data = await dataOfEarlierHub(async (hub) => {
      await hub.declareStream('old', ['x.#'])
      await hub.declareQueue('q', [])
      await hub.keep('x.a', deep, { streams: ['old'], queues: ['q'] })
      await hub.reject('q')
      await hub.keep('x.a', deep, { streams: ['old'], queues: ['q'] })
    })
    const { hub, client, peer } = await start({ data, streams: [] })
    const by = await peer()
    by.send({ type: 'call', seq: 1, method: 'streams.read', params: { name: 'old' } })
    expect((await by.next('result')).result).toMatchObject({ messages: [{ json: deep }, { json: deep }] })
    by.send({ type: 'call', seq: 2, method: 'deadLetters.list', params: { name: 'q' } })
    expect((await by.next('result')).result).toMatchObject([{ message: { json: deep } }])
    const page = await fetch(`http://127.0.0.1:${hub.port}/v1/streams/old/messages`)
    expect(await page.json()).toMatchObject({ messages: [{ json: deep }, { json: deep }] })
    by.send({ type: 'subscribe', sub: 1, pattern: 'x.#', from: 'earliest' })
    expect(JSON.stringify((await by.next('message')).id)).toBe('"of-earlier"')
    by.send({ type: 'consume', consumer: 1, queue: 'q' })
    expect((await by.next('delivery')).message.id).toBe('of-earlier')
    const stop = new AbortController()
    const events = await fetch(`http://127.0.0.1:${hub.port}/v1/events?pattern=x.%23&from=earliest`, {
      signal: stop.signal,
    })
    let text = ''
    for await (const bytes of events.body as unknown as AsyncIterable<Uint8Array>) {
      text += new TextDecoder().decode(bytes)
      if (text.split('"json"').length > 2) break
    }
    stop.abort()
    expect((await client().admin.hub.show()).unexpectedErrorsTotal).toBe(0)
  })

  it('in a reply reaches the requester as a failure, at once, and the responder as its error', async () => {
    const { peer } = await start()
    const [responder, asker] = [await peer(), await peer()]
    responder.send({ type: 'respond', sub: 1, pattern: 'sums' })
    await responder.next('subscribed')
    for (const [seq, deep] of [lists(101), lists(9000), objects(20_000)].entries()) {
      asker.send({ type: 'ask', seq, topic: 'sums', timeoutMs: 60_000 })
      const { request } = await responder.next('request')
      responder.socket.send(`{"type":"reply","request":${request},"data":${deep}}`)
      const { error } = await asker.next('answer')
      expect(error).toMatch(/100 levels/)
      expect(await responder.next('error')).toMatchObject({ code: 'nested_too_deeply', sub: 1, request })
    }
    // Both go on, and nothing is open.
    asker.send({ type: 'ask', seq: 9, topic: 'sums', timeoutMs: 60_000 })
    responder.send({ type: 'reply', request: (await responder.next('request')).request, data: 3 })
    expect(await asker.next('answer')).toMatchObject({ seq: 9, data: 3 })
  })

  it('in a request is refused to the requester, and opens nothing at the responder', async () => {
    const { peer } = await start()
    const [responder, asker] = [await peer(), await peer()]
    responder.send({ type: 'respond', sub: 1, pattern: 'sums' })
    await responder.next('subscribed')
    asker.socket.send(`{"type":"ask","seq":1,"topic":"sums","timeoutMs":60000,"data":${lists(9000)}}`)
    expect(await asker.next('error')).toMatchObject({ code: 'nested_too_deeply', seq: 1 })
    expect(await responder.settled()).toEqual([])
  })
})

onEveryEngine('strings of a frame', (hubs) => {
  const start = streamWorlds(hubs)
  const long = 'x'.repeat(20_000)
  const many = Object.fromEntries(range(0, 33).map((n) => [`h${n}`, 'x']))

  it.each<[string, object]>([
    ['a header', { type: 'publish', seq: 1, topic: 'a', headers: { a: long } }],
    ['the name of a header', { type: 'publish', seq: 1, topic: 'a', headers: { [long]: 'a' } }],
    [
      'all headers together',
      { type: 'ask', seq: 1, topic: 'a', timeoutMs: 1, headers: { a: long.slice(0, 5000), b: long.slice(0, 5000) } },
    ],
    ['headers of an ack', { type: 'ack', consumer: 1, delivery: 1, publish: [{ topic: 'a', headers: { a: long } }] }],
    ['the number of headers', { type: 'publish', seq: 1, topic: 'a', headers: many }],
    ['a filter', { type: 'subscribe', sub: 1, pattern: 'a', filter: { all: { a: long.slice(0, 3000) } } }],
    ['the name in a filter', { type: 'subscribe', sub: 1, pattern: 'a', filter: { any: { [long]: 'a' } } }],
    ['a cursor', { type: 'subscribe', sub: 1, pattern: 's.a', cursor: long }],
    ['a stream', { type: 'subscribe', sub: 1, pattern: 's.a', stream: long }],
    ['an epoch', { type: 'subscribe', sub: 1, pattern: 's.a', from: { offset: 1, epoch: long } }],
    ['a queue', { type: 'consume', consumer: 1, queue: long }],
    ['a key', { type: 'publish', seq: 1, topic: 'a', key: long }],
    ['a method', { type: 'call', seq: 1, method: long }],
    ['an error', { type: 'nack', consumer: 1, delivery: 1, error: long.slice(0, 2001) }],
    ['a reply', { type: 'reply', request: 1, error: long.slice(0, 2001) }],
    ['a client', { type: 'hello', client: long }],
    ['a token', { type: 'auth', seq: 1, token: long }],
    ['a topic', { type: 'publish', seq: 1, topic: long }],
    ['a pattern', { type: 'subscribe', sub: 1, pattern: long }],
    ['an offer', { type: 'respond', sub: 1, pattern: long }],
  ])('%s longer than it may be is refused with a short error', async (_, frame) => {
    const { peer } = await start()
    const by = await peer()
    by.send(frame)
    const { code, message } = await by.next('error')
    expect(['bad_frame', 'bad_topic', 'bad_pattern']).toContain(code)
    expect(message.length).toBeLessThan(400)
  })

  it('in the bindings of a queue have the bounds of filters', async () => {
    const { client } = await start()
    for (const match of [{ all: { a: long } }, { any: { [long]: 'a' } }, { all: many }]) {
      const declared = client().call('queues.declare', { name: 'q', bindings: [{ topic: 'a', match }] })
      await expect(declared).rejects.toMatchObject({ code: 'bad_params' })
    }
  })

  it.each<[string, object]>([
    ['unknown types', { type: 'x' }],
    ['types of the other direction', { type: 'pong' }],
    ['hello', { type: 'hello' }],
    ['topics', { type: 'publish', seq: 1, topic: '' }],
    ['patterns', { type: 'subscribe', sub: 1, pattern: '' }],
    ['subscriptions', { type: 'pause', sub: 1 }],
    ['consumers', { type: 'ack', consumer: 1, delivery: 1 }],
    ['responders', { type: 'ask', seq: 1, topic: 'a', timeoutMs: 1 }],
    ['methods', { type: 'call', seq: 1, method: '' }],
  ])('that are refused in masses, %s, get short responses', async (_, frame) => {
    const { peer } = await start({ outboxBytes: 8_000_000 })
    const [by, other] = [await peer(), await peer()]
    const piece = JSON.stringify(frame)
    const text = `[${Array(Math.floor(240_000 / (piece.length + 1))).fill(piece)}]`
    const before = by.bytesRead
    by.socket.send(text)
    by.send({ type: 'ping' })
    await by.next('pong')
    await other.settled()
    // Bytes on the wire: a code and the numbers, and messages for the first hundred.
    expect(by.bytesRead - before).toBeLessThan(text.length * 4 + 40_000)
  })
})
