import { afterAll, beforeAll, expect, it } from 'vitest'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import { type Permissions, startHub } from '../../server/index.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { keptLog } from '../setup/kept-log.ts'
import { Peer } from '../setup/peer.ts'

const PERMISSIONS: Record<string, Permissions> = {
  root: { admin: true },
  nobody: {},
  ann: {
    publish: ['users.${sub}.#', '$queue.own'],
    subscribe: ['users.${sub}.#', 'public.*'],
    respond: ['users.${sub}.#'],
    consume: ['own', 'work.*'],
    declare: ['own', 'ann.#'],
  },
  reader: { subscribe: ['#'] },
  answerer: { respond: ['users.#'] },
  operator: { admin: ['own', '$sys.queues.own', '$sys.hub.#'] },
  writer: { publish: ['#'] },
}
const keys = Object.fromEntries(Object.keys(PERMISSIONS).map((name) => [name, newApiKey()]))
const apiKeys = Object.entries(PERMISSIONS).map(([name, permissions]) => ({
  name,
  hash: hashApiKey(keys[name] as string),
  permissions,
}))

/** Asks as a subject for something, and whether it is permitted; `bearing` is what the response must contain. */
type Row = [who: string, frame: Record<string, unknown>, answer: 'yes' | RegExp]

const ANSWERS = ['receipt', 'subscribed', 'consuming', 'result', 'answer', 'error']

const no = (verb: string, target: string) =>
  new RegExp(`^"\\w+" needs ${verb} permission for ${target.replace(/[.*$]/g, '\\$&')}`)
const publish = (topic: string) => ({ type: 'publish', seq: 1, topic })
const subscribe = (pattern: string, more = {}) => ({ type: 'subscribe', sub: 1, pattern, ...more })
const consume = (queue: string) => ({ type: 'consume', consumer: 1, queue })
const respond = (pattern: string) => ({ type: 'respond', sub: 1, pattern })
const ask = (topic: string) => ({ type: 'ask', seq: 1, topic, timeoutMs: 1000 })
const call = (method: string, params: object = {}) => ({ type: 'call', seq: 1, method, params })

