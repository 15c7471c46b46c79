import { EventEmitter, once } from 'node:events'
import { beforeAll, describe, expect, it } from 'vitest'
import { type ConnectionStateChange, connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { ALL, apiKey, auth, good, hello, secretFile } from '../setup/authenticated.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { inSeconds, sign } from '../setup/tokens.ts'

onEveryEngine('renewing tokens', (hubs) => {
  let url = ''
  beforeAll(async () => {
    url = (await hubs.start({ auth })).url
  })

  it('ends a connection whose token ends, and one that is never authenticated', async () => {
    const { url } = await hubs.start({
      helloTimeout: 2000,
      auth: {
        jwt: { keys: [{ secretFile }], clockTolerance: 0 },
        authenticate: ({ token }) => (token === 'never' ? new Promise(() => {}) : undefined),
      },
    })
    const peer = await Peer.open(url)
    peer.send({ type: 'hello', token: await sign({ exp: inSeconds(4) }) })
    expect((await peer.next('welcome')).expiresInMs).toBeLessThanOrEqual(4000)
    expect(await peer.closed).toMatchObject({ code: 4402 })
    expect(peer.frames.at(-1)).toMatchObject({ type: 'error', code: 'token_expired', retry: false })
    expect(await hello(url, 'never')).toMatchObject({ code: 'auth_unavailable', close: 4004 })
  })

  it('tells a client when its token expires by the token, and accepts it for the tolerance longer', async () => {
    const { url } = await hubs.start({ auth: { jwt: { keys: [{ secretFile }], clockTolerance: '30s' } } })
    const exp = inSeconds(-10)
    const peer = await Peer.open(url)
    peer.send({ type: 'hello', token: await sign({ exp }) })
    const { expiresInMs } = await peer.next('welcome')
    expect(expiresInMs).toBeGreaterThan(10_000)
    expect(expiresInMs).toBeLessThanOrEqual(20_000)
    peer.send({ type: 'call', seq: 1, method: 'hub.whoami' })
    expect((await peer.next('result')).result).toMatchObject({ expiresAt: exp * 1000 })
  })

  describe('a token that replaces another', () => {
    const open = async (token: string) => {
      const peer = await Peer.open(url)
      peer.send({ type: 'hello', token })
      await peer.next('welcome')
      return peer
    }

    it('keeps the connection, and ends what it does not permit', async () => {
      const permissions = { subscribe: ['a', 'b'], respond: ['b'], consume: ['jobs'], publish: ['a'] }
      const peer = await open(await sign({ ...good, permissions }))
      const admin = await open(apiKey)
      admin.send({ type: 'call', seq: 1, method: 'queues.declare', params: { name: 'jobs' } })
      await admin.next('result')
      peer.send({ type: 'subscribe', sub: 1, pattern: 'a' }, { type: 'subscribe', sub: 2, pattern: 'b' })
      peer.send({ type: 'respond', sub: 3, pattern: 'b' }, { type: 'consume', consumer: 4, queue: 'jobs' })
      await peer.next('consuming')
      const fewer = await sign({ ...good, exp: inSeconds(600), permissions: { subscribe: ['a'] } })
      peer.send({ type: 'auth', seq: 7, token: fewer })
      const { expiresInMs } = await peer.next('authenticated')
      expect(expiresInMs).toBeGreaterThan(500_000)
      const ended = [await peer.next('error'), await peer.next('error'), await peer.next('error')]
      expect(ended.map(({ code, sub, consumer }) => [code, sub ?? consumer])).toEqual([
        ['forbidden', 2],
        ['forbidden', 4],
        ['forbidden', 3],
      ])
      admin.send({ type: 'publish', seq: 2, topic: 'b' }, { type: 'publish', seq: 3, topic: 'a' })
      expect(await peer.next('message')).toMatchObject({ topic: 'a' })
      peer.send({ type: 'publish', seq: 8, topic: 'a' })
      expect(await peer.next('error')).toMatchObject({ code: 'forbidden', seq: 8 })
      peer.socket.terminate()
      admin.socket.terminate()
    })

    it('ends the connection if it is refused, and not while it cannot be checked', async () => {
      const refused = await open(apiKey)
      refused.send({ type: 'auth', seq: 1, token: await sign({}) })
      expect(await refused.closed).toMatchObject({ code: 4401 })
      const { url } = await hubs.start({
        auth: { ...auth, authenticate: ({ token }) => (token === 'x' ? Promise.reject(new Error('down')) : undefined) },
      })
      const peer = await Peer.open(url)
      peer.send({ type: 'hello', token: apiKey })
      peer.send({ type: 'auth', seq: 1, token: 'x' })
      expect(await peer.next('error')).toMatchObject({ code: 'auth_unavailable', seq: 1, retry: true })
      expect((await peer.settled()).length).toBe(0)
      peer.socket.terminate()
    })
  })

  it('a client is notified of what ends because its new token permits less', async () => {
    const { url } = await hubs.start({ auth: { jwt: { keys: [{ secretFile }], clockTolerance: 0 } } })
    const more = { subscribe: ['a', 'b'], respond: ['b'] }
    let asked = 0
    const getToken = () =>
      sign(asked++ === 0 ? { exp: inSeconds(4), permissions: more } : { permissions: { subscribe: ['a'] } })
    const client = connect(url, { getToken })
    const told: unknown[] = []
    const onError = (error: unknown) => void told.push(error)
    const kept = client.subscribe('a', () => {}, { onError })
    const ended = [client.subscribe('b', () => {}, { onError }), client.respond('b', () => {}, { onError })]
    await Promise.all([kept, ...ended].map(({ ready }) => ready))
    for (const each of ended) await expect(each.ended).rejects.toMatchObject({ code: 'forbidden' })
    expect(told).toMatchObject([{ code: 'forbidden' }, { code: 'forbidden' }])
    expect(client.state).toBe('connected')
    await client.close()
    await kept.ended
  })

  it('a client renews its token by itself, and loses no message', async () => {
    const { url } = await hubs.start({ auth: { jwt: { keys: [{ secretFile }], clockTolerance: 0 } } })
    const asking = new EventEmitter()
    const getToken = () => {
      asking.emit('asked')
      return sign({ exp: inSeconds(4), permissions: ALL })
    }
    const firstEnds = Date.now() + 4000
    const client = connect(url, { getToken })
    const states: ConnectionStateChange[] = []
    client.onState((change) => states.push(change))
    const messages = client.subscribe('n')[Symbol.asyncIterator]()
    await client.ready()
    let n = 0
    do {
      await once(asking, 'asked')
      for (const last = n + 50; n < last; n++) {
        await client.publish('n', n)
        expect((await messages.next()).value.data).toBe(n)
      }
    } while (Date.now() < firstEnds)
    expect(states.map(({ to }) => to)).toEqual(['connected'])
    await client.close()
  })
})

it('a refused token closes a client; with getToken the client asks again until one is accepted', async () => {
  const hub = await startHub({ port: 0, auth })
  const url = `ws://127.0.0.1:${hub.port}`
  const backoff = { base: 1, cap: 5 }
  const fixed = connect(url, { token: 'nonsense', backoff })
  await expect(fixed.ready()).rejects.toMatchObject({ code: 'unauthenticated' })
  expect(fixed.state).toBe('closed')

  const tokens: (string | Error)[] = [new Error('no network'), 'nonsense', 'nonsense', 'nonsense', apiKey, 'unused']
  const next = () => {
    const token = tokens.shift()
    if (token instanceof Error) throw token
    return token
  }
  const reasons: string[] = []
  const lucky = connect(url, { getToken: next, backoff })
  lucky.onState(({ to, reason }) => void (to === 'waiting' && reasons.push(reason.code)))
  await lucky.ready()
  expect(reasons).toEqual(['token_unavailable', 'unauthenticated', 'unauthenticated', 'unauthenticated'])
  expect(tokens).toEqual(['unused'])
  await lucky.close()
  await hub.close()
})
