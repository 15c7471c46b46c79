import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Credentials, createHub, startHub } from '../../server/index.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'
import { ask, RawHttp } from '../setup/raw-http.ts'
import { makePair, PairFiles } from '../setup/tls.ts'

const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const TARGETS = [
  '//',
  '///',
  '//?x',
  '//a:99999/',
  'http://[',
  '/\\\\',
  'http://%',
  '//[',
  '//%00',
  '*',
  'http://a:b@',
  '/x#y',
  '',
]

const upgradeOf = (target: string) => `GET ${target} HTTP/1.1\r\nHost: hub\r\n${UPGRADE}\r\n`

/**
 * The hub serves another client afterwards, and has not opened a WebSocket on this connection by then. Nothing else is awaited on it:
 * uWebSockets.js does not respond to what it cannot parse.
 */
async function survives(raw: RawHttp, bytes: string, another: () => Promise<void>): Promise<void> {
  raw.socket.write(bytes, 'latin1')
  await another()
  expect(raw.text).not.toContain(' 101 ')
  raw.socket.destroy()
}

onEveryEngine('request lines', (hubs) => {
  let port = 0
  let url = ''
  beforeAll(async () => {
    const { hub, url: at } = await hubs.start()
    port = hub.port
    url = at
  })

  describe('of an upgrade', () => {
    it.each(TARGETS)('%j costs its sender the connection at most', async (target) => {
      await survives(await RawHttp.open(port), upgradeOf(target), async () => {
        const peer = await Peer.hello(url)
        expect(await peer.settled()).toEqual([])
        peer.socket.terminate()
      })
    })

    it.each(TARGETS)('%j over TLS, too', async (target) => {
      const { hub } = await tls()
      await survives(await RawHttp.openTls(hub.port), upgradeOf(target), async () => {
        const other = await RawHttp.openTls(hub.port)
        expect(await other.ask('GET /healthz HTTP/1.1\r\nHost: hub\r\n\r\n')).toMatch(/ 200/)
      })
    })

    it.each([
      ['another path', upgradeOf('/x'), 404],
      ['a key that is too short', upgradeOf('/').replace('dGhl', 'd'), 400],
      ['no key', upgradeOf('/').replace(/Sec-WebSocket-Key.*\r\n/, ''), 400],
      ['no version', upgradeOf('/').replace(/Sec-WebSocket-Version.*\r\n/, ''), 400],
      ['an unknown version', upgradeOf('/').replace('Version: 13', 'Version: 99'), 400],
      ['POST', upgradeOf('/').replace('GET', 'POST'), 405],
    ])('with %s is refused', async (_, bytes, status) => {
      const raw = await RawHttp.open(port)
      expect(await raw.ask(bytes)).toContain(` ${status} `)
      await raw.closed
      raw.socket.destroy()
    })
  })

  let shared: ReturnType<typeof hubs.start> | undefined
  const tls = () => {
    shared ??= hubs.start({ tls: new PairFiles(makePair('hub')).tls })
    return shared
  }

  it.each([
    'hub/v1/hub#',
    'hub?',
    'a@b',
    'a\\b',
    'a\tb',
    'a:99999',
    'a:b',
    '[::1',
    'a b',
    'hub/',
    'a%2fb',
    '1.2.3.999',
  ])('the Host header %j does not change the path', async (host) => {
    const { status, text } = await ask(port, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    expect(status).toContain(' 400')
    expect(text).not.toContain('connections')
  })

  it.each(['hub', 'hub:80', '127.0.0.1:4747', '[::1]:80', 'my_hub.internal', 'HUB.example.com.'])(
    'the Host header %j is accepted',
    async (host) => {
      expect((await ask(port, `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).status).toContain(' 200')
    },
  )

  it('two Host headers are refused', async () => {
    expect((await ask(port, 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n')).status).toContain(' 400')
  })

  it('the response to HEAD has the length of the response to GET', async () => {
    for (const path of ['/healthz', '/v1/hub', '/nowhere', '/']) {
      const [got, head] = await Promise.all(
        ['GET', 'HEAD'].map((method) => ask(port, `${method} ${path} HTTP/1.1\r\nHost: hub\r\n\r\n`)),
      )
      const lengthOf = (text = '') => Number(/^content-length: (\d+)/im.exec(text)?.[1])
      expect(head?.status).toBe(got?.status)
      // Figures in /v1/hub change from one moment to the next.
      expect(Math.abs(lengthOf(head?.text) - lengthOf(got?.text))).toBeLessThan(20)
      expect(head?.text).toMatch(/\r\n\r\n$/)
    }
  })

  it('a token of 16,384 characters fits into the head of an upgrade', async () => {
    const authenticate = ({ token }: Credentials) => ({ subject: `of${token?.length}`, permissions: {} })
    const { url } = await hubs.start({ auth: { authenticate } })
    const peer = await Peer.open(url, ['fanfare.v1', `fanfare.token.${'t'.repeat(16_384)}`])
    peer.send({ type: 'hello' })
    expect(await peer.next('welcome')).toMatchObject({ subject: 'of16384' })
    peer.socket.terminate()
  })
})

// uWebSockets.js responds to neither: see the guide.
describe('the engine ws', () => {
  let port = 0
  beforeAll(async () => {
    const hub = await startHub({ port: 0, engine: 'ws' })
    port = hub.port
    afterAll(() => hub.close())
  })

  it.each([
    ['HAProxy', 'OPTIONS /healthz HTTP/1.0\r\n\r\n', / (200|204|404|405) /],
    ['HAProxy with httpchk GET', 'GET /healthz HTTP/1.0\r\n\r\n', / 200 /],
    ['nginx', 'GET /healthz HTTP/1.0\r\nHost: hub\r\nConnection: close\r\n\r\n', / 200 /],
  ])('the health check of %s in HTTP/1.0 is answered', async (_, bytes, status) => {
    const raw = await RawHttp.open(port)
    expect(await raw.ask(bytes)).toMatch(status)
    await raw.closed
  })

  it('a head that is too large gets 431', async () => {
    const { status } = await ask(port, `GET / HTTP/1.1\r\nHost: hub\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`)
    expect(status).toContain(' 431 ')
  })
})

describe('a hub that is attached to a server', () => {
  const server = createServer((_, response) => response.end('of the host'))
  let port = 0
  beforeAll(async () => {
    const hub = await createHub({ auth: { authenticate: () => undefined } })
    await hub.attach(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
    afterAll(() => hub.close())
  })
  afterAll(() => server.close())

  it.each(TARGETS)('does not end it for an upgrade of %j', async (target) => {
    await survives(await RawHttp.open(port), upgradeOf(target), async () => {
      expect((await ask(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')).text).toContain('of the host')
    })
  })
})