const ROWS: Row[] = [
  ['ann', publish('users.ann.note'), 'yes'],
  ['ann', publish('users.bob.note'), no('publish', 'users.bob.note')],
  ['ann', publish('users.${sub}.note'), /bad_topic/],
  ['ann', { ...publish('users.bob.note'), retry: true, id: 'x' }, no('publish', 'users.bob.note')],
  ['ann', publish('$queue.own'), 'yes'],
  ['ann', publish('$queue.other'), no('publish', '$queue.other')],
  ['writer', publish('anything.at.all'), 'yes'],
  ['writer', publish('$queue.own'), no('publish', '$queue.own')],
  ['writer', subscribe('anything'), no('subscribe', 'anything')],
  ['nobody', publish('a'), no('publish', 'a')],
  ['root', publish('$queue.other'), 'yes'],

  // Whether a stream of that name exists is not revealed, either.
  ['nobody', call('streams.read', { name: 'users' }), no('admin', 'users')],
  ['nobody', call('streams.read', { name: 'none' }), no('admin', 'none')],
  [
    'nobody',
    call('cursors.delete', { name: 'none', cursor: 'c' }),
    /needs subscribe permission for the whole stream of the cursor c/,
  ],
  ['root', call('streams.read', { name: 'none' }), /no_stream/],

  ['ann', subscribe('users.ann.#'), 'yes'],
  ['ann', subscribe('users.ann.notes.*'), 'yes'],
  ['ann', subscribe('users.*.notes'), no('subscribe', 'users.*.notes')],
  ['ann', subscribe('users.#'), no('subscribe', 'users.#')],
  ['ann', subscribe('#'), no('subscribe', '#')],
  ['ann', subscribe('public.*'), 'yes'],
  ['ann', subscribe('public.#'), no('subscribe', 'public.#')],
  ['ann', subscribe('users.ann.#', { from: 'earliest' }), 'yes'],
  ['ann', subscribe('users.bob.#', { from: 'earliest' }), no('subscribe', 'users.bob.#')],
  ['ann', subscribe('users.bob.#', { stream: 'users' }), no('subscribe', 'users.bob.#')],
  ['ann', subscribe('users.ann.#', { cursor: 'ann.mine' }), 'yes'],
  [
    'ann',
    subscribe('users.ann.#', { cursor: 'reports' }),
    /needs subscribe permission for the whole stream of the cursor reports/,
  ],
  ['ann', subscribe('users.ann.#', { cursor: 'anna.mine' }), /needs subscribe permission/],
  ['reader', subscribe('users.#', { cursor: 'reports' }), 'yes'],
  ['reader', subscribe('#'), 'yes'],
  ['reader', subscribe('$sys.hub'), no('subscribe', '$sys.hub')],
  ['reader', subscribe('$sys.queues.own'), no('subscribe', '$sys.queues.own')],
  ['operator', subscribe('$sys.queues.own'), 'yes'],
  ['operator', subscribe('$sys.#'), no('subscribe', '$sys.#')],
  ['operator', subscribe('users.ann'), no('subscribe', 'users.ann')],
  ['root', subscribe('$sys.#'), 'yes'],

  ['ann', respond('users.ann.sums'), 'yes'],
  ['ann', respond('users.bob.sums'), no('respond', 'users.bob.sums')],
  // A client that may read everything may not respond, and one that may respond may not read.
  ['reader', respond('users.ann.sums'), no('respond', 'users.ann.sums')],
  ['answerer', respond('users.#'), 'yes'],
  ['answerer', subscribe('users.#'), no('subscribe', 'users.#')],
  ['writer', respond('users.ann.sums'), no('respond', 'users.ann.sums')],
  ['root', respond('users.ann.sums'), 'yes'],
  ['ann', ask('users.ann.sums'), /no_responder/],
  ['ann', ask('users.bob.sums'), no('publish', 'users.bob.sums')],

  ['ann', consume('own'), 'yes'],
  ['ann', consume('work.a'), /no_queue/],
  ['ann', consume('other'), no('consume', 'other')],
  ['operator', consume('own'), no('consume', 'own')],
  ['root', consume('other'), 'yes'],

  ['ann', call('queues.declare', { name: 'ann.new', bindings: [{ topic: 'users.ann.#' }] }), 'yes'],
  ['ann', call('queues.declare', { name: 'ann.spy', bindings: [{ topic: 'users.#' }] }), no('subscribe', 'users.#')],
  ['ann', call('queues.declare', { name: 'bob.new' }), no('declare', 'bob.new')],
  ['ann', call('streams.declare', { name: 'ann.log', topics: ['public.*'] }), 'yes'],
  ['ann', call('streams.declare', { name: 'ann.spy', topics: ['#'] }), no('subscribe', '#')],
  ['ann', call('queues.show', { name: 'own' }), 'yes'],
  ['ann', call('queues.show', { name: 'other' }), no('consume', 'other')],
  ['ann', call('streams.show', { name: 'users' }), no('declare', 'users')],
  ['reader', call('queues.show', { name: 'own' }), no('consume', 'own')],

  ...['queues.delete', 'queues.purge', 'deadLetters.list', 'deadLetters.purge', 'deadLetters.redrive'].flatMap(
    (method): Row[] => [
      ['ann', call(method, { name: 'own' }), no('admin', 'own')],
      ['operator', call(method, { name: 'other' }), no('admin', 'other')],
    ],
  ),
  ['ann', call('queues.unpark', { name: 'own', key: 'k' }), no('admin', 'own')],
  ['operator', call('queues.purge', { name: 'own' }), 'yes'],
  ['operator', call('deadLetters.list', { name: 'own' }), 'yes'],
  ['operator', call('deadLetters.redrive', { name: 'own', to: 'other' }), no('admin', 'other')],
  ['operator', call('queues.unpark', { name: 'own', key: 'k' }), /no_parked_group/],
  ['ann', call('streams.trim', { name: 'users' }), no('admin', 'users')],
  ['ann', call('streams.delete', { name: 'ann.log' }), no('admin', 'ann.log')],
  ['operator', call('hub.show'), 'yes'],
  ['operator', call('connections.list'), no('admin', '$sys.connections.list')],
  ['operator', call('topics.list'), no('admin', '$sys.topics.list')],
  ['ann', call('connections.disconnect', { connection: 'x' }), no('admin', '$sys.connections.disconnect')],
  ['ann', call('hub.show'), no('admin', '$sys.hub.show')],
  ['ann', call('nodes.list'), no('admin', '$sys.nodes.list')],
]

