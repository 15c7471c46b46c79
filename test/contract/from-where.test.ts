import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHub, type HubOptions, startHub } from '../../server/index.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { Peer } from '../setup/peer.ts'

type Headers = Record<string, string>

/** `fetch` does not let its caller set a host or an origin. */
function ask(port: number, path: string, headers: Headers = {}, method = 'GET', body = '') {
  return new Promise<{ status: number; headers: Headers; text: string }>((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers }, async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      resolve({ status: response.statusCode ?? 0, headers: response.headers as Headers, text })
    })
    request.on('error', reject).end(body)
  })
}

/** 101, or the status that an upgrade is refused with. */
async function upgrade(port: number, headers: Headers = {}): Promise<string> {
  try {
    const peer = await Peer.open(`ws://127.0.0.1:${port}/`, undefined, headers)
    peer.socket.terminate()
    return '101'
  } catch (error) {
    return /\d{3}$/.exec((error as Error).message)?.[0] ?? (error as Error).message
  }
}

onEveryEngine('origins and proxies', (hubs) => {
  const ports: Record<string, number> = {}
  beforeAll(async () => {
    const anybody = { anonymous: 'allow' } as const
    const started: Record<string, HubOptions> = {
      loopback: { queues: [{ name: 'q' }] },
      everywhere: { host: '0.0.0.0', auth: anybody },
      listed: {
        allowedOrigins: ['https://app.example.com', 'http://two.example:81', 'null', 'chrome-extension://abc'],
      },
      any: { allowedOrigins: ['*'] },
      proxied: { trustedProxies: ['127.0.0.1', '10.0.0.0/8', 'fd00::/8'], auth: anybody },
    }
    for (const [name, options] of Object.entries(started)) ports[name] = (await hubs.start(options)).hub.port
  })
  const portOf = (hub: string) => ports[hub] as number

  it.each([
    ['loopback', undefined, undefined, 101],
    ['loopback', 'http://127.0.0.1:<port>', undefined, 101],
    ['loopback', 'http://localhost:5173', undefined, 101],
    ['loopback', 'https://[::1]', 'localhost:4747', 101],
    ['loopback', 'http://localhost.evil.example', undefined, 403],
    ['loopback', 'http://evil.localhost', undefined, 403],
    ['loopback', 'https://evil.example', undefined, 403],
    ['loopback', 'null', undefined, 403],
    ['loopback', '', undefined, 403],
    ['loopback', 'file://', undefined, 403],
    ['loopback', 'http://localhost, http://evil.example', undefined, 403],
    // A proxy on this machine, and a client that reaches it.
    ['loopback', 'http://localhost:5173', 'hub.example.com', 403],
    ['everywhere', 'http://localhost:5173', undefined, 403],
    ['everywhere', 'http://hub.example.com', 'hub.example.com', 101],
    ['everywhere', 'http://hub.example.com', 'hub.example.com:80', 101],
    ['everywhere', 'https://hub.example.com', 'hub.example.com:443', 101],
    ['everywhere', 'https://HUB.example.com', 'Hub.Example.com', 101],
    ['everywhere', 'http://hub.example.com:81', 'hub.example.com', 403],
    ['everywhere', 'http://hub.example.com', 'hub.example.com:81', 403],
    ['everywhere', 'http://sub.hub.example.com', 'hub.example.com', 403],
    ['listed', 'https://app.example.com', undefined, 101],
    ['listed', 'http://two.example:81', undefined, 101],
    ['listed', 'null', undefined, 101],
    ['listed', 'chrome-extension://abc', undefined, 101],
    ['listed', 'chrome-extension://abd', undefined, 403],
    ['listed', 'http://app.example.com', undefined, 403],
    ['listed', 'https://app.example.com:444', undefined, 403],
    ['any', 'https://evil.example', undefined, 101],
  ])('on %s a page of %s that asks for %s gets %i', async (hub, from, host, expected) => {
    const origin = from?.replace('<port>', String(portOf(hub)))
    const headers = { ...(origin !== undefined && { origin }), ...(host !== undefined && { host }) }
    expect(await upgrade(portOf(hub), headers)).toBe(String(expected))
    // Over HTTP it is the same, and a script there reads the response only where it may.
    const { status, headers: answered, text } = await ask(portOf(hub), '/v1/queues', headers)
    expect(status === 403).toBe(expected === 403)
    if (expected === 403) expect(JSON.parse(text)).toMatchObject({ code: 'forbidden_origin', retry: false })
    expect(answered['access-control-allow-origin']).toBe(expected === 403 ? undefined : origin)
  })

  it('refuses with an explanation', async () => {
    const { status, text } = await ask(portOf('loopback'), '/', {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      origin: 'https://evil.example',
    })
    expect(status).toBe(403)
    expect(text).toContain('Origin https://evil.example is not allowed. Add it to allowedOrigins.')
    expect(text).toContain('allowedOrigins')
  })

  it.each([
    ['a name that points to this machine', { host: 'rebound.example' }],
    ['a proxy on this machine', { 'x-forwarded-for': '203.0.113.9' }],
    ['a proxy on this machine, in another notation', { forwarded: 'for=203.0.113.9' }],
    ['a proxy that sends X-Real-IP only', { 'x-real-ip': '203.0.113.9' }],
    ['a proxy that sends X-Forwarded-Proto only', { 'x-forwarded-proto': 'https' }],
    ['a proxy that sends X-Forwarded-Host only', { 'x-forwarded-host': 'hub.example' }],
    ['a proxy that sends Via only', { via: '1.1 edge' }],
  ])('does not treat a client that comes through %s as local', async (_, headers) => {
    const peer = await Peer.open(`ws://127.0.0.1:${portOf('loopback')}/`, undefined, headers as unknown as Headers)
    peer.send({ type: 'hello' })
    expect(await peer.next('error')).toMatchObject({ code: 'unauthenticated' })
    expect((await peer.closed).code).toBe(4401)
    expect((await ask(portOf('loopback'), '/v1/queues', headers as unknown as Headers)).status).toBe(401)
    expect((await ask(portOf('loopback'), '/healthz', headers as unknown as Headers)).status).toBe(200)
  })

  const json = { 'content-type': 'application/json' }
  it.each([
    ['POST', { 'sec-fetch-site': 'cross-site' }, 403],
    ['POST', { 'sec-fetch-site': 'same-site' }, 403],
    ['POST', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 403],
    ['POST', { origin: 'http://evil.example', ...json }, 403],
    ['DELETE', { origin: 'null' }, 403],
    ['GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 403],
    ['GET', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 200],
    ['GET', { 'sec-fetch-site': 'same-origin' }, 200],
    ['POST', { 'sec-fetch-site': 'same-origin', ...json }, 200],
    ['POST', {}, 200],
  ])('answers %s with %o by %i', async (method, headers, expected) => {
    const path = method === 'POST' ? '/v1/queues/q/purge' : '/v1/queues/q'
    expect((await ask(portOf('loopback'), path, headers as unknown as Headers, method)).status).toBe(expected)
  })

  it('answers the preflight of a browser, and allows only what is permitted', async () => {
    const wanted = { 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'authorization' }
    const allowed = await ask(
      portOf('listed'),
      '/v1/queues',
      { origin: 'https://app.example.com', ...wanted },
      'OPTIONS',
    )
    expect(allowed.status).toBe(204)
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.com',
      'access-control-allow-headers': 'authorization',
      vary: 'Origin',
    })
    expect(allowed.headers['access-control-allow-methods']).toContain('DELETE')
    expect(allowed.headers['access-control-allow-credentials']).toBe(undefined)
    const refused = await ask(portOf('listed'), '/v1/queues', { origin: 'https://evil.example', ...wanted }, 'OPTIONS')
    expect(refused.status).toBe(403)
    expect(refused.headers['access-control-allow-origin']).toBe(undefined)
  })

  it.each(['/healthz', '/v1/queues', '/token', '/nothing'])(
    'sets on %s the headers that limit what a browser may do with it',
    async (path) => {
      const { headers } = await ask(portOf('loopback'), path)
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': path === '/healthz' ? 'cross-origin' : 'same-origin',
      })
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
      expect(headers['strict-transport-security']).toBe(undefined)
    },
  )

  it.each([
    ['proxied', '203.0.113.9', '203.0.113.9'],
    // What the client wrote itself is to the left of what the proxy has seen.
    ['proxied', '1.1.1.1, 203.0.113.9, 10.1.2.3', '203.0.113.9'],
    ['proxied', '10.1.2.3', '10.1.2.3'],
    // With a port, in brackets or in quotes, as some proxies write it.
    ['proxied', '203.0.113.9:51234', '203.0.113.9'],
    ['proxied', '[2001:db8::1]:443', '2001:db8::1'],
    ['proxied', '[2001:db8::1]', '2001:db8::1'],
    ['proxied', '"[2001:db8::1]:443"', '2001:db8::1'],
    ['proxied', '203.0.113.9:51234, 10.1.2.3:80', '203.0.113.9'],
    ['proxied', 'fe80::1%eth0', 'fe80::1'],
    // An unreadable address is never this machine, nor a trusted proxy.
    ['proxied', '1.1.1.1, nonsense', 'unknown'],
    ['proxied', 'unknown', 'unknown'],
    ['proxied', '_hidden', 'unknown'],
    ['proxied', 'unix:', 'unknown'],
    ['proxied', '', 'unknown'],
    ['proxied', '203.0.113.9, ', 'unknown'],
    ['proxied', '203.0.113.9:x', 'unknown'],
    ['proxied', '[203.0.113.9]', 'unknown'],
    ['proxied', '[::1', 'unknown'],
    ['proxied', 'localhost', 'unknown'],
    ['proxied', '127.0.0.1, 10.1.2.3', '10.1.2.3'],
    ['proxied', '2001:DB8:0::1, fd00::7', '2001:db8::1'],
    ['proxied', '::ffff:203.0.113.9', '203.0.113.9'],
    ['proxied', undefined, '127.0.0.1'],
    ['everywhere', '203.0.113.9', '127.0.0.1'],
  ])('on %s one for whom "%s" is forwarded is known as %s', async (hub, forwarded, address) => {
    const url = `ws://127.0.0.1:${portOf(hub)}/`
    const peer = await Peer.open(url, undefined, forwarded === undefined ? {} : { 'x-forwarded-for': forwarded })
    peer.send({ type: 'hello' })
    const { connection } = await peer.next('welcome')

    peer.send({ type: 'call', seq: 1, method: 'connections.show', params: { connection } })
    expect(await peer.next('result')).toMatchObject({ result: { address } })
    peer.socket.terminate()
  })

  it.each([
    ['proxied', 'https://hub.example.com', 'https', 'hub.example.com', '101'],
    ['proxied', 'http://hub.example.com', 'https', 'hub.example.com', '403'],
    ['proxied', 'https://other.example', 'https', 'hub.example.com', '403'],
    ['everywhere', 'https://hub.example.com', 'https', 'hub.example.com', '403'],
  ])('on %s a page of %s that comes by a proxy of %s://%s gets %s', async (hub, origin, scheme, host, expected) => {
    const headers = { origin, 'x-forwarded-proto': scheme, 'x-forwarded-host': host }
    expect(await upgrade(portOf(hub), headers)).toBe(expected)
  })
})

