import { expect, it } from 'vitest'
import type { QueueInfo } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { QueueReader } from '../setup/queues.ts'
import { Reader } from '../setup/reader.ts'
import { range, streamWorlds } from '../setup/streams.ts'

onEveryEngine('administration of queues', (hubs) => {
  const start = streamWorlds(hubs)

  it('publishes the status of a queue on $sys.queues.<name>', async () => {
    const { client } = await start({ queues: [{ name: 'q' }] })
    const publisher = client()
    const idle = client()
    await Promise.all(range(0, 5).map((n) => publisher.enqueue('q', n)))
    const [held, acked] = await new QueueReader(idle, 'q', { prefetch: 2 }).take(2)
    await acked?.ack()
    const watch = new Reader<QueueInfo>(client().subscribe('$sys.queues.q') as never)
    const said = await watch.next()
    expect(said.data).toMatchObject({
      name: 'q',
      depth: 2,
      inFlight: 2,
      publishedTotal: 5,
      ackedTotal: 1,
      consumers: 1,
    })
    expect(said.data.oldestAgeMs).toBeGreaterThan(0)
    await held?.reject()
    await publisher.enqueue('q', 5)
    let next = await watch.next()
    while (next.data.publishedTotal < 6 || next.data.deadLetters < 1) next = await watch.next()
    expect(next.data.publishedPerSecond).toBeGreaterThan(0)
    expect(next.data.wantedConsumers).toBeGreaterThan(0)
    expect(next.data.growing).toBe(false)
  })

  it('finds a queue declared whatever the order of the keys in its options', async () => {
    const { client } = await start()
    const { queues } = client().admin
    const binding = (all: Record<string, string>) => ({ name: 'q', bindings: [{ topic: 'a', match: { all } }] })
    await queues.declare(binding({ kind: 'jpeg', size: 'large' }))
    await expect(queues.declare(binding({ size: 'large', kind: 'jpeg' }))).resolves.toMatchObject({ name: 'q' })
    await expect(queues.declare(binding({ size: 'small', kind: 'jpeg' }))).rejects.toMatchObject({
      code: 'queue_exists',
    })
  })

  it('finds a queue or stream declared whatever the order of its bindings or topics', async () => {
    const { client } = await start()
    const { queues, streams } = client().admin
    const jpeg = { topic: 'a', match: { any: { kind: 'jpeg', size: 'large' } } }
    const sizes = { topic: 'a', match: { any: { size: 'large', kind: 'jpeg' } } }
    await queues.declare({ name: 'q', bindings: [jpeg, { topic: 'b' }] })
    for (const bindings of [
      [{ topic: 'b' }, sizes],
      [sizes, { topic: 'b' }, jpeg],
    ])
      await expect(queues.declare({ name: 'q', bindings })).resolves.toMatchObject({ name: 'q' })
    for (const bindings of [[jpeg], [jpeg, { topic: 'c' }], [{ topic: 'a' }, { topic: 'b' }]])
      await expect(queues.declare({ name: 'q', bindings })).rejects.toMatchObject({ code: 'queue_exists' })
    await streams.declare({ name: 'letters', topics: ['a.#', 'b'] })
    await expect(streams.declare({ name: 'letters', topics: ['b', 'a.#', 'b'] })).resolves.toMatchObject({
      name: 'letters',
    })
    await expect(streams.declare({ name: 'letters', topics: ['a.#'] })).rejects.toMatchObject({ code: 'stream_exists' })
  })

  it('does over HTTP what a client can', async () => {
    const { hub, client } = await start({ queues: [{ name: 'q' }] })
    const base = `http://127.0.0.1:${hub.port}/v1/queues`
    const get = async (path: string) => (await fetch(base + path)).json()
    const post = async (path: string, body?: object) => {
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(base + path, { method: 'POST', headers, body: JSON.stringify(body ?? {}) })
      return { status: answer.status, body: await answer.json() }
    }
    expect(await post('', { name: 'jobs', onDeadLetter: 'park' })).toMatchObject({ status: 201, body: { depth: 0 } })
    const publisher = client()
    for (const n of range(0, 4)) await publisher.enqueue('jobs', n, { key: n < 2 ? 'a' : 'b' })
    const reader = new QueueReader(client(), 'jobs')
    for (const delivery of await reader.take(2)) await delivery.reject('bad')
    await reader.close()
    expect(await get('')).toMatchObject([{ name: 'q' }, { name: 'jobs', depth: 2, parked: ['a', 'b'] }])
    expect(await get('/jobs')).toMatchObject({ depth: 2, deadLetters: 2 })
    expect(await get('/jobs/wanted-consumers')).toEqual({ queue: 'jobs', wantedConsumers: expect.any(Number) })
    expect(await get('/jobs/dead-letters?key=b&limit=5')).toMatchObject([{ error: 'bad', message: { data: 2 } }])
    expect(await post('/jobs/unpark', { key: 'a' })).toMatchObject({ status: 200 })
    expect(await post('/jobs/dead-letters/redrive', { filter: { key: 'a' }, to: 'q' })).toMatchObject({
      body: { count: 1 },
    })
    expect(await post('/jobs/dead-letters/purge')).toMatchObject({ body: { count: 1 } })
    expect(await post('/jobs/purge')).toMatchObject({ body: { count: 2 } })
    expect((await fetch(`${base}/jobs`, { method: 'DELETE' })).status).toBe(200)
    expect((await publisher.admin.queues.list()).map(({ name, depth }) => [name, depth])).toEqual([['q', 1]])
  })

  it('refuses over HTTP with a problem of the same table', async () => {
    const { hub } = await start({ queues: [{ name: 'q' }] })
    const base = `http://127.0.0.1:${hub.port}/v1/queues`
    const json = { 'content-type': 'application/json' }
    const refusals: [string, RequestInit | undefined, number, string][] = [
      ['/other', undefined, 404, 'no_queue'],
      ['/other/purge', { method: 'POST' }, 404, 'no_queue'],
      ['/q/unpark', { method: 'POST', headers: json, body: '{"key":"k"}' }, 404, 'no_parked_group'],
      ['/q/unpark', { method: 'POST' }, 400, 'bad_params'],
      ['/q/dead-letters?reason=none', undefined, 400, 'bad_params'],
      ['/q/dead-letters?limit=x', undefined, 400, 'bad_params'],
      ['/q/dead-letters/redrive', { method: 'POST', headers: json, body: '{' }, 400, 'not_json'],
      ['/q/dead-letters/redrive', { method: 'POST', body: '{"to":"q"}' }, 415, 'bad_content_type'],
      ['', { method: 'POST', headers: json, body: '[]' }, 400, 'bad_params'],
      ['', { method: 'POST', headers: json, body: '{"name":"q","maxAttempts":1}' }, 409, 'queue_exists'],
    ]
    for (const [path, init, status, code] of refusals) {
      const answer = await fetch(base + path, init)
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
      expect(await answer.json()).toMatchObject({ type: 'about:blank', status, code, detail: expect.any(String) })
      expect(answer.status).toBe(status)
    }
  })
})
