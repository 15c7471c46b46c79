import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { connect } from '../../client/node.ts'
import { createHub, type Hub, type HubOptions, startHub } from '../../server/index.ts'

const hubs: Hub[] = []
const servers: Server[] = []

afterEach(async () => {
  await Promise.all(hubs.splice(0).map((hub) => hub.close()))
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

/** A hub on an application's server, which passes requests to it as the listener does. */
async function embedded(listenerOf: (hub: Hub) => RequestListener) {
  const hub = await createHub({ path: '/live', drainTimeout: '1s' })
  hubs.push(hub)
  const server = createServer(listenerOf(hub))
  servers.push(server)
  await hub.attach(server)
  expect(hub).toMatchObject({ url: undefined, port: 0 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { hub, server, http: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** Publishes over HTTP; returns what a subscriber receives over the WebSocket. */
async function roundTrip(hub: Hub, http: string, init: RequestInit): Promise<unknown> {
  const client = connect(hub.url as string)
  const messages = client.subscribe('a')
  await messages.ready
  const answer = await fetch(`${http}/v1/topics/a`, { method: 'POST', ...init })
  expect(answer.status).toBe(200)
  for await (const { data } of messages) {
    await client.close()
    return data
  }
  throw new Error('No message')
}

const JSON_BODY = { body: '{"n":1}', headers: { 'content-type': 'application/json' } }

/** What `express.json()` does. */
async function parseBody(request: IncomingMessage): Promise<void> {
  let text = ''
  for await (const chunk of request) text += chunk
  if (request.headers['content-type'] === 'application/json') Object.assign(request, { body: JSON.parse(text) })
}

it('is the listener of a server', async () => {
  const { hub, http } = await embedded((hub) => hub.handler)
  expect(await roundTrip(hub, http, JSON_BODY)).toEqual({ n: 1 })
  expect((await fetch(`${http}/nothing`)).status).toBe(404)
})

it('is middleware that leaves other paths to the application', async () => {
  const { hub, http } = await embedded((hub) => (request, response) => {
    hub.handler(request, response, () => response.end('of the application'))
  })
  expect(await roundTrip(hub, http, JSON_BODY)).toEqual({ n: 1 })
  for (const path of ['/', '/mine', '/v1', '/healthz/more'])
    expect(await (await fetch(http + path)).text()).toBe('of the application')
})

it('is middleware below a path, where it answers everything', async () => {
  const { hub, http } = await embedded((hub) => (request, response) => {
    // As Express does.
    const mounted = Object.assign(request, { baseUrl: '/hub', url: request.url?.replace('/hub', '') ?? '' })
    hub.handler(mounted, response, () => response.end('of the application'))
  })
  expect(await roundTrip(hub, `${http}/hub`, JSON_BODY)).toEqual({ n: 1 })
  expect((await fetch(`${http}/hub/nothing`)).status).toBe(404)
})

it('may come after a body parser', async () => {
  const { hub, http } = await embedded((hub) => async (request, response) => {
    await parseBody(request)
    hub.handler(request, response)
  })
  expect(await roundTrip(hub, http, JSON_BODY)).toEqual({ n: 1 })
})

it('releases a reader of events that has left', async () => {
  const { hub, http } = await embedded((hub) => hub.handler)
  const leaving = new AbortController()
  await fetch(`${http}/v1/events?pattern=a`, { signal: leaving.signal })
  expect(hub.connectionCount).toBe(1)
  leaving.abort()
  await expect.poll(() => hub.connectionCount).toBe(0)
})

it('a server that later listens on all addresses causes a process warning if there is no log', async () => {
  const hub = await createHub()
  hubs.push(hub)
  const server = createServer(hub.handler)
  servers.push(server)
  await hub.attach(server)
  const warned = once(process, 'warning')
  server.listen(0)
  const [warning] = await warned
  expect(warning).toMatchObject({ name: 'FanfareWarning', message: expect.stringContaining('auth.anonymous') })
})

it('has an address, and ends with the block that uses it', async () => {
  let ended: Hub
  {
    await using hub = await startHub({ port: 0, engine: 'ws' })
    expect(hub).toMatchObject({ url: `ws://127.0.0.1:${hub.port}`, state: 'ready' })
    ended = hub
  }
  expect(ended.state).toBe('closed')
})

it.each([{ host: '127.0.0.1' }, { port: 0 }, { engine: 'ws' }, { tls: { certFile: 'a', keyFile: 'b' } }])(
  'a hub that does not listen itself refuses %j by name',
  async (options) => {
    const [name = ''] = Object.keys(options)
    const message = expect.stringMatching(`^${name} is not an option of createHub`)
    await expect(createHub(options as HubOptions)).rejects.toMatchObject({ code: 'bad_config', message })
  },
)

it('accepts options that are undefined', async () => {
  const hub = await createHub({ port: undefined, queues: undefined } as HubOptions)
  hubs.push(hub)
  expect(hub.url).toBeUndefined()
})

it.each([
  ['nothing', undefined],
  ['a function', () => {}],
])('attach refuses %s, and reports what it needs', async (got, server) => {
  const hub = await createHub()
  hubs.push(hub)
  const refused = hub.attach(server as unknown as Server)
  await expect(refused).rejects.toMatchObject({
    code: 'bad_option',
    message: `attach needs an http.Server (got ${got}). With Express, pass what createServer(app) or app.listen() returns.`,
  })
})

it('a hub without a log warns once of an authenticate that fails, and reports what is wrong with its result', async () => {
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)
  process.on('warning', warned)
  const hub = await startHub({ port: 0, auth: { authenticate: () => ({ subject: 'ann', permisions: {} }) as never } })
  hubs.push(hub)
  const answers = [1, 2].map(() => fetch(`http://127.0.0.1:${hub.port}/v1/hub`))
  for (const answer of await Promise.all(answers)) expect(answer.status).toBe(503)
  process.off('warning', warned)
  expect(warnings.map(({ message }) => message)).toEqual([
    'authenticate failed: It returned a wrong identity: permissions is missing.',
  ])
})