onEveryEngine('permissions', (hubs) => {
  const peers: Record<string, Peer> = {}
  let http = ''
  beforeAll(async () => {
    const started = await hubs.start({
      auth: { apiKeys },
      streams: [{ name: 'users', topics: ['users.#'] }],
      queues: [{ name: 'own' }, { name: 'other' }],
    })
    http = started.http
    for (const [name, token] of Object.entries(keys)) {
      const peer = await Peer.open(started.url)
      peer.send({ type: 'hello', token })
      await peer.next('welcome')
      peers[name] = peer
    }
  })
  afterAll(() => {
    for (const peer of Object.values(peers)) peer.socket.terminate()
  })

  it.each(ROWS.map((row) => [row[0], JSON.stringify(row[1]), row] as const))(
    '%s: %s',
    async (_, __, [who, frame, answer]) => {
      const peer = peers[who] as Peer
      const from = peer.frames.length
      peer.send(frame)
      const answered = () => peer.frames.slice(from).find(({ type }) => ANSWERS.includes(type))
      await expect.poll(answered, { interval: 1 }).toBeDefined()
      const error = answered() as { type: string; code: string; message: string }
      if (error.type !== 'error' && frame['sub'] !== undefined) peer.send({ type: 'unsubscribe', sub: frame['sub'] })
      if (error.type !== 'error' && frame['consumer'] !== undefined) peer.send({ type: 'cancel', consumer: 1 })
      if (answer === 'yes') expect(error.type, error.message).not.toBe('error')
      else expect(`${error.message} ${error.code}`).toMatch(answer)
    },
  )

  const HTTP: [who: string, method: string, path: string, body: object | undefined, status: number][] = [
    ['ann', 'GET', '/v1/queues/own', undefined, 200],
    ['ann', 'GET', '/v1/queues/other', undefined, 403],
    ['ann', 'GET', '/v1/queues/own/wanted-consumers', undefined, 200],
    ['ann', 'POST', '/v1/queues', { name: 'ann.http' }, 201],
    ['ann', 'POST', '/v1/queues', { name: 'ann.spy', bindings: [{ topic: '#' }] }, 403],
    ['ann', 'POST', '/v1/queues', { name: 'bob' }, 403],
    ['ann', 'DELETE', '/v1/queues/own', undefined, 403],
    ['ann', 'POST', '/v1/queues/own/purge', {}, 403],
    ['ann', 'GET', '/v1/queues/own/dead-letters', undefined, 403],
    ['operator', 'GET', '/v1/queues/own/dead-letters', undefined, 200],
    ['operator', 'POST', '/v1/queues/own/dead-letters/redrive', { to: 'other' }, 403],
    ['operator', 'POST', '/v1/queues/own/dead-letters/purge', {}, 200],
    ['operator', 'GET', '/metrics', undefined, 403],
    ['root', 'GET', '/metrics', undefined, 200],
  ]
  it.each(HTTP)('over HTTP %s: %s %s', async (who, method, path, body, status) => {
    const headers = { authorization: `Bearer ${keys[who]}`, 'content-type': 'application/json' }
    const answer = await fetch(http + path, { method, headers, body: body ? JSON.stringify(body) : null })
    expect(answer.status).toBe(status)
    if (status === 403)
      expect(await answer.json()).toMatchObject({
        code: 'forbidden',
        detail: expect.stringMatching(/^"\w+" needs \w+ permission for /),
      })
  })

  it('lists what a client may see', async () => {
    const names = async (who: string) => {
      const answer = await fetch(`${http}/v1/queues`, { headers: { authorization: `Bearer ${keys[who]}` } })
      return ((await answer.json()) as { name: string }[]).map(({ name }) => name)
    }
    expect(await names('reader')).toEqual([])
    expect(await names('operator')).toEqual(['own'])
    expect(await names('root')).toEqual(expect.arrayContaining(['own', 'other']))
    expect(await names('ann')).not.toContain('other')
  })
})

it('logs refusals, and few of those that come in masses', async () => {
  const { log, lines } = keptLog()
  const hub = await startHub({ port: 0, auth: { apiKeys } }, log)
  const peer = await Peer.open(`ws://127.0.0.1:${hub.port}`)
  peer.send({ type: 'hello', token: keys['nobody'] })
  for (let seq = 0; seq < 500; seq++) peer.send(publish('a.b'))
  await peer.settled()
  expect(peer.frames.filter(({ type }) => type === 'error').length).toBe(500)
  const forbidden = lines.filter(({ msg }) => msg === 'forbidden')
  expect(forbidden[0]).toMatchObject({ subject: 'nobody', verb: 'publish', target: 'a.b' })
  expect(forbidden.length).toBeLessThan(100)
  peer.socket.terminate()
  await hub.close()
})
