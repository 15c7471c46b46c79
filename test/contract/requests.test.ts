import { expect, it } from 'vitest'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { range, streamWorlds } from '../setup/streams.ts'

onEveryEngine('request-reply', (hubs) => {
  const start = streamWorlds(hubs)

  it('resolves with what a responder returns, text or bytes', async () => {
    const { client } = await start()
    const responder = client().respond<unknown>('echo.*', ({ topic, data, headers }) =>
      data instanceof Uint8Array ? data.slice().reverse() : { topic, data, headers },
    )
    await responder.ready
    const asker = client()
    const reply = await asker.request('echo.a', { n: 1 }, { headers: { h: 'x' } })
    expect(reply).toEqual({ topic: 'echo.a', data: { n: 1 }, headers: { h: 'x' } })
    expect(await asker.request<Uint8Array>('echo.a', new Uint8Array([1, 2, 3]))).toEqual(new Uint8Array([3, 2, 1]))
    expect(await asker.request('echo.a')).toEqual({ topic: 'echo.a' })
  })

  it('several responders share the load', async () => {
    const { client } = await start()
    const counts = new Map<number, number>()
    const all = range(0, 3).map((at) => client().respond('work', () => void counts.set(at, (counts.get(at) ?? 0) + 1)))
    await Promise.all(all.map(({ ready }) => ready))
    const asker = client()
    await Promise.all(range(0, 90).map(() => asker.request('work')))
    expect([...counts.values()]).toEqual([30, 30, 30])
  })

  it.each([2 ** 31 - 1, 2 ** 31, 2 ** 32, 366 * 86_400_000])('a request may wait %i ms', async (timeoutMs) => {
    const { client } = await start()
    const responder = client().respond('slow', () => new Promise((resolve) => setTimeout(() => resolve(1), 100)))
    await responder.ready
    expect(await client().request('slow', undefined, { timeout: timeoutMs })).toBe(1)
  })

  it('fails at once if there is no responder', async () => {
    const { client } = await start()
    const asker = client()
    await expect(asker.request('nobody')).rejects.toMatchObject({ code: 'no_responder', retry: true })
    const responder = client().respond('somebody', () => 1)
    await responder.ready
    expect(await asker.request('somebody')).toBe(1)
    responder.close()
    await expect(asker.request('a..b')).rejects.toMatchObject({ code: 'bad_topic' })
  })

  it('reports a timeout, a failure, an abort and a lost responder', async () => {
    const { client } = await start()
    const worker = client()
    let asked = () => {}
    const hang = worker.respond('hang', () => {
      asked()
      return new Promise(() => {})
    })
    const fail = worker.respond('fail', () => {
      throw new Error('out of ink')
    })
    await Promise.all([hang.ready, fail.ready])
    const asker = client()
    await expect(asker.request('hang', 1, { timeout: 20 })).rejects.toMatchObject({ code: 'request_timeout' })
    const failed = { code: 'responder_failed', message: expect.stringMatching(/out of ink/) }
    await expect(asker.request('fail')).rejects.toMatchObject(failed)
    const hanging = new Promise<void>((resolve) => {
      asked = resolve
    })
    const left = expect(asker.request('hang')).rejects.toMatchObject({ code: 'responder_lost' })
    await hanging
    hang.close()
    await left
    await expect(asker.request('hang')).rejects.toMatchObject({ code: 'no_responder' })
    const given = new AbortController()
    const aborted = expect(asker.request('fail', 1, { signal: given.signal })).rejects.toBe('enough')
    given.abort('enough')
    await aborted
  })

  it('a responder that dies is reported to its requesters, and responds again when it is back', async () => {
    const { client, network } = await start()
    const flaky = await network()
    const worker = client(flaky.url)
    let asked = () => {}
    const arrived = new Promise<void>((resolve) => {
      asked = resolve
    })
    let hang = true
    const responder = worker.respond('job', () => {
      asked()
      return hang ? new Promise(() => {}) : 'done'
    })
    await responder.ready
    const asker = client()
    const lost = expect(asker.request('job')).rejects.toMatchObject({ code: 'responder_lost', retry: true })
    await arrived
    hang = false
    const back = new Promise<void>((resolve) => {
      worker.onState(({ to }) => to === 'connected' && resolve())
    })
    flaky.cut()
    await lost
    await back
    // It sent its offer right after its hello: a call is answered after both.
    await worker.call('queues.list')
    expect(await asker.request('job')).toBe('done')
  })

  it('requests end with their requester, even if several have the same number', async () => {
    const { url } = await hubs.start()
    const [busy, free] = [await Peer.hello(url), await Peer.hello(url)]
    busy.send({ type: 'respond', sub: 1, pattern: 'hang' })
    await busy.next('subscribed')
    const asker = await Peer.hello(url)
    const asking = range(0, 20).map(() => ({ type: 'ask', seq: 1, topic: 'hang', timeoutMs: 60_000 }))
    asker.send(...asking)
    for (const _ of asking) await busy.next('request')
    asker.socket.terminate()
    free.send({ type: 'respond', sub: 1, pattern: 'hang' })
    await free.next('subscribed')
    const requestsOf = (peer: Peer) => peer.frames.filter(({ type }) => type === 'request').length
    // Once the hub has noticed, all of them are idle, and share the load.
    const other = await Peer.hello(url)
    await expect
      .poll(async () => {
        other.send({ type: 'ask', seq: 1, topic: 'hang', timeoutMs: 60_000 })
        await other.settled()
        await busy.settled()
        return requestsOf(busy)
      })
      .toBeGreaterThan(20)
    expect(requestsOf(free)).toBeLessThan(10)
  })

  it('offers and subscriptions share their numbers', async () => {
    const { url } = await hubs.start()
    const peer = await Peer.hello(url)
    peer.send({ type: 'respond', sub: 1, pattern: 'a' }, { type: 'subscribe', sub: 2, pattern: 'b' })
    await peer.settled()
    peer.send({ type: 'subscribe', sub: 1, pattern: 'b' }, { type: 'respond', sub: 2, pattern: 'a' })
    const refused = (await peer.settled()).filter((frame) => frame.type === 'error')
    expect(refused.map(({ code, sub }) => [code, sub])).toEqual([
      ['subscription_exists', 1],
      ['subscription_exists', 2],
    ])
    peer.send({ type: 'unsubscribe', sub: 1 }, { type: 'publish', seq: 1, topic: 'b' })
    expect((await peer.settled()).map(({ type }) => type)).toEqual(['unsubscribed', 'message', 'receipt'])
  })

  it('bounds the offers of one connection', async () => {
    const { client } = await start({ subscriptions: 2 })
    const worker = client()
    await Promise.all([worker.respond('a', () => 1).ready, worker.respond('b', () => 1).ready])
    await expect(worker.respond('c', () => 1).ready).rejects.toMatchObject({ code: 'too_many_subscriptions' })
  })
})
