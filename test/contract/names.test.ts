import { expect, it } from 'vitest'
import { decodeText } from '../../shared/codec.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import { dataOfEarlierHub } from '../setup/earlier-hub.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { streamWorlds } from '../setup/streams.ts'

const UNREACHABLE = [
  '__proto__',
  '.',
  '..',
  'a..b',
  '.a',
  'a.',
  '.'.repeat(64),
  'a.'.repeat(31).slice(0, -1),
  'é',
  '🎺',
  '',
]
/** Properties of every object in JavaScript, and valid names. */
const ODD = [
  'constructor',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
  'prototype',
  'a.b-c_d',
  '-',
  '0',
]

onEveryEngine('names of streams and queues', (hubs) => {
  const start = streamWorlds(hubs)
  const json = { 'content-type': 'application/json' }

  it.each(UNREACHABLE)('%j cannot be declared, by frame, HTTP or configuration', async (name) => {
    const { hub, client } = await start()
    const admin = client()
    const topics = ['x.#']
    await expect(admin.call('streams.declare', { name, topics })).rejects.toMatchObject({ code: 'bad_params' })
    await expect(admin.call('queues.declare', { name })).rejects.toMatchObject({ code: 'bad_params' })
    const declared = await fetch(`http://127.0.0.1:${hub.port}/v1/queues`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ name }),
    })
    expect(declared.status).toBe(400)
    await expect(hubs.start({ queues: [{ name }] })).rejects.toMatchObject({ code: 'bad_config' })
    await expect(hubs.start({ streams: [{ name, topics }] })).rejects.toMatchObject({ code: 'bad_config' })
  })

  it.each(ODD)('%j is a name like any other', async (name) => {
    const { hub, client, peer } = await start()
    const admin = client()
    await admin.call('streams.declare', { name, topics: ['x.#'] })
    await admin.call('queues.declare', { name, bindings: [{ topic: 'x.#' }] })
    const by = await peer()
    by.send({ type: 'subscribe', sub: 1, pattern: 'x.#', from: 'earliest', cursor: name })
    await by.next('live')
    by.send({ type: 'publish', seq: 1, topic: 'x.a', data: 1 })
    const { offsets } = await by.next('message')
    expect(Object.entries(offsets ?? {})).toEqual([[name, 0]])
    const { positions, queues } = await by.next('receipt')
    expect(Object.keys(positions ?? {})).toEqual([name])
    expect(queues).toEqual([name])
    by.send({ type: 'commit', sub: 1, offset: 1 })
    await by.next('committed')
    const at = `http://127.0.0.1:${hub.port}/v1`
    const published = await fetch(`${at}/topics/x.b`, { method: 'POST', headers: json, body: '2' })
    expect(await published.json()).toMatchObject({ queues: [name] })
    expect((await fetch(`${at}/queues/${name}/messages`, { method: 'POST', headers: json, body: '3' })).status).toBe(
      200,
    )
    expect(await admin.admin.queues.show(name)).toMatchObject({ depth: 3 })
    expect(await (await fetch(`${at}/streams/${name}`)).json()).toMatchObject({ name, next: 2 })
  })

  it('those that an earlier hub has declared are served, and can be deleted', async () => {
    const odd = ['__proto__', 'a..b', '.', '..']
    const data = await dataOfEarlierHub(async (hub) => {
      for (const name of odd) {
        await hub.declareStream(name, ['x.#'])
        await hub.declareQueue(name, ['x.#'])
      }
    })
    const { hub, client, peer } = await start({ data, streams: [] })
    const by = await peer()
    by.send({ type: 'publish', seq: 1, topic: 'x.a', data: 1 })
    const { positions, queues } = await by.next('receipt')
    expect(Object.keys(positions ?? {}).sort()).toEqual(['.', '..', 'a..b'])
    expect(queues?.toSorted()).toEqual(odd.toSorted())
    const published = await fetch(`http://127.0.0.1:${hub.port}/v1/publish`, {
      method: 'POST',
      headers: json,
      body: '{"topic":"x.b","data":2}',
    })
    expect(published.status).toBe(200)
    const admin = client()
    expect((await admin.publish('x.c', 3)).queues).toHaveLength(4)
    expect((await admin.admin.streams.list()).map(({ name }) => name).sort()).toEqual(odd.toSorted())
    for (const name of odd) {
      expect(await admin.call('streams.read', { name })).toMatchObject({ messages: [{}, {}, {}] })
      await admin.call('streams.delete', { name })
      await admin.call('queues.delete', { name })
    }
    expect(await admin.publish('x.d', 4)).toMatchObject({ duplicate: false, positions: {}, queues: [] })
  })

  it('of starts and headers are looked up without the prototype of objects', async () => {
    const { url, hub } = await start()
    for (const from of [{ toString: 5 }, { constructor: 5 }, { hasOwnProperty: 1 }]) {
      const peer = await Peer.hello(url)
      peer.send({ type: 'subscribe', sub: 1, pattern: 's.#', from })
      expect(await peer.next('error')).toMatchObject({ code: 'bad_frame' })
    }
    const events = (query: string) => fetch(`http://127.0.0.1:${hub.port}/v1/events?pattern=a&${query}`)
    for (const query of ['all=__proto__=1', 'any=__proto__=1']) {
      expect(await (await events(query)).json()).toMatchObject({ code: 'forbidden_key' })
    }
    const post = await fetch(`http://127.0.0.1:${hub.port}/v1/topics/a?header=__proto__%3Dx`, { method: 'POST' })
    expect(await post.json()).toMatchObject({ code: 'forbidden_key' })
    const cursor = await Peer.hello(url)
    cursor.send({ type: 'subscribe', sub: 1, pattern: 's.#', cursor: '__proto__' })
    expect(await cursor.next('error')).toMatchObject({ code: 'bad_frame' })
  })

  it('of headers are their own, whatever properties objects have', async () => {
    const { peer } = await start()
    const by = await peer()
    for (const [sub, name] of ['constructor', 'toString', 'hasOwnProperty'].entries()) {
      by.send({ type: 'subscribe', sub, pattern: 'h', filter: { all: { [name]: 'x' } } })
    }
    by.send({ type: 'publish', seq: 1, topic: 'h', data: 'without' })
    by.send({ type: 'publish', seq: 2, topic: 'h', data: 'with', headers: { constructor: 'x' } })
    expect(await by.next('message')).toMatchObject({ data: 'with', headers: { constructor: 'x' } })
  })
})

it('a refused name never becomes a key on the wire', () => {
  const [receipt] = decodeText('{"type":"receipt","seq":1,"id":"a","positions":{"__proto__":{}}}')
  expect(() => parseFrame(receipt)).toThrow(expect.objectContaining({ code: 'forbidden_key' }))
})
