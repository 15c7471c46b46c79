import { beforeAll, describe, expect, it } from 'vitest'
import { connect, topicWord } from '../../client/node.ts'
import { type AuthOptions, type Identity, startHub } from '../../server/index.ts'
import { parseFrame } from '../../shared/parse-frame.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { keptLog } from '../setup/kept-log.ts'
import { Peer } from '../setup/peer.ts'
import { inSeconds, keyFolder, SECRET, sign } from '../setup/tokens.ts'

const secretFile = keyFolder().write('secret', SECRET)
const jwt = { keys: [{ secretFile }] }
const OWN = { publish: ['users.${sub}.#'], subscribe: ['users.${sub}.#', 'log.${sub}.#', 'news'] }

/** The welcome of a hello with this token; rejects with the code of the refusal. */
async function welcomed(url: string, token: string | undefined) {
  const peer = await Peer.open(url)
  peer.send({ type: 'hello', token })
  const welcome = await peer.next('welcome').catch(() => {
    throw new Error(JSON.stringify(peer.frames))
  })
  return { peer, welcome }
}

onEveryEngine('subjects', (hubs) => {
  let url = ''
  let http = ''
  beforeAll(async () => {
    const streams = [{ name: 'log', topics: ['log.#'] }]
    const started = await hubs.start({ auth: { jwt, roles: { default: OWN } }, streams })
    url = started.url
    http = started.http
  })

  it.each([
    ['ann', 'ann'],
    ['urn:x:y', 'urn:x:y'],
    ['00u1:abc=', '00u1:abc='],
    ['auth0|5f7c12', 'auth0~7C5f7c12'],
    ['ann@example.com', 'ann@example~2Ecom'],
    ['müller', 'm~C3~BCller'],
    ['CN=Ann,O=x', 'CN=Ann~2CO=x'],
    ['a b', 'a~20b'],
    [' ', '~20'],
    ['*', '~2A'],
    ['#', '~23'],
    ['.', '~2E'],
    ['$sys', '~24sys'],
    ['\u{1f389}', '~F0~9F~8E~89'],
    ['https://idp/x#1', 'https://idp/x~231'],
    ['x'.repeat(200), 'x'.repeat(200)],
  ])('the subject %j has its own topics, under %s', async (sub, word) => {
    expect(topicWord(sub)).toBe(word)
    const token = await sign({ sub })
    const client = connect(url, { token })
    const got = new Promise<unknown>((resolve) => client.subscribe(`users.${word}.#`, ({ data }) => resolve(data)))
    await client.publish(`users.${word}.note`, 'mine')
    expect(await got).toBe('mine')
    await client.subscribe('news').ready
    await expect(client.publish('users.bob.note', 'not mine')).rejects.toMatchObject({ code: 'forbidden' })
    for (const wide of ['users.#', '#', 'users.*.note', '$sys.#'])
      await expect(client.subscribe(wide).ready).rejects.toMatchObject({ code: 'forbidden' })
    const answer = await fetch(`${http}/v1/topics/${encodeURIComponent(`users.${word}.note`)}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '1',
    })
    expect(answer.status).toBe(200)
    await client.close()
  })

  it.each(['ann@example.com', 'auth0|5f7c12'])('%s has its own cursors, and none of another subject', async (sub) => {
    const client = connect(url, { token: await sign({ sub }) })
    const pattern = `log.${topicWord(sub)}.#`
    await client.subscribe(pattern, { cursor: `${topicWord(sub)}.phone` }).ready
    for (const cursor of ['ann@example~2Ecomx.phone', 'ann.phone', 'reports'])
      await expect(client.subscribe(pattern, { cursor }).ready).rejects.toMatchObject({ code: 'forbidden' })
    await client.close()
  })

  it.each([
    ['\ud800', 'invalid Unicode'],
    ['é'.repeat(200), 'too long'],
  ])('a subject that no word can represent is accepted, without topics of its own (%j, %s)', async (sub) => {
    const client = connect(url, { token: await sign({ sub }) })
    await client.subscribe('news').ready
    await expect(client.publish('users.bob.note', 1)).rejects.toMatchObject({ code: 'forbidden' })
    await client.close()
  })

  it.each([
    ['a fraction', () => Date.now() / 1000 + 3600],
    ['microseconds', () => inSeconds(3600) + 0.123456],
    ['milliseconds instead of seconds', () => 9_999_999_999_999],
    ['the largest safe integer', () => Number.MAX_SAFE_INTEGER],
    ['1e300', () => 1e300],
  ])('a token whose "exp" is %s is accepted, and its client connects', async (_, exp) => {
    const token = await sign({ exp: exp() })
    const { peer, welcome } = await welcomed(url, token)
    expect(() => parseFrame(welcome)).not.toThrow()
    peer.send({ type: 'auth', seq: 1, token })
    const renewed = await peer.next('authenticated')
    expect(() => parseFrame(renewed)).not.toThrow()
    peer.socket.terminate()
    const client = connect(url, { getToken: () => token })
    await client.ready()
    await client.close()
  })

  it.each([
    ['a fraction', Date.now() + 3_600_000.5, expect.any(Number)],
    ['of another clock', performance.timeOrigin + performance.now() + 3.6e6, expect.any(Number)],
    ['a date', new Date(Date.now() + 3_600_000), expect.any(Number)],
    ['Infinity', Number.POSITIVE_INFINITY, undefined],
    ['beyond all calendars', 1e300, expect.any(Number)],
  ])('a program sets when an identity ends: %s', async (_, expiresAt, expiresInMs) => {
    const identity: Identity = { subject: 'ann', permissions: { admin: true }, expiresAt }
    const { url } = await hubs.start({ auth: { authenticate: () => identity } })
    const { peer, welcome } = await welcomed(url, 'any')
    expect(() => parseFrame(welcome)).not.toThrow()
    expect(welcome.expiresInMs).toEqual(expiresInMs)
    peer.socket.terminate()
  })

  it.each(['\n', '\r\n', ' '])('a token that ends with %j is the same token over WebSocket and HTTP', async (end) => {
    const token = await sign({})
    const { peer, welcome } = await welcomed(url, `${token}${end}`)
    expect(welcome.subject).toBe('ann')
    peer.send({ type: 'auth', seq: 1, token: `${token}${end}` })
    expect((await peer.next('authenticated')).subject).toBe('ann')
    peer.socket.terminate()
  })

  describe('a subject that is called anonymous', () => {
    const limited: AuthOptions = { jwt, anonymous: 'allow', roles: { default: OWN, anonymous: { publish: ['open'] } } }

    it('has the limits of an identity, and learns when its token ends', async () => {
      const { url } = await hubs.start({ auth: limited, identityMessagesPerSecond: 20 })
      const { peer, welcome } = await welcomed(url, await sign({ sub: 'anonymous' }))
      expect(welcome).toMatchObject({ subject: 'anonymous', expiresInMs: expect.any(Number) })
      for (let seq = 1; seq <= 60; seq++) peer.send({ type: 'publish', seq, topic: 'users.anonymous.a', data: seq })
      await expect.poll(() => peer.frames.filter(({ type }) => type === 'receipt' || type === 'error').length).toBe(60)
      expect(
        peer.frames.filter((frame) => frame.type === 'error' && frame.code === 'rate_limited').length,
      ).toBeGreaterThan(0)
      peer.socket.terminate()
    })

    it('is not one of those without a token, who have no name and no limit of an identity', async () => {
      const { url } = await hubs.start({ auth: limited, identityMessagesPerSecond: 20 })
      const { peer, welcome } = await welcomed(url, undefined)
      expect(welcome).not.toHaveProperty('subject')
      for (let seq = 1; seq <= 60; seq++) peer.send({ type: 'publish', seq, topic: 'open', data: seq })
      await expect.poll(() => peer.frames.filter(({ type }) => type === 'receipt').length).toBe(60)
      peer.socket.terminate()
    })
  })
})

it('the log names a permission that is left out, and for which subject', async () => {
  const { log, lines } = keptLog()
  const hub = await startHub({ port: 0, auth: { jwt, roles: { default: OWN } } }, log)
  const { peer } = await welcomed(`ws://127.0.0.1:${hub.port}`, await sign({ sub: 'é'.repeat(200) }))
  expect(lines).toContainEqual(expect.objectContaining({ pattern: 'users.${sub}.#', claim: 'sub' }))
  peer.socket.terminate()
  await hub.close()
})
