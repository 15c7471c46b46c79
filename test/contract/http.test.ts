import { connect as connectTcp } from 'node:net'
import { beforeAll, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import type { Hub } from '../../server/index.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { range } from '../setup/streams.ts'

type Json = Record<string, unknown>

const JSON_TYPE = { 'content-type': 'application/json' }

onEveryEngine('the HTTP API', (hubs) => {
  let hub: Hub
  let http: string
  let url: string

  beforeAll(async () => {
    const started = await hubs.start({ queues: [{ name: 'full', maxMessages: 1, overflow: 'block' }], window: 16 })
    hub = started.hub
    url = started.url
    http = `${started.http}/v1`
  })

  function ask(path: string, method: string, body?: unknown, headers: Record<string, string> = JSON_TYPE) {
    return fetch(http + path, { method, ...(body !== undefined && { body: JSON.stringify(body), headers }) })
  }

  it('publishes the same message as a client, of whatever kind', async () => {
    const client = connect(url)
    const messages = client.subscribe('kinds.#')
    await messages.ready
    const binary = { 'content-type': 'image/png' }
    const post = (path: string, init: RequestInit) => fetch(http + path, { method: 'POST', ...init })
    await post('/topics/kinds.json?key=k&header=kind=a%3Db&expiresAt=99999999999999', {
      body: '[1]',
      headers: JSON_TYPE,
    })
    await post('/topics/kinds.bytes?id=own', { body: new Uint8Array([0, 255]), headers: binary })
    await post('/topics/kinds.none', {})
    await post('/topics/kinds.%2Fa%40b', {
      body: '"é"',
      headers: { 'content-type': 'application/json; charset=utf-8' },
    })
    const got: unknown[] = []
    for await (const { topic, data, id, key, headers, expiresAt } of messages) {
      got.push([topic, data, ...(id === 'own' ? [id] : []), ...(key ? [key, headers, expiresAt] : [])])
      if (got.length === 4) break
    }
    expect(got).toEqual([
      ['kinds.json', [1], 'k', { kind: 'a=b' }, 99999999999999],
      ['kinds.bytes', new Uint8Array([0, 255]), 'own'],
      ['kinds.none', undefined],
      ['kinds./a@b', 'é'],
    ])
    await client.close()
  })

  it.each([
    ['30m', 30 * 60_000],
    [90_000, 90_000],
    ['1.5h', 90 * 60_000],
  ])('delays for %j in a body and in a query', async (delay, ms) => {
    const client = connect(url)
    const name = `delays-${ms}`
    await client.admin.queues.declare({ name, bindings: [{ topic: name }] })
    const inOneHour = new Date(Date.now() + 3_600_000).toISOString()
    expect((await ask('/publish', 'POST', { topic: name, delay, expiresAt: inOneHour })).status).toBe(200)
    expect((await ask(`/topics/${name}?delay=${delay}&expiresAt=${inOneHour}`, 'POST')).status).toBe(200)
    expect((await ask('/publish', 'POST', { topic: name, deliverAt: inOneHour })).status).toBe(200)
    expect(await client.admin.queues.show(name)).toMatchObject({ ready: 0, delayed: 3 })
    await client.close()
  })

  it.each([
    [{ delay: 'soon' }, /^delay must be .*"soon"/],
    [{ delay: '-1s' }, /^delay must be .*"-1s"/],
    [{ delay: '400d' }, /^delay must be at most 366 days.*"400d"/],
    [{ delay: 400 * 86_400_000 }, /^delay must be at most 366 days.*34560000000/],
    [{ delayMs: 5 }, /Use "delay"/],
    [{ deliverAt: 'tomorrow' }, /^deliverAt must be .*"tomorrow"/],
    [{ expiresAt: '2026' }, /^expiresAt must be .*"2026"/],
  ])('refuses a publish with %j', async (fields, words) => {
    const answer = await ask('/publish', 'POST', { topic: 't', ...fields })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'bad_frame', detail: expect.stringMatching(words) })
  })

  it.each(['application/cloudevents+json', 'text/json', 'Application/JSON;charset=UTF-8', 'application/vnd.api+json'])(
    'accepts %s as JSON wherever it takes a body',
    async (type) => {
      const client = connect(url)
      const messages = client.subscribe('typed')
      await messages.ready
      const post = (path: string, body: string) =>
        fetch(http + path, { method: 'POST', headers: { 'content-type': type }, body })
      expect((await post('/topics/typed', '{"n":1}')).status).toBe(200)
      expect((await post('/publish', '{"topic":"typed","data":{"n":2}}')).status).toBe(200)
      expect((await post('/queues', '{"name":"typed"}')).status).toBe(201)
      const got: unknown[] = []
      for await (const { data } of messages) if (got.push(data) === 2) break
      expect(got).toEqual([{ n: 1 }, { n: 2 }])
      await client.close()
    },
  )

  it('refuses a body of another type, and names it and the expected one', async () => {
    const post = (path: string, type: string | undefined) =>
      fetch(http + path, {
        method: 'POST',
        headers: type === undefined ? {} : { 'content-type': type },
        body: new TextEncoder().encode('{"name":"a","topic":"a"}'),
      })
    for (const [path, type, words] of [
      ['/topics/a', 'application/x-www-form-urlencoded', /\(got application\/x-www-form-urlencoded\)\.$/],
      ['/topics/a', 'multipart/form-data; boundary=x', /application\/octet-stream for bytes/],
      ['/queues/q/messages', 'application/x-www-form-urlencoded', /^The content type of the body must be .*\(got /],
      ['/publish', 'text/plain', /must be application\/json \(got text\/plain\)/],
      ['/publish', undefined, /\(it has none\)\.$/],
      ['/queues', 'application/x-www-form-urlencoded', /^The content type of the body must be .*\(got /],
      ['/streams', 'application/jsonx', /^The content type of the body must be .*\(got /],
    ] as const) {
      const refused = await post(path, type)
      expect([refused.status, await refused.json()], `${path} ${type}`).toMatchObject([
        415,
        { code: 'bad_content_type', detail: expect.stringMatching(words) },
      ])
    }
  })

  it('ignores query parameters that others add to a URL', async () => {
    for (const path of ['/topics/a', '/publish', '/queues']) {
      const body = path === '/queues' ? { name: 'others' } : { topic: 'a' }
      expect((await ask(`${path}?_=1&utm_source=mail`, 'POST', body)).ok, path).toBe(true)
    }
    expect((await ask('/streams?_=1795550000', 'GET')).status).toBe(200)
    expect((await ask('/topics?limit=1&limit=2', 'GET')).status).toBe(400)
  })

  it('answers a refused batch briefly, and serves others in between', async () => {
    const many = await ask(
      '/publish',
      'POST',
      range(0, 10_001).map(() => ({})),
    )
    expect([many.status, ((await many.json()) as Json)['code']]).toEqual([400, 'bad_frame'])
    let answered = false
    const all = ask(
      '/publish',
      'POST',
      range(0, 10_000).map(() => ({})),
    ).then(async (answer) => {
      answered = true
      return (await answer.json()) as { code: string; detail: string }[]
    })
    let between = 0
    while (!answered && (await ask('/streams', 'GET')).ok) between++
    const problems = await all
    expect(problems).toHaveLength(10_000)
    expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(['bad_frame']))
    expect(problems.filter(({ detail }) => detail !== '')).toHaveLength(100)
    expect(between).toBeGreaterThan(1)
  })

  it('answers each message of a batch separately, even beyond the window, and repeats nothing under one key', async () => {
    await ask('/streams', 'POST', { name: 'batch', topics: ['batch.#'] })
    const batch = range(0, 100).map((n) => (n % 10 === 3 ? { topic: 'a..b' } : { topic: 'batch.a', data: n }))
    const keyed = { ...JSON_TYPE, 'idempotency-key': '"order-7"' }
    const first = await ask('/publish', 'POST', batch, keyed)
    expect(first.status).toBe(207)
    const results = (await first.json()) as { id?: string; code?: string; positions?: Json }[]
    expect(results.map(({ id, code }) => code ?? id)).toEqual(
      range(0, 100).map((n) => (n % 10 === 3 ? 'bad_topic' : `order-7.${n}`)),
    )
    const again = (await (await ask('/publish', 'POST', batch, keyed)).json()) as { duplicate?: boolean }[]
    expect(again.filter(({ duplicate }) => duplicate)).toHaveLength(90)
    expect((await (await ask('/streams/batch', 'GET')).json()).next).toBe(90)
    expect((await ask('/publish', 'POST', [{ topic: 'batch.a', id: 'own' }], keyed)).status).toBe(200)
    const own = await ask('/topics/batch.a', 'POST', 1, { ...JSON_TYPE, 'idempotency-key': 'own' })
    expect(await own.json()).toMatchObject({ id: 'own', duplicate: true })
    const pages: unknown[] = []
    for (let from = 0, end = false; !end; ) {
      const page = await (await ask(`/streams/batch/messages?from=${from}&limit=40`, 'GET')).json()
      pages.push(...page.messages.map(({ data }: { data: unknown }) => data))
      ;({ next: from, end } = page)
    }
    expect(pages).toEqual([...range(0, 100).filter((n) => n % 10 !== 3), undefined])
  })

  it('refuses only the invalid messages of a batch: a forbidden key, too many levels, not an object', async () => {
    const deep = `${'['.repeat(101)}${']'.repeat(101)}`
    const items = ['{"topic":"a","data":1}', '{"topic":"a","data":{"__proto__":1}}', `{"topic":"a","data":${deep}}`]
    items.push('"text"', 'null', '[{"constructor":{"prototype":1}}]', '{"topic":"a","data":2}')
    for (const headers of [JSON_TYPE, { ...JSON_TYPE, 'idempotency-key': 'mixed' }]) {
      const answer = await fetch(`${http}/publish`, { method: 'POST', headers, body: `[${items.join(',')}]` })
      expect(answer.status).toBe(207)
      const results = (await answer.json()) as { id?: string; code?: string }[]
      const expected = [
        undefined,
        'forbidden_key',
        'nested_too_deeply',
        'bad_frame',
        'bad_frame',
        'forbidden_key',
        undefined,
      ]
      expect(results.map(({ code }) => code)).toEqual(expected)
      expect(results.filter(({ id }) => id !== undefined)).toHaveLength(2)
      const alone = await fetch(`${http}/publish`, { method: 'POST', headers, body: items[1] as string })
      expect([alone.status, ((await alone.json()) as Json)['code']]).toEqual([400, 'forbidden_key'])
    }
  })

  it('a publish that waits for room waits with its request, and is withdrawn when the client leaves', async () => {
    expect((await ask('/queues/full/messages', 'POST', 1)).status).toBe(200)
    const stop = new AbortController()
    const waiting = fetch(`${http}/queues/full/messages`, {
      method: 'POST',
      body: '2',
      headers: JSON_TYPE,
      signal: stop.signal,
    })
    const waitingPublishes = async () => metric(await (await fetch(`${http}/../metrics`)).text(), 'waiting_publishes')
    await expect.poll(waitingPublishes).toBe(1)
    stop.abort()
    await expect(waiting).rejects.toThrow()
    await expect.poll(waitingPublishes).toBe(0)
  })

  it('answers a publish that waits for room when the hub closes', async () => {
    const closing = await hubs.start({ queues: [{ name: 'full', maxMessages: 1, overflow: 'block' }] })
    const publish = () => fetch(`${closing.http}/v1/queues/full/messages`, { method: 'POST', body: 'x' })
    expect((await publish()).status).toBe(200)
    const waiting = publish()
    const metrics = async () => metric(await (await fetch(`${closing.http}/metrics`)).text(), 'waiting_publishes')
    await expect.poll(metrics).toBe(1)
    const [answer] = await Promise.all([waiting, closing.hub.close()])
    expect(await codeOf(answer)).toEqual([503, 'connection_lost'])
  })

  it('publishes without a connection that others would see and count', async () => {
    const quiet = await hubs.start()
    const body = JSON.stringify(range(0, 300).map((n) => ({ topic: 'counted', data: n })))
    const { status } = await fetch(`${quiet.http}/v1/publish`, { method: 'POST', headers: JSON_TYPE, body })
    expect(status).toBe(200)
    const metrics = await (await fetch(`${quiet.http}/metrics`)).text()
    expect(metric(metrics, 'connections_opened_total')).toBe(0)
    expect(metric(metrics, 'messages_published_total')).toBe(300)
    expect(metric(metrics, 'received_bytes_total')).toBeGreaterThan(body.length)
  })

  it('refuses bodies that are too large before it has received them, and garbage', async () => {
    const post = (body: BodyInit, headers: Record<string, string> = JSON_TYPE, path = '/publish') =>
      fetch(http + path, { method: 'POST', body, headers, duplex: 'half' } as RequestInit)
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
    })
    expect(await codeOf(await post(endless, {}, '/topics/a'))).toEqual([413, 'frame_too_large'])
    expect(await codeOf(await post(`"${'x'.repeat(300_000)}"`))).toEqual([413, 'frame_too_large'])
    const deep = '['.repeat(50_000) + ']'.repeat(50_000)
    const refused: [BodyInit, number, string][] = [
      ['{', 400, 'not_json'],
      ['', 400, 'not_json'],
      ['[]', 400, 'bad_frame'],
      ['5', 400, 'bad_frame'],
      ['null', 400, 'bad_frame'],
      [new Uint8Array([0x22, 0xff, 0x22]), 400, 'bad_utf8'],
      ['{"topic":"a","data":{"__proto__":1}}', 400, 'forbidden_key'],
      [`{"topic":"a","data":${deep}}`, 400, 'nested_too_deeply'],
      ['{"topic":"a","headers":{"a":1}}', 400, 'bad_frame'],
      ['{"topic":"a","id":"no spaces"}', 400, 'bad_frame'],
      ['{"topic":"a","priority":10}', 400, 'bad_frame'],
    ]
    for (const [body, ...expected] of refused) expect(await codeOf(await post(body)), `${body}`).toEqual(expected)
    expect(await codeOf(await post('1', { ...JSON_TYPE, 'idempotency-key': 'a b' }, '/topics/a'))).toEqual([
      400,
      'bad_frame',
    ])
    for (const raw of [
      'TRACE /v1/hub HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /v1/hub HTTP/1.1\r\nHost: [\r\n\r\n',
      'GET /v1/hub HTTP/1.1\r\nHost: a\r\nX: é\u{1f4a5}\r\n\r\n',
      'GET /v1/streams/%ff%zz HTTP/1.1\r\nHost: a\r\n\r\n',
      'POST /v1/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{',
    ]) {
      const socket = connectTcp(hub.port, '127.0.0.1')
      socket.on('error', () => {}).end(raw)
      await new Promise((resolve) => socket.resume().on('close', resolve))
    }
    expect((await ask('/hub', 'GET')).status).toBe(200)
    await expect.poll(() => hub.connectionCount).toBe(0)
  })

  it('applies the permissions of frames, to each message of a batch separately', async () => {
    const key = newApiKey()
    const permissions = { publish: ['mine.#'], subscribe: ['mine.#'] }
    const streams = ['mine', 'others'].map((name) => ({ name, topics: [`${name}.#`] }))
    const apiKeys = [{ name: 'ann', hash: hashApiKey(key), permissions }]
    const strict = await hubs.start({ streams, auth: { apiKeys, anonymous: 'deny' } })
    const bearer = { ...JSON_TYPE, authorization: `Bearer ${key}` }
    const asAnn = (path: string, init: RequestInit = {}) =>
      fetch(`${strict.http}/v1${path}`, { headers: bearer, ...init })
    expect((await fetch(`${strict.http}/v1/publish`, { method: 'POST' })).status).toBe(401)
    const body = JSON.stringify([{ topic: 'mine.a' }, { topic: 'others.a' }, { topic: 'mine.b' }])
    const batch = await asAnn('/publish', { method: 'POST', body })
    expect(batch.status).toBe(207)
    expect(await batch.json()).toMatchObject([{ positions: {} }, { code: 'forbidden', status: 403 }, { positions: {} }])
    const events = await asAnn('/events?pattern=mine.%23&from=earliest')
    expect(events.status).toBe(200)
    await events.body?.cancel()
    expect((await asAnn('/streams/mine/messages')).status).toBe(200)
    for (const path of [
      '/events?pattern=%23',
      '/events?pattern=mine.a&pattern=others.a',
      '/streams/others/messages',
      '/hub',
    ]) {
      expect(await codeOf(await asAnn(path)), path).toEqual([403, 'forbidden'])
    }
    await expect.poll(() => strict.hub.connectionCount).toBe(0)
  })

  it('opens no connection beyond the limits', async () => {
    const small = await hubs.start({ maxConnections: 1 })
    const events = await fetch(`${small.http}/v1/events?pattern=a`)
    const refused = await fetch(`${small.http}/v1/topics/a`, { method: 'POST' })
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(await codeOf(refused)).toEqual([503, 'hub_full'])
    expect(await codeOf(await fetch(`${small.http}/v1/events?pattern=a`))).toEqual([503, 'hub_full'])
    await events.body?.cancel()
    await expect.poll(async () => (await fetch(`${small.http}/v1/topics/a`, { method: 'POST' })).status).toBe(200)
  })

  it('answers 404 for unknown paths, and 405 with the allowed methods', async () => {
    expect(await codeOf(await ask('/nothing', 'GET'))).toEqual([404, 'no_route'])
    const refused = await ask('/streams/s', 'PUT', {})
    expect(refused.headers.get('allow')).toBe('GET, HEAD, DELETE')
    expect(await codeOf(refused)).toEqual([405, 'method_not_allowed'])
    const head = await ask('/streams', 'HEAD')
    expect([head.status, await head.text()]).toEqual([200, ''])
  })
})

async function codeOf(answer: Response): Promise<[number, string]> {
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  return [answer.status, ((await answer.json()) as { code: string }).code]
}

/** The value of a metric that has no labels. */
function metric(metrics: string, name: string): number {
  return Number(metrics.match(new RegExp(`^fanfare_${name} (.*)$`, 'm'))?.[1])
}
