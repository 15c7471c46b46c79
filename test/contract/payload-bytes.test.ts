import { expect, it } from 'vitest'
import { connect, defineTopics, rawJson, type Schema } from '../../client/node.ts'
import type { Frame } from '../../shared/frames.ts'
import { EventStream } from '../setup/event-stream.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'

/** What a parser and an encoder would change: large numbers, -0, the order of keys, escapes, white space, duplicate keys. */
const PAYLOADS = [
  '{"id":9007199254740993,"big":1e400,"neg":-0,"b":1,"1":2}',
  '{ "a" :\t[ 1.0 , 1E5, 0.10 ],\n"a": "\\u00e9\\/é😀\\ud83d" , "" : { } }',
  `{"text":"${'long \\" '.repeat(100)}","n":-0.0}`,
  '123456789012345678901234567890',
  '"\\u0041"',
  // The placeholder of a payload while a response is encoded.
  '"RawJson"',
]

/** A schema that changes the data. */
const CHANGING: Schema = {
  '~standard': { version: 1, vendor: 'test', validate: () => ({ value: 'something else' }) },
}

/** Sees the text of incoming frames. */
class TextPeer {
  readonly peer: Peer
  private text = ''

  constructor(peer: Peer) {
    this.peer = peer
    peer.socket.on('message', (data) => {
      this.text += data.toString()
    })
  }

  say(text: string): void {
    this.text = ''
    this.peer.socket.send(text)
  }

  /** The text received since the last call, up to a frame of this type. */
  async heard(type: Frame['type']): Promise<string> {
    await this.peer.next(type)
    return this.text
  }
}