describe('origins and proxies on an existing server', () => {
  let port = 0
  const server = createServer()
  afterAll(() => server.close())

  it('checks origins in the same way, also for fetch', async () => {
    const seen: unknown[] = []
    const hub = await createHub({
      trustedProxies: ['127.0.0.1'],
      auth: {
        authenticate({ address, origin }) {
          seen.push([address, origin])
          return { subject: 'somebody', permissions: { admin: true } }
        },
      },
    })
    await hub.attach(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
    expect(await upgrade(port, { origin: 'https://evil.example' })).toBe('403')
    const peer = await Peer.open(`ws://127.0.0.1:${port}/`, undefined, {
      origin: 'http://localhost:1',
      'x-forwarded-for': '203.0.113.9',
    })
    peer.send({ type: 'hello' })
    await peer.next('welcome')
    expect(seen).toEqual([['203.0.113.9', 'http://localhost:1']])
    peer.socket.terminate()
    const headers = { origin: 'https://evil.example' }
    expect((await hub.fetch(new Request('http://hub/v1/queues', { headers }))).status).toBe(403)
    expect((await hub.fetch(new Request('http://hub/v1/queues'))).status).toBe(200)
    await hub.close()
  })
})

it.each([
  [{ allowedOrigins: ['app.example.com'] }, 'allowedOrigins.0 must be an origin'],
  [{ allowedOrigins: ['https://app.example.com/'] }, 'allowedOrigins.0 must be an origin'],
  [{ allowedOrigins: ['https://*.example.com'] }, 'allowedOrigins.0 must be an origin'],
  [{ trustedProxies: ['proxy'] }, 'trustedProxies.0 must be an address or a network'],
  [{ trustedProxies: ['10.0.0.0/33'] }, 'trustedProxies.0 must be an address or a network'],
  [{ trustedProxies: ['10.0.0.0/8/8'] }, 'trustedProxies.0 must be an address or a network'],
])('a hub with %o does not start', async (options, words) => {
  await expect(startHub(options)).rejects.toThrow(words)
})
