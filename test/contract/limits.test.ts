import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { WebSocket } from 'ws'
import type { HubOptions } from '../../server/index.ts'
import { LIMIT_HITS } from '../../server/limit/limits.ts'
import { parseExposition } from '../setup/exposition.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { keptLog } from '../setup/kept-log.ts'
import { Peer } from '../setup/peer.ts'

async function published(http: string) {
  const family = parseExposition(await (await fetch(`${http}/metrics`)).text()).get('fanfare_messages_published_total')
  return family?.samples[0] ?? { value: -1 }
}

async function hits(http: string): Promise<Record<string, number>> {
  const family = parseExposition(await (await fetch(`${http}/metrics`)).text()).get('fanfare_limit_hits_total')
  return Object.fromEntries((family?.samples ?? []).map(({ labels, value }) => [labels['limit'], value]))
}

async function refused(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; retryAfter: string | undefined; text: string }> {
  const socket = new WebSocket(url, ['fanfare.v1'], { headers })
  socket.on('error', () => {})
  const [, response] = await once(socket, 'unexpected-response')
  const chunks: Buffer[] = await response.toArray()
  return {
    status: response.statusCode,
    retryAfter: response.headers['retry-after'],
    text: Buffer.concat(chunks).toString(),
  }
}

const publish = (seq: number, topic = 'a') => ({ type: 'publish', seq, topic, data: 'x'.repeat(100) })
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n + 1)

