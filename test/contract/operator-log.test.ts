import { expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { keptLog } from '../setup/kept-log.ts'
import { QueueReader } from '../setup/queues.ts'
import { range } from '../setup/streams.ts'

const [root, guest] = [newApiKey(), newApiKey()]
const auth = {
  roles: { operator: { admin: true } },
  apiKeys: [
    { name: 'root', hash: hashApiKey(root), role: 'operator' },
    { name: 'guest', hash: hashApiKey(guest), permissions: { subscribe: ['photos.#'] } },
  ],
}

onEveryEngine('the log of operator acts', (hubs) => {
  async function start() {
    const { log, lines } = keptLog()
    const started = await hubs.start({ auth, queues: [{ name: 'jobs', maxAttempts: 1 }] }, log)
    const acts = () =>
      lines
        .filter(({ msg }) => msg.startsWith('operator act'))
        .map(({ level: _, time: __, pid: ___, hostname: ____, ...rest }) => rest)
    return { ...started, acts, client: (token: string) => connect(started.url, { token }) }
  }

  it('has a line for each act that changed something: who, from where, what, and how much', async () => {
    const { acts, client } = await start()
    const operator = client(root)
    await operator.ready()
    for (const n of range(0, 6)) await operator.enqueue('jobs', n)
    for (const delivery of await new QueueReader(operator, 'jobs', { prefetch: 3 }).take(3))
      await delivery.reject('broken')
    await operator.admin.queues.deadLetters.redrive('jobs', { letters: [0] })
    await operator.admin.queues.deadLetters.purge('jobs', { error: 'broken' })
    const declared = { name: 'orders', topics: ['orders.#'] }
    await operator.admin.streams.declare(declared)
    // It exists already: nothing changes.
    await operator.admin.streams.declare(declared)
    for (const n of range(0, 4)) await operator.publish('orders.new', n)
    await operator.admin.streams.trim('orders', 3)
    await operator.admin.streams.delete('orders')
    const other = client(guest)
    await other.ready()
    const { connections } = await operator.admin.connections.list()
    const id = connections.at(-1)?.connection as string
    await operator.admin.connections.disconnect(id)
    await operator.admin.queues.delete('jobs')
    const by = { subject: 'root', address: '127.0.0.1', connection: connections[0]?.connection, msg: 'operator act' }
    expect(acts()).toEqual([
      { ...by, method: 'deadLetters.redrive', params: { name: 'jobs', filter: { letters: [0] } }, count: 1 },
      { ...by, method: 'deadLetters.purge', params: { name: 'jobs', filter: { error: 'broken' } }, count: 2 },
      { ...by, method: 'streams.declare', params: declared },
      { ...by, method: 'streams.trim', params: { name: 'orders', before: 3 }, offsets: 3 },
      { ...by, method: 'streams.delete', params: { name: 'orders' }, offsets: 1 },
      { ...by, method: 'connections.disconnect', params: { connection: id } },
      { ...by, method: 'queues.delete', params: { name: 'jobs' }, messages: expect.any(Number), deadLetters: 0 },
    ])
    await Promise.all([operator.close(), other.close()])
  })

  it('has a line for each refused act, over WebSocket and HTTP alike', async () => {
    const { acts, client, http } = await start()
    const visitor = client(guest)
    await expect(visitor.admin.queues.purge('jobs')).rejects.toMatchObject({ code: 'forbidden' })
    await expect(visitor.call('queues.delete', { name: 'a/b'.repeat(1000) })).rejects.toMatchObject({
      code: 'bad_params',
    })
    // Reading is not an act.
    await expect(visitor.admin.hub.show()).rejects.toMatchObject({ code: 'forbidden' })
    const post = (token: string) =>
      fetch(`${http}/v1/queues/jobs/purge`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
    expect((await post(guest)).status).toBe(403)
    expect((await post(root)).status).toBe(200)
    const refused = { msg: 'operator act refused', subject: 'guest', address: '127.0.0.1', reason: expect.any(String) }
    const purge = { method: 'queues.purge', params: { name: 'jobs' } }
    expect(acts()).toEqual([
      { ...refused, ...purge, code: 'forbidden', connection: expect.any(String) },
      {
        ...refused,
        method: 'queues.delete',
        params: { name: expect.stringMatching(/^.{200}…$/) },
        code: 'bad_params',
        connection: expect.any(String),
      },
      { ...refused, ...purge, code: 'forbidden' },
      { msg: 'operator act', subject: 'root', address: '127.0.0.1', ...purge, count: 0 },
    ])
    await visitor.close()
  })

  it('is bounded: refusals in masses get ten lines a second, and hide no act that was done', async () => {
    const { acts, client, http } = await start()
    const visitor = client(guest)
    for (const _ of range(0, 5)) {
      await Promise.allSettled(range(0, 60).map(() => visitor.admin.queues.purge('jobs')))
    }
    const headers = { authorization: `Bearer ${root}` }
    await fetch(`${http}/v1/queues/jobs/purge`, { method: 'POST', headers })
    expect(acts().at(-1)).toMatchObject({ msg: 'operator act', subject: 'root' })
    const lines = acts().length - 1
    expect(lines).toBeGreaterThanOrEqual(10)
    expect(lines).toBeLessThan(300)
    await visitor.close()
  })
})

onEveryEngine('who am I', (hubs) => {
  it('is answered to any client, over WebSocket and HTTP', async () => {
    const { url, http } = await hubs.start({ auth })
    const visitor = connect(url, { token: guest })
    const expected = { subject: 'guest', roles: [], permissions: { subscribe: ['photos.#'] } }
    expect(await visitor.admin.hub.whoami()).toEqual(expected)
    const answer = await fetch(`${http}/v1/whoami`, { headers: { authorization: `Bearer ${root}` } })
    expect(await answer.json()).toEqual({ subject: 'root', roles: ['operator'], permissions: { admin: true } })
    await visitor.close()
  })

  it('reports the permissions of a client without a token, with all placeholders filled in, and when a token ends', async () => {
    const expiresAt = Date.now() + 60_000
    const { url } = await hubs.start({
      auth: {
        anonymous: 'allow',
        roles: { anonymous: { publish: ['news'] } },
        authenticate: ({ token }) =>
          token === 'ann' ? { subject: 'ann', permissions: { publish: ['users.${sub}.#'] }, expiresAt } : undefined,
      },
    })
    const [anyone, ann] = [connect(url), connect(url, { token: 'ann' })]
    expect(await anyone.admin.hub.whoami()).toEqual({ roles: ['anonymous'], permissions: { publish: ['news'] } })
    expect(await ann.admin.hub.whoami()).toEqual({
      subject: 'ann',
      roles: [],
      permissions: { publish: ['users.ann.#'] },
      expiresAt,
    })
    await Promise.all([anyone.close(), ann.close()])
  })
})

onEveryEngine('counting dead letters', (hubs) => {
  it('counts those that match a filter, or all without one', async () => {
    const { url, http } = await hubs.start({ queues: [{ name: 'q', maxAttempts: 1 }] })
    const client = connect(url)
    for (const n of range(0, 9)) await client.enqueue('q', n, { key: n % 3 === 0 ? 'third' : 'other' })
    const reader = new QueueReader(client, 'q', { prefetch: 9 })
    for (const _ of range(0, 9)) await (await reader.next()).reject('broken')
    const { deadLetters } = client.admin.queues
    expect(await deadLetters.count('q')).toBe(9)
    expect(await deadLetters.count('q', { key: 'third' })).toBe(3)
    const counted = await fetch(`${http}/v1/queues/q/dead-letters/count?key=other`)
    expect(await counted.json()).toEqual({ count: 6, through: 8 })
    await expect(deadLetters.count('none')).rejects.toMatchObject({ code: 'no_queue' })
    await client.close()
  })
})
