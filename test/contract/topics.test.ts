import { beforeAll, expect, it } from 'vitest'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'

onEveryEngine('topics', (hubs) => {
  let url = ''
  beforeAll(async () => {
    url = (await hubs.start()).url
  })

  it('answers a hello with a welcome that contains the limits', async () => {
    const peer = await Peer.open(url)
    peer.send({ type: 'hello', client: 'test/1' })
    expect(await peer.next('welcome')).toMatchObject({
      protocol: 'fanfare.v1',
      window: 256,
      limits: { frameBytes: 256 * 1024, subscriptions: 1000 },
    })
  })

  it('can be spoken by hand, without a hello and without the subprotocol', async () => {
    const peer = await Peer.open(url, [])
    await peer.subscribe(1, 'by.hand')
    peer.send({ type: 'publish', seq: 1, topic: 'by.hand', data: 'hi' })
    expect(await peer.next('message')).toMatchObject({ topic: 'by.hand', data: 'hi' })
  })

  it('delivers to exact topics and patterns, and to no other subscriber', async () => {
    const [exact, star, hash, other] = await Promise.all([1, 2, 3, 4].map(() => Peer.hello(url)))
    await exact?.subscribe(1, 'photos.uploaded')
    await star?.subscribe(1, 'photos.*')
    await hash?.subscribe(1, 'photos.#')
    await other?.subscribe(1, 'photos')
    const publisher = await Peer.hello(url)
    publisher.send({ type: 'publish', seq: 7, topic: 'photos.uploaded', data: { n: 1 }, key: 'k', headers: { a: 'b' } })
    const receipt = await publisher.next('receipt')
    expect(receipt.seq).toBe(7)
    const message = {
      type: 'message',
      id: receipt.id,
      topic: 'photos.uploaded',
      data: { n: 1 },
      key: 'k',
      headers: { a: 'b' },
    }
    for (const peer of [exact, star, hash]) expect(await peer?.next('message')).toEqual(message)
    expect(await other?.settled()).toEqual([])
  })

  it('sends a message once to a connection whose subscriptions overlap', async () => {
    const peer = await Peer.hello(url)
    await peer.subscribe(1, 'once.#')
    await peer.subscribe(2, 'once.*')
    await peer.subscribe(3, 'once.a')
    peer.send({ type: 'publish', seq: 1, topic: 'once.a' })
    const frames = await peer.settled()
    expect(frames.map((frame) => frame.type)).toEqual(['message', 'receipt'])
  })

  it('filters by headers, all or any', async () => {
    const peer = await Peer.hello(url)
    await peer.subscribe(1, 'filtered', { filter: { all: { kind: 'jpeg', size: 'big' } } })
    await peer.subscribe(2, 'filtered', { filter: { any: { urgent: 'yes' } } })
    const publish = (seq: number, headers: object) =>
      peer.send({ type: 'publish', seq, topic: 'filtered', data: seq, headers })
    publish(1, { kind: 'jpeg' })
    publish(2, { kind: 'jpeg', size: 'big' })
    publish(3, { urgent: 'yes' })
    publish(4, {})
    const got = (await peer.settled()).filter((frame) => frame.type === 'message').map((frame) => frame.data)
    expect(got).toEqual([2, 3])
  })

  it('keeps the order of a publisher, and joins the messages of one turn', async () => {
    const subscriber = await Peer.hello(url)
    await subscriber.subscribe(1, 'ordered')
    const publisher = await Peer.hello(url)
    const before = subscriber.messages
    publisher.send(...Array.from({ length: 200 }, (_, n) => ({ type: 'publish', seq: n, topic: 'ordered', data: n })))
    for (let n = 0; n < 200; n++) expect((await subscriber.next('message')).data).toBe(n)
    expect(subscriber.messages - before).toBeLessThan(20)
  })

  it('carries bytes as bytes, in order with text', async () => {
    const { encodeRecord } = await import('../../shared/codec.ts')
    const peer = await Peer.hello(url)
    await peer.subscribe(1, 'bytes')
    peer.send({ type: 'publish', seq: 1, topic: 'bytes', data: 'before' })
    const header = { type: 'publish', seq: 2, topic: 'bytes' }
    peer.socket.send(encodeRecord(JSON.stringify(header), new Uint8Array([0, 255, 128])))
    peer.send({ type: 'publish', seq: 3, topic: 'bytes', data: 'after' })
    expect((await peer.next('message')).data).toBe('before')
    expect([...((await peer.next('message')).data as Uint8Array)]).toEqual([0, 255, 128])
    expect((await peer.next('message')).data).toBe('after')
  })

  it('stops delivering after unsubscribe', async () => {
    const peer = await Peer.hello(url)
    await peer.subscribe(1, 'ended')
    peer.send({ type: 'unsubscribe', sub: 1 })
    await peer.next('unsubscribed')
    peer.send({ type: 'publish', seq: 1, topic: 'ended' })
    expect((await peer.settled()).map((frame) => frame.type)).toEqual(['receipt'])
  })

  it('holds messages while a subscription is paused, and then sends them for that subscription only', async () => {
    const peer = await Peer.hello(url)
    await peer.subscribe(1, 'held.*')
    await peer.subscribe(2, 'held.b')
    peer.send({ type: 'pause', sub: 1 })
    await peer.next('paused')
    for (const topic of ['held.a', 'held.b']) peer.send({ type: 'publish', seq: 1, topic })
    const meanwhile = (await peer.settled()).filter((frame) => frame.type === 'message')
    expect(meanwhile.map((frame) => frame.topic)).toEqual(['held.b'])
    peer.send({ type: 'resume', sub: 1 })
    const after = await peer.settled()
    expect(after.map((frame) => ('topic' in frame ? frame.topic : frame.type))).toEqual([
      'only',
      'held.a',
      'held.b',
      'resumed',
    ])
  })
})