onEveryEngine('limits', (hubs) => {
  it('has a metric for each, from the beginning', async () => {
    const { http } = await hubs.start()
    expect(await hits(http)).toEqual(Object.fromEntries(LIMIT_HITS.map((limit) => [limit, 0])))
  })

  it('compresses nothing by default, whatever is offered', async () => {
    const { url } = await hubs.start()
    const socket = new WebSocket(url, ['fanfare.v1'], { perMessageDeflate: { threshold: 0 } })
    const [[response]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'open')])
    expect(response.headers['sec-websocket-extensions']).toBeUndefined()
    expect(socket.extensions).toBe('')
    socket.terminate()
  })

  it('compresses when enabled, and each message reaches all clients intact', async () => {
    const { url } = await hubs.start({ compression: 'on' })
    const [plain, packed] = [await Peer.hello(url, { compression: false }), await Peer.hello(url)]
    expect([plain.socket.extensions, packed.socket.extensions]).toEqual(['', 'permessage-deflate'])
    for (const peer of [plain, packed]) await peer.subscribe(1, '#')
    // Small and large, compressible and not, in both directions; in one write and in several.
    const texts = ['short', 'x'.repeat(2000), 'é'.repeat(6000), 'long '.repeat(2500), randomBytes(3000).toString('hex')]
    for (const [n, data] of texts.entries()) {
      packed.send({ type: 'publish', seq: n, topic: 'packed', data })
      plain.send({ type: 'publish', seq: n, topic: 'plain', data })
    }
    for (const peer of [plain, packed]) {
      const got: Record<string, unknown[]> = { plain: [], packed: [] }
      for (let n = 0; n < 2 * texts.length; n++) {
        const { topic, data } = await peer.next('message')
        got[topic]?.push(data)
      }
      expect(got).toEqual({ plain: texts, packed: texts })
    }
    expect(packed.bytesRead).toBeLessThan(plain.bytesRead / 2)
  })

  it('refuses what is too large when it is unpacked', async () => {
    const { url, http } = await hubs.start({ compression: 'on' })
    const other = await Peer.hello(url)
    const bomb = await Peer.hello(url)
    const zeros = Buffer.alloc(20_000_000)
    bomb.socket.send(zeros)
    expect((await bomb.closed).code).not.toBe(1000)
    expect(await other.settled()).toEqual([])
    expect((await fetch(`${http}/healthz`)).status).toBe(200)
  })

  it('refuses a connection beyond maxConnections', async () => {
    const { url, http } = await hubs.start({ maxConnections: 2 })
    const [first, second] = [await Peer.hello(url), await Peer.hello(url)]
    expect(await refused(url)).toEqual({ status: 503, retryAfter: '1', text: expect.stringMatching('^hub_full: ') })
    expect(await hits(http)).toMatchObject({ maxConnections: 1 })
    // The existing ones are not affected.
    expect(await second.settled()).toEqual([])
    first.socket.close()
    await first.closed
    const letIn = () =>
      Peer.hello(url).then(
        () => true,
        () => false,
      )
    await expect.poll(letIn, { interval: 200 }).toBe(true)
  })

  it.each([
    ['connectionsPerAddress', { connectionsPerAddress: 2 }, 2],
    // While ten connect, two seconds may pass on a slow machine.
    ['connectsPerSecondPerAddress', { connectsPerSecondPerAddress: 2, connectionsPerAddress: 0 }, 6],
  ] as const)('refuses connections of an address beyond %s', async (limit, options, most) => {
    // A trusted proxy reports the client addresses.
    const { url, http } = await hubs.start({
      ...options,
      trustedProxies: ['127.0.0.1'],
      auth: { anonymous: 'allow' },
    })
    const open = (address: string) =>
      Peer.open(url, undefined, { 'x-forwarded-for': address }).then(
        () => 'open',
        ({ message }: Error) => message,
      )
    const tooMany = 'Unexpected server response: 429'
    for (const addressOf of [
      () => '198.51.100.7',
      (n: number) => (n % 2 ? '198.51.100.8' : '::ffff:198.51.100.8'),
      // A client with one IPv6 address has a whole network of them.
      (n: number) => `2001:db8::${n}:0:0:1`,
      // With the port of each connection; and if no proxy reports the address.
      (n: number) => `198.51.100.9:${n + 50_000}`,
      (n: number) => ['unknown', '_hidden', 'unix:', 'nonsense', ''][n % 5] as string,
    ]) {
      const tried = await Promise.all(Array.from({ length: 10 }, (_, n) => open(addressOf(n + 1))))
      expect(tried.filter((result) => result === 'open').length).toBeLessThanOrEqual(most)
      expect(tried.filter((result) => result !== 'open' && result !== tooMany)).toEqual([])
    }
    expect(await open('2001:db8:0:1::1')).toBe('open')
    expect((await hits(http))[limit]).toBeGreaterThan(0)
    // Connections from the proxy's own machine have no such limit.
    const own = await Promise.all(Array.from({ length: 10 }, () => Peer.open(url)))
    expect(own).toHaveLength(10)
  })

  it('reports each kind of refusal to the operator once, and counts each', async () => {
    const kept = keptLog()
    const auth = { anonymous: 'allow' } as const
    const options = { connectionsPerAddress: 1, maxConnections: 3, trustedProxies: ['127.0.0.1'], auth }
    const { url, http } = await hubs.start(options, kept.log)
    const from = (address: string) => ({ 'x-forwarded-for': address })
    await Peer.open(url, undefined, from('198.51.100.7'))
    for (let n = 0; n < 3; n++) expect((await refused(url, from('198.51.100.7'))).status).toBe(429)
    for (let n = 0; n < 3; n++) expect((await refused(url, { origin: 'https://evil.example' })).status).toBe(403)
    const evil = await fetch(`${http}/v1/queues`, { headers: { origin: 'https://evil.example' } })
    expect(evil.status).toBe(403)
    for (const last of [8, 9]) await Peer.open(url, undefined, from(`198.51.100.${last}`))
    for (let n = 0; n < 3; n++) expect((await refused(url, from('198.51.100.10'))).status).toBe(503)
    const lines = kept.lines.filter(({ msg }) => msg === 'refused')
    expect(lines.map(({ reason, address, origin }) => [reason, address ?? origin])).toEqual([
      ['connectionsPerAddress', '198.51.100.7'],
      ['forbidden_origin', 'https://evil.example'],
      ['maxConnections', '198.51.100.10'],
    ])
    expect(await hits(http)).toMatchObject({ connectionsPerAddress: 3, maxConnections: 3 })
    const errors = parseExposition(await (await fetch(`${http}/metrics`)).text()).get('fanfare_errors_total')
    const count = (code: string) => errors?.samples.find(({ labels }) => labels['code'] === code)?.value
    expect([count('address_limit'), count('hub_full'), count('forbidden_origin')]).toEqual([3, 3, 4])
  })

  it('reports when to come back to a client whose connection it refuses', async () => {
    const { url, http } = await hubs.start({
      connectionsPerAddress: 1,
      trustedProxies: ['127.0.0.1'],
      auth: { anonymous: 'allow' },
    })
    const headers = { 'x-forwarded-for': '198.51.100.7' }
    await Peer.open(url, undefined, headers)
    const text = expect.stringMatching('^address_limit: ')
    expect(await refused(url, headers)).toEqual({ status: 429, retryAfter: '1', text })
    const answer = await fetch(`${http}/v1/topics/a`, { method: 'POST', headers })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '1'])
  })

  const messages: [string, HubOptions, boolean][] = [
    ['messagesPerSecond', { messagesPerSecond: 5 }, false],
    ['bytesPerSecond', { bytesPerSecond: 2000, frameBytes: 1000 }, false],
    ['identityMessagesPerSecond', { identityMessagesPerSecond: 5 }, true],
    ['identityBytesPerSecond', { identityBytesPerSecond: 2000, frameBytes: 1000 }, true],
  ]
  it.each(messages)('refuses frames beyond %s', async (limit, options, shared) => {
    const authenticate = ({ headers }: { headers: Readonly<Record<string, string>> }) => ({
      subject: headers['x-subject'] ?? 'operator',
      permissions: { admin: true },
    })
    const { url, http } = await hubs.start({ auth: { authenticate }, ...options })
    const open = (subject: string) => Peer.open(url, ['fanfare.v1'], { 'x-subject': subject })
    const [peer, other] = [await open('ann'), await open('ben')]
    for (const each of [peer, other]) {
      each.send({ type: 'hello' })
      await each.next('welcome')
    }
    for (const seq of numbers(30)) peer.send(publish(seq))
    const answers = await peer.settled()
    const errors = answers.filter((frame) => frame.type === 'error')
    expect(errors.length).toBeGreaterThan(0)
    for (const error of errors)
      expect(error).toMatchObject({ code: 'rate_limited', retry: true, seq: expect.any(Number) })
    expect(errors[0]?.message).toContain(limit)
    expect(await hits(http)).toMatchObject({ [limit]: errors.length })
    // Another identity is not affected; another connection of the same one is, if it is the identity's limit.
    other.send(publish(1))
    await other.next('receipt')
    const again = await open('ann')
    again.send({ type: 'hello' })
    await again.next('welcome')
    for (const seq of numbers(shared ? 30 : 2)) again.send(publish(seq))
    const last = await again.settled()
    if (shared) expect(last.some((frame) => frame.type === 'error' && frame.code === 'rate_limited')).toBe(true)
    else expect(last.every(({ type }) => type === 'receipt')).toBe(true)
    // After a while it may send again, on the same connection.
    let seq = 100
    await expect
      .poll(
        async () => {
          peer.send(publish(++seq))
          return (await peer.settled()).some(({ type }) => type === 'receipt')
        },
        { interval: 300 },
      )
      .toBe(true)
  })

  it('counts a request that publishes as one message: some of it, all of it, or a flood', async () => {
    const { http } = await hubs.start({ messagesPerSecond: 10 })
    const post = (count: number) =>
      fetch(`${http}/v1/publish`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(Array(count).fill({ topic: 'a' })),
      })
    const some = await post(30)
    const results = (await some.json()) as { code?: string }[]
    expect(some.status).toBe(207)
    expect(results.map(({ code }) => code)).toEqual([...Array(10).fill(undefined), ...Array(20).fill('rate_limited')])
    const flood = await post(500)
    expect([flood.status, await flood.json()]).toMatchObject([429, { code: 'flooding', retry: true }])
    expect(await hits(http)).toMatchObject({ messagesPerSecond: 20 })
    const { value } = await published(http)
    expect(value).toBe(10)
  })

  it('counts for an identity what comes in requests and in the first message of each connection', async () => {
    const authenticate = () => ({ subject: 'ann', permissions: { admin: true } })
    const { url, http } = await hubs.start({ auth: { authenticate }, identityMessagesPerSecond: 5 })
    // As many at once as in a second, and then those of the elapsed time.
    const since = performance.now()
    const most = () => 5 + 5 * ((performance.now() - since) / 1000)
    const statuses: number[] = []
    for (const _ of numbers(30)) {
      const answer = await fetch(`${http}/v1/topics/a`, { method: 'POST', body: 'x' })
      statuses.push(answer.status)
      await answer.arrayBuffer()
    }
    expect(new Set(statuses)).toEqual(new Set([200, 429]))
    const taken = statuses.filter((status) => status === 200).length
    expect(taken).toBeLessThanOrEqual(most())
    const answers: string[] = []
    for (const _ of numbers(5)) {
      const peer = await Peer.open(url)
      peer.send(...numbers(10).map((seq) => publish(seq)))
      await peer.settled()
      answers.push(...peer.frames.map(({ type }) => type))
      peer.socket.close()
      await peer.closed
    }
    expect(answers.filter((type) => type === 'receipt' || type === 'error')).toHaveLength(50)
    expect(taken + answers.filter((type) => type === 'receipt').length).toBeLessThanOrEqual(most())
  })

  it('accepts the part of a batch that is within the limit, and acks beyond it', async () => {
    const { url } = await hubs.start({ messagesPerSecond: 10, queues: [{ name: 'q' }] })
    const peer = await Peer.hello(url)
    peer.send({ type: 'consume', consumer: 1, queue: 'q', prefetch: 5 }, publish(1, '$queue.q'))
    const { delivery } = await peer.next('delivery')
    peer.send(...numbers(20).map((n) => publish(n + 1)), { type: 'ack', consumer: 1, delivery })
    await peer.next('settled')
    await peer.settled()
    const answers = peer.frames
    const done = answers.flatMap((frame) => (frame.type === 'receipt' ? [frame.seq] : []))
    expect(answers.filter((frame) => frame.type === 'error' && frame.code !== 'rate_limited')).toEqual([])
    const limited = answers.flatMap((frame) => (frame.type === 'error' ? [frame.seq as number] : []))
    expect(Math.min(...limited)).toBeGreaterThan(Math.max(...done))
  })

  it('ends the connection of a client that goes on, and no other', async () => {
    const { url } = await hubs.start({ messagesPerSecond: 20 })
    const [peer, other] = [await Peer.hello(url), await Peer.hello(url)]
    for (const seq of numbers(600)) peer.send(publish(seq))
    expect((await peer.closed).code).toBe(4005)
    expect(peer.frames.at(-1)).toMatchObject({ type: 'error', code: 'flooding', retry: true })
    other.send(publish(1))
    await other.next('receipt')
  })

  it('refuses subscriptions beyond subscribesPerSecond', async () => {
    const { url, http } = await hubs.start({ subscribesPerSecond: 1, subscriptions: 3 })
    const [peer, other] = [await Peer.hello(url), await Peer.hello(url)]
    // All in one message: nothing is replenished meanwhile.
    const subscribes = numbers(4).map((sub) => ({ type: 'subscribe', sub, pattern: 'a' }))
    peer.send(...subscribes.slice(0, 3), { type: 'unsubscribe', sub: 1 }, ...subscribes.slice(3))
    expect(await peer.next('error')).toMatchObject({ code: 'rate_limited', sub: 4 })
    expect(await hits(http)).toMatchObject({ subscribesPerSecond: 1 })
    await other.subscribe(1, 'a')
    await expect
      .poll(
        async () => {
          peer.send({ type: 'subscribe', sub: 4, pattern: 'a' })
          return (await peer.settled()).some(({ type }) => type === 'subscribed')
        },
        { interval: 200 },
      )
      .toBe(true)
  })
})
