import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { beforeAll, describe, expect, it } from 'vitest'
import { encodeRecord } from '../../shared/codec.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'

const FRAME_BYTES = 64 * 1024

onEveryEngine('bad input', (hubs) => {
  let url = ''
  let http = ''
  let witness: Peer
  beforeAll(async () => {
    const hub = await hubs.start({ frameBytes: FRAME_BYTES, subscriptions: 3, helloTimeout: 2000, window: 8 })
    url = hub.url
    http = hub.http
    witness = await Peer.hello(url)
    await witness.subscribe(1, 'witness')
  })

  /** Whatever happened to the other connection, this one and the hub still work. */
  async function everyoneElseGoesOn(): Promise<void> {
    witness.send({ type: 'publish', seq: 1, topic: 'witness' })
    await witness.next('message')
    expect((await fetch(`${http}/healthz`)).status).toBe(200)
  }

  describe('costs its sender an error, then the connection', () => {
    const cases: [string, string | Uint8Array, string, number][] = [
      ['not JSON', '{"type":', 'not_json', 4400],
      ['nothing', '', 'not_json', 4400],
      ['a number', '7', 'bad_frame', 4400],
      ['null', 'null', 'bad_frame', 4400],
      ['no type', '{}', 'bad_frame', 4400],
      ['an empty batch', '[]', 'bad_frame', 4400],
      ['a batch in a batch', '[[]]', 'bad_frame', 4400],
      ['a sub that is not a number', '{"type":"subscribe","sub":"1","pattern":"a"}', 'bad_frame', 4400],
      ['__proto__ in a frame', '{"type":"ping","__proto__":{"x":1}}', 'forbidden_key', 4400],
      ['a frame too large', `"${'x'.repeat(FRAME_BYTES)}"`, 'frame_too_large', 4413],
      ['a frame far too large', `"${'x'.repeat(FRAME_BYTES * 15)}"`, 'frame_too_large', 4413],
      ['a binary frame of a few bytes', new Uint8Array([1, 2, 3]), 'bad_binary', 4400],
      [
        'a truncated binary frame',
        encodeRecord('{"type":"publish","seq":1,"topic":"a"}', new Uint8Array(99)).subarray(0, 70),
        'bad_binary',
        4400,
      ],
      ['a binary frame with absurd lengths', new Uint8Array(12).fill(255), 'bad_binary', 4400],
      ['a binary header that is not UTF-8', binaryHeader([0xff, 0xfe]), 'bad_utf8', 4400],
      ['a binary header that is not JSON', binaryHeader([0x7b]), 'not_json', 4400],
    ]
    it.each(cases)('%s', async (_name, bytes, code, close) => {
      const peer = await Peer.open(url)
      peer.socket.send(bytes, { binary: typeof bytes !== 'string' })
      const error = await peer.next('error')
      expect(error).toMatchObject({ code, retry: false })
      expect(error.message.length).toBeGreaterThan(20)
      const closed = await peer.closed
      expect(closed.code).toBe(close)
      expect(closed.reason).toMatch(new RegExp(`^${code}: `))
      await everyoneElseGoesOn()
    })
  })

  describe('is refused by its number, and the connection stays open, even as the first frame', () => {
    const cases: [string, string | Uint8Array, string, object][] = [
      ['a subscribe without a pattern', '{"type":"subscribe","sub":5}', 'bad_frame', { sub: 5 }],
      ...['null', '""', '0', 'false', '[]', '{}', '{"all":null}', '{"all":{},"any":null}'].map(
        (filter): [string, string, string, object] => [
          `${filter} as filter`,
          `{"type":"subscribe","sub":5,"pattern":"a","filter":${filter}}`,
          'bad_frame',
          { sub: 5 },
        ],
      ),
      [
        'an offset for the last messages, without their end',
        '{"type":"subscribe","sub":5,"pattern":"a","from":{"last":1,"offset":1}}',
        'bad_frame',
        { sub: 5 },
      ],
      ['an unknown policy', '{"type":"subscribe","sub":5,"pattern":"a","policy":"x"}', 'bad_frame', { sub: 5 }],
      [
        'a filter of two kinds',
        '{"type":"subscribe","sub":5,"pattern":"a","filter":{"all":{},"any":{}}}',
        'bad_frame',
        { sub: 5 },
      ],
      [
        'too many last messages',
        '{"type":"subscribe","sub":5,"pattern":"a","from":{"last":1e9}}',
        'bad_frame',
        { sub: 5 },
      ],
      ['numbers as headers', '{"type":"publish","seq":5,"topic":"a","headers":{"a":1}}', 'bad_frame', { seq: 5 }],
      ['an id with a quote', '{"type":"publish","seq":5,"topic":"a","id":"a\\"b"}', 'bad_frame', { seq: 5 }],
      ['an unknown type', '{"type":"teleport"}', 'unknown_frame', {}],
      ['a call without a method', '{"type":"call","seq":5}', 'bad_frame', { seq: 5 }],
      [
        'a reply with a long error',
        `{"type":"reply","request":5,"error":"${'x'.repeat(10_001)}"}`,
        'bad_frame',
        { request: 5 },
      ],
      ['a consume without a queue', '{"type":"consume","consumer":5}', 'bad_frame', { consumer: 5 }],
      [
        'a nack with a wrong delay',
        '{"type":"nack","consumer":5,"delivery":6,"delayMs":-1}',
        'bad_frame',
        { consumer: 5, delivery: 6 },
      ],
      [
        '__proto__ in data',
        '{"type":"publish","seq":5,"topic":"a","data":[{"__proto__":1}]}',
        'forbidden_key',
        { seq: 5 },
      ],
      [
        '__proto__ escaped',
        '{"type":"ask","seq":5,"topic":"a","data":{"\\u005f_proto__":1}}',
        'forbidden_key',
        { seq: 5 },
      ],
      [
        'constructor.prototype',
        '{"type":"subscribe","sub":5,"pattern":"a","filter":{"constructor":{"prototype":{}}}}',
        'forbidden_key',
        { sub: 5 },
      ],
      [
        '__proto__ in the header of bytes',
        encodeRecord('{"type":"publish","seq":5,"topic":"a","headers":{"__proto__":"x"}}', new Uint8Array(3)),
        'forbidden_key',
        { seq: 5 },
      ],
    ]
    it.each(cases)('%s', async (_name, bytes, code, about) => {
      const peer = await Peer.open(url)
      peer.socket.send(bytes, { binary: typeof bytes !== 'string' })
      expect(await peer.next('error')).toMatchObject({ code, retry: false, ...about })
      expect(peer.frames[0]).toMatchObject({ type: 'welcome' })
      expect(await peer.settled()).toEqual([])
      peer.socket.close()
    })

    it('does not stop the other frames of its message from being handled', async () => {
      const peer = await Peer.open(url)
      const publish = (seq: number, data: string) => `{"type":"publish","seq":${seq},"topic":"a","data":${data}}`
      peer.socket.send(
        `[${publish(1, '1')},${publish(2, '{"__proto__":2}')},{"type":"ask","seq":3},${publish(4, '4')}]`,
      )
      expect((await peer.next('receipt')).seq).toBe(1)
      expect((await peer.next('receipt')).seq).toBe(4)
      const refused = peer.frames.filter((frame) => frame.type === 'error')
      expect(refused).toMatchObject([
        { code: 'forbidden_key', seq: 2 },
        { code: 'bad_frame', seq: 3 },
      ])
      peer.socket.close()
    })

    it('closes the connection after more than malformedFramesPerSecond', async () => {
      const peer = await Peer.hello(url)
      const malformed = Array.from({ length: 1000 }, (_, seq) => ({ type: 'publish', seq, topic: 7 }))
      peer.send(...malformed)
      expect((await peer.closed).code).toBe(4400)
      const refused = peer.frames.filter((frame) => frame.type === 'error')
      // The hub's second may end while they are handled: earlier ones do not count in the next second.
      expect(refused.length).toBeGreaterThan(100)
      expect(refused.length).toBeLessThanOrEqual(201)
      expect(refused.at(-1)).not.toHaveProperty('seq')
      expect(await (await fetch(`${http}/metrics`)).text()).toMatch(
        /limit_hits_total\{limit="malformedFramesPerSecond"\} [1-9]/,
      )
      await everyoneElseGoesOn()
    })
  })

  describe('is refused, and the connection stays open', () => {
    const request = (frame: object) => ({ frame, name: JSON.stringify(frame).slice(0, 90) })
    const cases: [string, object, string][] = [
      ['unknown_frame', { type: 'teleport', seq: 3 }],
      [
        'unknown_frame',
        {
          type: 'welcome',
          protocol: '',
          connection: '',
          window: 1,
          pingIntervalMs: 1,
          limits: { frameBytes: 1, subscriptions: 1 },
        },
      ],
      ['hello_late', { type: 'hello' }],
      ['bad_topic', { type: 'publish', seq: 3, topic: '' }],
      ['bad_topic', { type: 'publish', seq: 3, topic: 'a..b' }],
      ['bad_topic', { type: 'publish', seq: 3, topic: 'a.*' }],
      ['bad_topic', { type: 'publish', seq: 3, topic: 'a b' }],
      ['bad_topic', { type: 'publish', seq: 3, topic: 'ä' }],
      ['bad_topic', { type: 'publish', seq: 3, topic: 'x'.repeat(256) }],
      ['bad_topic', { type: 'publish', seq: 3, topic: Array(33).fill('x').join('.') }],
      ['reserved_topic', { type: 'publish', seq: 3, topic: '$sys.x' }],
      ['bad_pattern', { type: 'subscribe', sub: 3, pattern: 'a.b*' }],
      ['bad_pattern', { type: 'subscribe', sub: 3, pattern: '#a' }],
      ['policy_unsupported', { type: 'subscribe', sub: 3, pattern: 'a', policy: 'pause' }],
      ['unknown_subscription', { type: 'unsubscribe', sub: 3 }],
      ['unknown_subscription', { type: 'pause', sub: 3 }],
      ['unknown_subscription', { type: 'resume', sub: 3 }],
    ].map(([code, frame]) => [request(frame as object).name, frame as object, code as string])
    it.each(cases)('%s', async (_name, frame, code) => {
      const peer = await Peer.hello(url)
      peer.send(frame)
      const number = 'seq' in frame ? { seq: 3 } : 'sub' in frame ? { sub: 3 } : {}
      expect(await peer.next('error')).toMatchObject({ code, retry: false, ...number })
      expect(await peer.settled()).toEqual([])
      peer.socket.close()
    })

    it('one subscription too many, and one number twice', async () => {
      const peer = await Peer.hello(url)
      for (const sub of [1, 2, 3]) await peer.subscribe(sub, 'a')
      peer.send({ type: 'subscribe', sub: 4, pattern: 'a' })
      expect(await peer.next('error')).toMatchObject({ code: 'too_many_subscriptions', sub: 4 })
      peer.send({ type: 'subscribe', sub: 1, pattern: 'b' })
      expect(await peer.next('error')).toMatchObject({ code: 'subscription_exists', sub: 1 })
    })
  })

  it.each<object>([
    { type: 'publish', seq: 1, topic: 'fields', data: 1, colour: 'red' },
    { type: 'publish', seq: 1, topic: 'fields', id: 'a', colour: 1 },
    { type: 'publish', seq: 1, topic: 'fields', colour: null },
    { type: 'publish', seq: 1, topic: 'fields', key: 'k', colour: {} },
    { type: 'subscribe', sub: 1, pattern: 'fields', colour: [] },
    { type: 'call', seq: 1, method: 'hub.whoami', colour: 0 },
    { type: 'ack', consumer: 1, delivery: 1, publish: [{ topic: 'fields', colour: 'red' }] },
  ])('an unknown field is refused by name: %j', async (frame) => {
    const peer = await Peer.hello(url)
    peer.send(frame)
    expect(await peer.next('error')).toMatchObject({
      code: 'bad_frame',
      message: expect.stringContaining('no field "colour"'),
    })
  })

  it.each<object>([
    { type: 'subscribe', sub: 1, pattern: 'fields', from: { offset: 1, colour: 'red' } },
    { type: 'subscribe', sub: 1, pattern: 'fields', filter: { all: { a: 'b' }, colour: 'red' } },
  ])('an unknown nested field is refused: %j', async (frame) => {
    const peer = await Peer.hello(url)
    peer.send(frame)
    expect(await peer.next('error')).toMatchObject({ code: 'bad_frame' })
  })

  it('publishes and requests beyond the window are refused, and a publisher that goes on ignoring it is disconnected', async () => {
    const peer = await Peer.hello(url)
    const publishes = (count: number) =>
      Array.from({ length: count }, (_, seq) => ({ type: 'publish', seq, topic: 'a' }))
    peer.send(...publishes(11), { type: 'ask', seq: 11, topic: 'a', timeoutMs: 1000 })
    for (const seq of [8, 9, 10, 11]) {
      expect(await peer.next('error')).toMatchObject({ code: 'window_exceeded', retry: true, seq })
    }
    await expect.poll(() => peer.frames.filter(({ type }) => type === 'receipt').length).toBe(8)
    expect(await peer.settled()).not.toContainEqual(expect.objectContaining({ type: 'error' }))
    peer.send(...publishes(400))
    expect(await peer.closed).toMatchObject({ code: 4429 })
    await everyoneElseGoesOn()
  })

  it('a peer that sends nothing is disconnected', async () => {
    const peer = await Peer.open(url)
    expect(await peer.next('error')).toMatchObject({ code: 'hello_timeout' })
    expect(await peer.closed).toMatchObject({ code: 4008 })
  })

  it('a peer that has vanished is disconnected, and no other', async () => {
    const { hub, url } = await hubs.start({ pingInterval: 200 })
    const [gone, there] = [await Peer.hello(url), await Peer.hello(url)]
    gone.socket.pong = () => {}
    expect(await gone.next('error')).toMatchObject({ code: 'idle_timeout' })
    expect((await gone.closed).code).toBe(4002)
    expect(await there.settled()).toEqual([])
    await expect.poll(() => hub.connectionCount).toBe(1)
    there.socket.terminate()
  })

  it('a subprotocol that the hub does not speak is refused with an explanation', async () => {
    const socket = await handshake(url, 'mqtt')
    const answer = (await once(socket, 'data'))[0].toString()
    expect(answer).toMatch(/^HTTP\/1.1 400 /)
    expect(answer).toContain('fanfare.v1')
  })

  it('survives text that is not UTF-8', async () => {
    const peer = await Peer.open(url)
    peer.socket.send(new Uint8Array([0x22, 0xc3, 0x28, 0x22]), { binary: false })
    const { code } = await peer.closed
    // uWebSockets.js closes such a connection itself, before the hub can send anything.
    if (hubs.engine === 'ws') expect(peer.frames[0]).toMatchObject({ code: 'bad_utf8' })
    expect(code).toBe(hubs.engine === 'ws' ? 4400 : 1006)
    await everyoneElseGoesOn()
  })

  it('survives WebSocket frames that break RFC 6455, and connections cut in the middle of one', async () => {
    for (const bytes of [
      [0xf1, 0x80, 0, 0, 0, 0],
      [0x83, 0x80, 0, 0, 0, 0],
      [0x81, 0x01, 0x20],
      [0x81, 0xfe, 0x10],
    ]) {
      const socket = await handshake(url, 'fanfare.v1')
      await once(socket, 'data')
      socket.write(Buffer.from(bytes))
      socket.end()
      await once(socket.resume(), 'close')
    }
    await everyoneElseGoesOn()
  })

  it('survives a million tiny frames', async () => {
    const socket = await handshake(url, 'fanfare.v1')
    await once(socket, 'data')
    // A masked WebSocket message of {"type":"ping"}, with a mask of zeros.
    const text = Buffer.from('{"type":"ping"}')
    const ping = Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text])
    const many = Buffer.concat(Array(1000).fill(ping))
    let answers = 0
    socket.on('data', (data) => {
      if (data.includes('"pong"')) answers++
    })
    for (let n = 0; n < 1000; n++) {
      if (!socket.write(many)) await once(socket, 'drain')
      if (n % 100 === 0) await everyoneElseGoesOn()
    }
    // It was let in, and is still open.
    expect(answers).toBeGreaterThan(10)
    expect(socket.readyState).toBe('open')
    socket.destroy()
  })
})

function binaryHeader(bytes: number[]): Uint8Array {
  return new Uint8Array([0, 0, 0, bytes.length, 0, 0, 0, 0, ...bytes])
}

/** A connection whose every byte the test writes. The response is the first data. */
async function handshake(url: string, protocol: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(
    `GET / HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
  )
  return socket
}
