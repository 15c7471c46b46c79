import { expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { range } from '../setup/streams.ts'

const LIMIT = 20_000
const OPTIONS = {
  subscriptionBytes: LIMIT,
  streams: [{ name: 's', topics: ['s.#'] }],
  queues: [{ name: 'q' }],
}

/** A pattern of 32 words that no other subscription has. */
const longPattern = (n: number) => [`p${n}`, ...range(0, 31).map((at) => `w${n}-${at}`.slice(0, 6))].join('.')
/** A filter with the maximum number of headers. */
const largeFilter = (n: number) => ({
  all: Object.fromEntries(range(0, 32).map((at) => [`h${n}-${at}`, 'x'.repeat(50)])),
})

onEveryEngine('the memory of subscriptions', (hubs) => {
  async function metric(http: string, name: string): Promise<number> {
    const text = await (await fetch(`${http}/metrics`)).text()
    return Number(text.match(new RegExp(`^${name} (\\S+)$`, 'm'))?.[1])
  }
  const held = (http: string) => metric(http, 'fanfare_subscription_bytes')

  /** Opens things until one is refused; returns how many were accepted, and the error. */
  async function fill(peer: Peer, frame: (n: number) => object) {
    peer.send(...range(0, 100).map(frame))
    const answers = await peer.settled()
    const errors = answers.filter(({ type }) => type === 'error')
    return { begun: 100 - errors.length, errors }
  }

  it.each([
    ['subscriptions to long patterns', (n: number) => ({ type: 'subscribe', sub: n, pattern: longPattern(n) })],
    [
      'subscriptions with large filters',
      (n: number) => ({ type: 'subscribe', sub: n, pattern: 'a', filter: largeFilter(n) }),
    ],
    ['subscriptions to streams', (n: number) => ({ type: 'subscribe', sub: n, pattern: 's.a', from: 'latest' })],
    ['offers to respond', (n: number) => ({ type: 'respond', sub: n, pattern: longPattern(n) })],
    ['consumers', (n: number) => ({ type: 'consume', consumer: n, queue: 'q' })],
  ])('is bounded by subscriptionBytes: %s', async (_, frame) => {
    const { url, http } = await hubs.start(OPTIONS)
    const [peer, other] = [await Peer.hello(url), await Peer.hello(url)]
    const { begun, errors } = await fill(peer, frame)
    expect(begun).toBeGreaterThan(1)
    expect(begun).toBeLessThan(50)
    expect(errors[0]).toMatchObject({
      code: 'hub_full',
      retry: true,
      message: expect.stringContaining('subscriptionBytes'),
    })
    const numbered = 'consumer' in frame(0) ? { consumer: begun } : { sub: begun }
    expect(errors[0]).toMatchObject(numbered)
    expect(await held(http)).toBeLessThanOrEqual(LIMIT)
    expect(await held(http)).toBeGreaterThan(LIMIT / 2)
    expect(await metric(http, 'fanfare_subscription_limit_bytes')).toBe(LIMIT)
    expect(await metric(http, 'fanfare_limit_hits_total\\{limit="subscriptionBytes"\\}')).toBe(100 - begun)
    // It is the sum of all connections, and each of them stays open.
    expect((await fill(other, frame)).begun).toBe(0)
    peer.send('consumer' in frame(0) ? { type: 'cancel', consumer: 0 } : { type: 'unsubscribe', sub: 0 })
    await peer.next('consumer' in frame(0) ? 'cancelled' : 'unsubscribed')
    expect((await fill(other, frame)).begun).toBe(1)
    for (const each of [peer, other]) {
      each.socket.terminate()
      await each.closed
    }
    await expect.poll(() => held(http)).toBe(0)
    expect((await fill(await Peer.hello(url), frame)).begun).toBe(begun)
  })

  it('is free again when the stream or the queue is deleted, and in whatever way a subscription ends', async () => {
    const { url, http } = await hubs.start({ ...OPTIONS, subscriptionBytes: 1_000_000 })
    const operator = connect(url)
    await operator.admin.streams.declare({ name: 't', topics: ['t.#'] })
    await operator.admin.queues.declare({ name: 'r' })
    for (const n of range(0, 300)) await operator.publish('t.a', n)
    const peer = await Peer.hello(url)
    peer.send(
      { type: 'subscribe', sub: 1, pattern: 't.a', from: 'earliest', cursor: 'c' },
      { type: 'subscribe', sub: 2, pattern: 't.a', from: { last: 200 } },
      { type: 'pause', sub: 2 },
      { type: 'consume', consumer: 1, queue: 'r' },
    )
    await peer.next('consuming')
    // The offsets of the last messages count, too.
    await expect.poll(() => held(http)).toBeGreaterThan(8_000)
    peer.send({ type: 'resume', sub: 2 })
    await expect.poll(() => held(http)).toBeLessThan(8_000)
    expect(await held(http)).toBeGreaterThan(2_000)
    await operator.admin.streams.delete('t')
    await operator.admin.queues.delete('r')
    await expect.poll(() => held(http)).toBe(0)
    await operator.close()
  })

  it('bounds the offsets of the last messages, which are refused after the subscription has begun', async () => {
    const { url, http } = await hubs.start(OPTIONS)
    const operator = connect(url)
    await Promise.all(range(0, 1000).map((n) => operator.publish('s.a', n)))
    const peer = await Peer.hello(url)
    peer.send({ type: 'subscribe', sub: 1, pattern: 's.a', from: { last: 1000 } })
    expect(await peer.next('error')).toMatchObject({ code: 'hub_full', sub: 1 })
    expect(await held(http)).toBe(0)
    await peer.subscribe(1, 's.a', { from: { last: 10 } })
    await operator.close()
  })

  it('holds no fields of a filter that the hub does not know: they are refused', async () => {
    const { url, http } = await hubs.start()
    const peer = await Peer.hello(url)
    peer.send({ type: 'subscribe', sub: 1, pattern: 'a', filter: { all: { k: 'v' }, junk: 'x'.repeat(200_000) } })
    expect(await peer.next('error')).toMatchObject({ code: 'bad_frame', sub: 1 })
    expect(await held(http)).toBe(0)
  })

  it('is refused over HTTP, too', async () => {
    const { http } = await hubs.start({ subscriptionBytes: 1000 })
    const answer = await fetch(`${http}/v1/events?pattern=${longPattern(1)}`)
    expect([answer.status, (await answer.json()) as object]).toEqual([
      503,
      expect.objectContaining({ code: 'hub_full' }),
    ])
  })
})