onEveryEngine('the bytes of a payload', (hubs) => {
  async function world(contract?: ReturnType<typeof defineTopics>) {
    const { url, http } = await hubs.start({
      streams: [{ name: 's', topics: ['s.#'] }],
      queues: [{ name: 'q', bindings: [{ topic: 'q.#' }] }],
      ...(contract && { topics: contract }),
    })
    const open = async () => new TextPeer(await Peer.hello(url))
    return { http, url, open, [Symbol.asyncDispose]: async () => {} }
  }

  const publishOf = (topic: string, data: string, seq = 1) =>
    ` { "seq":${seq},"topic":"${topic}", "data": ${data} ,"type":"publish"}`

  it('reach subscribers unchanged, one by one and in a batch', async () => {
    const { open } = await world()
    const reader = await open()
    await reader.peer.subscribe(1, 'live.#')
    const writer = await open()
    for (const data of PAYLOADS) {
      reader.say('{"type":"ping"}')
      writer.say(publishOf('live.a', data))
      expect(await reader.heard('message')).toContain(`,"data":${data}}`)
    }
    reader.say('{"type":"ping"}')
    writer.say(`[${PAYLOADS.map((data) => publishOf('live.b', data)).join(' ,\n')}]`)
    let text = ''
    for (const _ of PAYLOADS) text = await reader.heard('message')
    for (const data of PAYLOADS) expect(text).toContain(`,"data":${data}}`)
  })

  it('are stored in streams, and read from there', async () => {
    const { open, http } = await world()
    const peer = await open()
    for (const data of PAYLOADS) peer.say(publishOf('s.a', data))
    for (const _ of PAYLOADS) await peer.peer.next('receipt')
    peer.say('{"type":"subscribe","sub":1,"pattern":"s.#","from":"earliest"}')
    let replayed = ''
    for (const _ of PAYLOADS) replayed = await peer.heard('message')
    const page = await (await fetch(`${http}/v1/streams/s/messages`)).text()
    peer.say('{"type":"call","seq":9,"method":"streams.read","params":{"name":"s"}}')
    const result = await peer.heard('result')
    for (const data of PAYLOADS) {
      for (const text of [replayed, page, result]) expect(text).toContain(`"data":${data}}`)
    }
  })

  it('are delivered, dead-lettered, listed, and delivered again after a redrive', async () => {
    const { open, http } = await world()
    const peer = await open()
    for (const [n, data] of PAYLOADS.entries()) {
      peer.say(publishOf('q.a', data))
      await peer.peer.next('receipt')
      peer.say(`{"type":"consume","consumer":${n},"queue":"q"}`)
      expect(await peer.heard('delivery')).toContain(`"data":${data}}`)
      peer.say(`[{"type":"reject","consumer":${n},"delivery":${lastDelivery(peer)}},{"type":"cancel","consumer":${n}}]`)
      await peer.peer.next('cancelled')
    }
    const page = await (await fetch(`${http}/v1/queues/q/dead-letters`)).text()
    peer.say('{"type":"call","seq":9,"method":"deadLetters.list","params":{"name":"q"}}')
    const result = await peer.heard('result')
    peer.say('{"type":"call","seq":9,"method":"deadLetters.redrive","params":{"name":"q"}}')
    await peer.peer.next('result')
    peer.say('{"type":"consume","consumer":77,"queue":"q","prefetch":100}')
    let again = ''
    for (const _ of PAYLOADS) again = await peer.heard('delivery')
    for (const data of PAYLOADS) for (const text of [page, result, again]) expect(text).toContain(`"data":${data}}`)
  })

  it('go to a responder and back', async () => {
    const { open } = await world()
    const responder = await open()
    responder.say('{"type":"respond","sub":1,"pattern":"ask.#"}')
    await responder.peer.next('subscribed')
    const asker = await open()
    for (const data of PAYLOADS) {
      asker.say(`{"type":"ask","seq":1,"topic":"ask.a","timeoutMs":10000,"data": ${data}}`)
      expect(await responder.heard('request')).toContain(`"data":${data}}`)
      const { request } = responder.peer.frames.at(-1) as { request: number }
      responder.say(`{"type":"reply","request":${request},"data": ${data}}`)
      expect(await asker.heard('answer')).toContain(`"data":${data}}`)
    }
  })

  it('are published with an ack', async () => {
    const { open } = await world()
    const peer = await open()
    await peer.peer.subscribe(1, 's.#')
    peer.say(publishOf('q.a', '1'))
    await peer.peer.next('receipt')
    peer.say('{"type":"consume","consumer":1,"queue":"q"}')
    await peer.peer.next('delivery')
    const publishes = PAYLOADS.map((data) => `{"topic":"s.a","data": ${data} }`)
    peer.say(`{"type":"ack","consumer":1,"delivery":${lastDelivery(peer)},"publish":[${publishes}]}`)
    let text = ''
    for (const _ of PAYLOADS) text = await peer.heard('message')
    for (const data of PAYLOADS) expect(text).toContain(`,"data":${data}}`)
  })

  it('arrive over HTTP and leave as server-sent events', async () => {
    const { open, http } = await world()
    const reader = await open()
    await reader.peer.subscribe(1, 'h.#')
    const events = await EventStream.open(`${http}/v1/events?pattern=h.%23`)
    const post = (path: string, body: string) =>
      fetch(`${http}/v1/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    for (const data of PAYLOADS) {
      const bodies = [
        ['topics/h.a', `  ${data}\n`],
        ['publish', `{"topic":"h.b","data": ${data} }`],
        ['publish', `[{"data":${data},"topic":"h.c"}]`],
      ] as const
      for (const [path, body] of bodies) {
        reader.say('{"type":"ping"}')
        expect((await post(path, body)).status).toBe(200)
        expect(await reader.heard('message')).toContain(`,"data":${data}}`)
        expect((await events.next()).data).toContain(`,"data":${data}}`)
      }
      await post('queues/q/messages', data)
      reader.say(`{"type":"consume","consumer":1,"queue":"q"}`)
      expect(await reader.heard('delivery')).toContain(`"data":${data}}`)
      reader.say(`[{"type":"ack","consumer":1,"delivery":${lastDelivery(reader)}},{"type":"cancel","consumer":1}]`)
      await reader.peer.next('cancelled')
    }
    events.cut()
  })

  it('do not change under a contract that reads them', async () => {
    const contract = defineTopics({ 'c.a': CHANGING })
    const { open } = await world(contract)
    const peer = await open()
    await peer.peer.subscribe(1, 'c.#')
    for (const data of PAYLOADS) {
      peer.say(publishOf('c.a', data))
      expect(await peer.heard('message')).toContain(`,"data":${data}}`)
    }
  })

  it('are refused, and only they, if they are not JSON, have a forbidden key or too many levels', async () => {
    const { open } = await world()
    const peer = await open()
    await peer.peer.subscribe(1, 'live.#')
    const fine = publishOf('live.a', '{"fine":1.0}', 1)
    const deep = publishOf('live.a', `${'['.repeat(101)}${']'.repeat(101)}`, 2)
    const keys = publishOf('live.a', '{"a":{"\\u005f_proto__":1}}', 3)
    peer.say(`[${fine},${deep},${keys},${fine}]`)
    await peer.peer.next('message')
    await peer.peer.next('message')
    const errors = peer.peer.frames.filter((frame) => frame.type === 'error')
    expect(errors.map(({ code }) => code)).toEqual(['nested_too_deeply', 'forbidden_key'])
    peer.say(`[${fine},${publishOf('live.a', '{"a":01}')}]`)
    expect(await peer.peer.closed).toMatchObject({ code: 4400 })
    expect(peer.peer.frames.filter(({ type }) => type === 'message')).toHaveLength(2)
  })

  it.each([
    '{"a":{"__proto__":1},"a":2}',
    '{"constructor":{"prototype":1},"constructor":1}',
    '[{"x":{"\\u0063onstructor":{"a":[],"prototyp\\u0065":{}}},"x":null}]',
    '{"a":[{"b":{}},{"__proto__":1}],"\\u0061":0}',
  ])('have no forbidden key that a later field of the same name hides: %s', async (data) => {
    const { open, url } = await world()
    const peer = await open()
    await peer.peer.subscribe(1, 'live.#')
    peer.say(`[${publishOf('live.a', data, 1)},${publishOf('live.a', '1', 2)}]`)
    expect(await peer.peer.next('error')).toMatchObject({ code: 'forbidden_key', seq: 1 })
    expect(await peer.heard('message')).toContain('"data":1}')
    await using client = connect(url)
    const refused = client.publish('live.a', rawJson(data))
    await expect(refused).rejects.toMatchObject({ code: 'forbidden_key' })
  })

  it.each([
    '[{"constructor":1},{"prototype":2}]',
    '{"constructor":[{"prototype":1}]}',
    '{"constructor":{"a":{"prototype":1}},"prototype":1}',
    '["__proto__",{"a":"__proto__"},{"__proto":1,"a\\"__proto__":1}]',
  ])('may contain what only resembles a forbidden key: %s', async (data) => {
    const { open } = await world()
    const peer = await open()
    await peer.peer.subscribe(1, 'live.#')
    peer.say(publishOf('live.a', data, 1))
    expect(await peer.heard('message')).toContain(`"data":${data}}`)
    expect(rawJson(data).text).toBe(data)
  })
})

function lastDelivery({ peer }: TextPeer): number {
  return (peer.frames.findLast(({ type }) => type === 'delivery') as { delivery: number }).delivery
}
