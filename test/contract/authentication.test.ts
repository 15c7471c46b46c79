import { createSecretKey } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { newApiKey } from '../../server/auth/api-key.ts'
import { type AuthOptions, FanfareError, startHub } from '../../server/index.ts'
import { ALL, apiKey, auth, entered, folder, good, hello, pem } from '../setup/authenticated.ts'
import { usedHeap } from '../setup/garbage.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { keptLog } from '../setup/kept-log.ts'
import { Peer } from '../setup/peer.ts'
import { ec, ed, inSeconds, jwks, rsa, secret, sign } from '../setup/tokens.ts'

onEveryEngine('authentication', (hubs) => {
  let url = ''
  let http = ''
  beforeAll(async () => {
    const started = await hubs.start({ auth })
    url = started.url
    http = started.http
  })
  const status = async (path: string, authorization?: string, more: RequestInit = {}) =>
    (await fetch(http + path, { headers: authorization === undefined ? {} : { authorization }, ...more })).status

  it.each([
    ['HS256', () => sign(good)],
    ['RS256', () => sign(good, rsa.privateKey, { alg: 'RS256' })],
    ['ES256', () => sign(good, ec.privateKey, { alg: 'ES256' })],
    ['EdDSA of a key set', () => sign(good, ed.privateKey, { alg: 'EdDSA', kid: 'ed' })],
    ['one audience of several', () => sign({ ...good, aud: ['other', 'fanfare'] })],
    ['an expiry within the clock skew', () => sign({ ...good, exp: inSeconds(-2) })],
    ['a not-before time within the clock skew', () => sign({ ...good, nbf: inSeconds(3) })],
  ])('accepts a token: %s', async (_, token) => {
    expect(await hello(url, await token())).toEqual({ subject: 'ann' })
    expect(await status('/v1/queues', `Bearer ${await token()}`)).toBe(200)
  })

  const unsigned = (header: object, claims: object) =>
    `${[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`
  const confused = createSecretKey(Buffer.from(pem))
  it.each([
    [
      'of the algorithm none',
      async () => unsigned({ alg: 'none' }, { sub: 'ann', exp: inSeconds(60), ...good }),
      'none',
    ],
    ['signed with a public key as its secret', () => sign(good, confused), 'signature'],
    ['of a longer hash', () => sign(good, secret, { alg: 'HS512' }), 'HS512'],
    ['of another key', () => sign(good, createSecretKey(Buffer.alloc(32, 1))), 'signature'],
    ['of an unknown key of the set', () => sign(good, ed.privateKey, { alg: 'EdDSA', kid: 'x' }), 'key'],
    ['for another audience', () => sign({ ...good, aud: 'other' }), '"aud"'],
    ['without an audience', () => sign({ iss: good.iss }), '"aud"'],
    ['of another issuer', () => sign({ ...good, iss: 'https://three' }), '"iss"'],
    ['not valid yet', () => sign({ ...good, nbf: inSeconds(30) }), '"nbf"'],
    ['without an expiry', () => sign({ ...good, exp: undefined }), '"exp"'],
    ['without a subject', () => sign({ ...good, sub: undefined }), '"sub"'],
    ['with wrong permissions', () => sign({ ...good, permissions: { publish: ['a..b'] } }), 'permissions'],
    ['that is not a token', async () => 'nonsense', 'key'],
    ['that is an unknown API key', async () => newApiKey(), 'API key'],
    ['that is empty', async () => '', ''],
  ])('refuses a token %s', async (_, token, words) => {
    const refused = await hello(url, await token())
    expect(refused).toMatchObject({ code: 'unauthenticated', close: 4401 })
    expect(refused.message).toContain(words)
    expect(await status('/v1/queues', `Bearer ${await token()}`)).toBe(401)
  })

  it('distinguishes an expired token from a wrong one', async () => {
    const token = await sign({ ...good, exp: inSeconds(-30) })
    expect(await hello(url, token)).toMatchObject({ code: 'token_expired', close: 4402 })
    const answer = await fetch(`${http}/v1/queues`, { headers: { authorization: `Bearer ${token}` } })
    expect(await answer.json()).toMatchObject({ status: 401, code: 'token_expired' })
  })

  it('accepts an API key, and a token next to the subprotocol', async () => {
    expect(await hello(url, apiKey)).toEqual({ subject: 'service' })
    expect(await status('/v1/queues', `Bearer ${apiKey}`)).toBe(200)
    for (const token of [apiKey, await sign(good)]) {
      const peer = await Peer.open(url, ['fanfare.v1', `fanfare.token.${token}`])
      expect(peer.socket.protocol).toBe('fanfare.v1')
      peer.send({ type: 'ping' })
      expect(await entered(peer)).toEqual({ subject: token === apiKey ? 'service' : 'ann' })
    }
  })

  it('refuses clients without credentials, whatever they ask for first', async () => {
    expect(await hello(url, undefined)).toMatchObject({ code: 'unauthenticated', close: 4401 })
    const peer = await Peer.open(url, [])
    peer.send({ type: 'publish', seq: 1, topic: 'a' }, { type: 'ping' })
    expect(await entered(peer)).toMatchObject({ code: 'unauthenticated', close: 4401 })
    expect(peer.frames.length).toBe(1)
  })

  it('allows only health checks without credentials', async () => {
    for (const path of ['/healthz', '/readyz']) expect(await status(path)).toBe(200)
    for (const path of [
      '/',
      '/fanfare.js',
      '/metrics',
      '/token',
      '/v1/queues',
      '/v1/none',
      '/healthz/x',
      '//healthz',
    ]) {
      expect([path, await status(path)]).toEqual([path, 401])
    }
    expect(await status('/v1/queues', undefined, { method: 'POST' })).toBe(401)
  })

  it('accepts a token as a password for requests that change nothing, and never asks for a password', async () => {
    for (const accept of ['text/html', '*/*']) {
      const page = await fetch(http, { headers: { accept } })
      expect([page.status, page.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="fanfare"'])
    }
    const basic = `Basic ${Buffer.from(`anyone:${apiKey}`).toString('base64')}`
    expect(await status('/v1/queues', basic)).toBe(200)
    const own = await fetch(`${http}/token`, { headers: { authorization: basic } })
    expect([await own.text(), own.headers.get('cache-control')]).toEqual([apiKey, 'no-store'])
    const foreign = await fetch(`${http}/token`, { headers: { authorization: basic, 'sec-fetch-site': 'cross-site' } })
    expect(foreign.status).toBe(403)
    const post = { method: 'POST', headers: { authorization: basic, 'content-type': 'application/json' } }
    expect(await status('/v1/queues', undefined, { ...post, body: '{"name":"q"}' })).toBe(401)
    const upgrade = await Peer.open(url)
    upgrade.send({ type: 'hello' })
    expect(await entered(upgrade)).toMatchObject({ code: 'unauthenticated' })
  })

  it('refuses a token in a URL, so that it does not become a habit', async () => {
    for (const name of ['token', 'access_token']) {
      await expect(Peer.open(`${url}?${name}=${apiKey}`)).rejects.toThrow('400')
      const answer = await fetch(`${http}/v1/queues?${name}=x`, { headers: { authorization: `Bearer ${apiKey}` } })
      expect(await answer.json()).toMatchObject({ status: 400, code: 'token_in_url' })
      expect(() => connect(`${url}?${name}=${apiKey}`)).toThrow(/token_in_url|logs/)
    }
  })

  it('reads a key file again, and keeps the old keys while it cannot be read', async () => {
    const path = folder.write(`turning-${hubs.engine}.json`, jwks({ old: ed.publicKey }))
    const { log, lines } = keptLog()
    const { url } = await hubs.start({ auth: { jwt: { keys: [{ jwksFile: path }] } } }, log)
    const old = await sign({}, ed.privateKey, { alg: 'EdDSA', kid: 'old' })
    const next = await sign({}, ec.privateKey, { alg: 'ES256', kid: 'next' })
    expect(await hello(url, next)).toMatchObject({ code: 'unauthenticated' })
    folder.write(`turning-${hubs.engine}.json`, '{ broken')
    const askAndHear = async () => {
      expect(await hello(url, old)).toEqual({ subject: 'ann' })
      return lines.map(({ msg }) => msg)
    }
    await expect.poll(askAndHear).toContain('token keys cannot be reloaded: keeping the old ones')
    folder.write(`turning-${hubs.engine}.json`, jwks({ next: ec.publicKey }))
    await expect.poll(() => hello(url, next), { interval: 50 }).toEqual({ subject: 'ann' })
    expect(await hello(url, old)).toMatchObject({ code: 'unauthenticated' })
  })

  it('fetches a key set again for an unknown key, and reports when it cannot', async () => {
    let set = jwks({ old: ed.publicKey })
    const server = createServer((_, response) => {
      if (set === '') response.writeHead(500).end()
      else response.setHeader('content-type', 'application/json').end(set)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
    const { url } = await hubs.start({ auth: { jwt: { keys: [{ jwksUrl }] } } })
    const old = await sign({}, ed.privateKey, { alg: 'EdDSA', kid: 'old' })
    const next = await sign({}, ec.privateKey, { alg: 'ES256', kid: 'next' })
    const keys = set
    set = ''
    expect(await hello(url, old)).toMatchObject({ code: 'auth_unavailable', close: 4004 })
    set = keys
    expect(await hello(url, old)).toEqual({ subject: 'ann' })
    set = jwks({ next: ec.publicKey })
    await expect.poll(() => hello(url, next), { interval: 100 }).toEqual({ subject: 'ann' })
    expect(await hello(url, old)).toMatchObject({ code: 'unauthenticated' })
    server.close()
    server.closeAllConnections()
  })

  it('asks the program first, which may know the client, not know it, refuse it or fail', async () => {
    const { url, http } = await hubs.start({
      allowedOrigins: ['https://page'],
      auth: {
        ...auth,
        async authenticate({ token, address, origin, headers }) {
          if (token === 'broken') throw new Error('no database')
          if (token === 'blocked') throw new FanfareError('unauthenticated', 'You are blocked')
          if (token === 'wrong') return { subject: '' } as never
          if (headers['cookie'] === 'session=1') return { subject: `${origin} ${address}`, permissions: {} }
          return token === 'mine' ? { subject: 'mine', permissions: { declare: ['#'] } } : undefined
        },
      },
    })
    expect(await hello(url, 'mine')).toEqual({ subject: 'mine' })
    expect(await hello(url, apiKey)).toEqual({ subject: 'service' })
    expect(await hello(url, 'blocked')).toMatchObject({
      code: 'unauthenticated',
      message: expect.stringMatching(/^You are blocked$/),
    })
    expect(await hello(url, 'broken')).toMatchObject({ code: 'auth_unavailable', close: 4004 })
    expect(await hello(url, 'wrong')).toMatchObject({ code: 'auth_unavailable' })
    expect(await hello(url, undefined)).toMatchObject({ code: 'unauthenticated' })
    const peer = await Peer.open(url, ['fanfare.v1'], { cookie: 'session=1', origin: 'https://page' })
    peer.send({ type: 'hello' })
    expect((await entered(peer)).subject).toMatch(/^https:\/\/page .*127\.0\.0\.1$/)
    const answer = await fetch(`${http}/v1/queues`, { headers: { authorization: 'Bearer broken' } })
    expect(answer.status).toBe(503)
    expect((await fetch(`${http}/v1/queues`, { headers: { cookie: 'session=1' } })).status).toBe(200)
  })

  it('holds frames that arrive before authentication has finished, in order and bounded', async () => {
    let letIn: (() => void) | undefined
    const { url } = await hubs.start({
      auth: {
        authenticate: () =>
          new Promise((resolve) => {
            letIn = () => resolve({ subject: 'late', permissions: ALL })
          }),
      },
    })
    const peer = await Peer.open(url)
    peer.send({ type: 'hello' }, { type: 'subscribe', sub: 1, pattern: 'a' })
    for (let seq = 0; seq < 50; seq++) peer.send({ type: 'publish', seq, topic: 'a', data: seq })
    await expect.poll(() => letIn).toBeDefined()
    letIn?.()
    await peer.next('subscribed')
    const data: unknown[] = []
    while (data.length < 50) data.push((await peer.next('message')).data)
    expect(data).toEqual(Array.from({ length: 50 }, (_, seq) => seq))
    expect(peer.frames[0]).toMatchObject({ type: 'welcome', subject: 'late' })
    peer.socket.terminate()
    const flood = await Peer.open(url)
    flood.send({ type: 'hello' })
    for (let seq = 0; seq < 10; seq++) flood.send({ type: 'publish', seq, topic: 'a', data: 'x'.repeat(100_000) })
    expect(await entered(flood)).toMatchObject({ code: 'auth_backlog', close: 4430 })
    const many = await Peer.open(url)
    many.send({ type: 'hello' }, ...Array.from({ length: 2001 }, () => ({})))
    expect(await entered(many)).toMatchObject({ code: 'auth_backlog', close: 4430 })
  })

  it('keeps nothing of a connection that ends before authentication has finished', async () => {
    const unanswered: unknown[] = []
    const authenticate = () => new Promise<undefined>((resolve) => void unanswered.push(resolve))
    const { url, hub } = await hubs.start({ auth: { authenticate } })
    const text = 'x'.repeat(100_000)
    const before = usedHeap()
    for (let n = 0; n < 50; n++) {
      const peer = await Peer.open(url)
      peer.send({ type: 'hello' })
      // The response to the last one shows that all of them have arrived.
      for (let seq = 0; seq < 6; seq++) peer.send({ type: 'publish', seq, topic: 'a', data: `${seq}${text}` })
      expect(await entered(peer)).toMatchObject({ code: 'auth_backlog' })
      await peer.closed
    }
    // They have sent 30 MB.
    expect(usedHeap() - before).toBeLessThan(10_000_000)
    expect(unanswered).toHaveLength(50)
    await hub.close()
  })
})

it('no token is ever logged', async () => {
  const { log, lines } = keptLog('trace')
  const authenticate: AuthOptions['authenticate'] = ({ token }) => {
    if (token === 'token-of-a-failure') throw new Error('no database')
    return undefined
  }
  const hub = await startHub({ port: 0, auth: { ...auth, authenticate } }, log)
  const url = `ws://127.0.0.1:${hub.port}`
  const jwt = await sign(good)
  const tokens = [jwt, apiKey, 'token-of-a-failure', await sign({ ...good, exp: 1 }), await sign({ aud: 'x' })]
  for (const token of tokens) {
    await hello(url, token)
    const peer = await Peer.open(url, ['fanfare.v1', `fanfare.token.${token}`])
    peer.send({ type: 'auth', seq: 1, token }, { type: 'auth', seq: 2, token }, { type: 'nonsense', token })
    peer.send({ type: 'publish', seq: 3, topic: 'forbidden.topic' }, { type: 'publish', token })
    await Promise.race([peer.closed, peer.next('error')])
    peer.socket.terminate()
    await Peer.open(url, ['other', `fanfare.token.${token}`]).catch(() => {})
    await Peer.open(`${url}/?token=${token}`).catch(() => {})
    const headers = { authorization: `Bearer ${token}` }
    for (const path of ['/v1/queues', '/token', '/none', `/?token=${token}`]) {
      await fetch(`http://127.0.0.1:${hub.port}${path}`, { headers })
    }
  }
  await hub.close()
  expect(lines.map(({ msg }) => msg)).toEqual(expect.arrayContaining(['connection ended', 'authenticate failed']))
  const text = JSON.stringify(lines)
  for (const token of tokens) for (const part of token.split('.')) expect(text).not.toContain(part)
})
