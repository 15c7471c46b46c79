import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ConnectionStateChange, connect } from '../../client/index.ts'
import { ScriptedHub } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => hub.stop())

const count = (name: string) => process.getActiveResourcesInfo().filter((each) => each === name).length

it('sends hello and all its subscriptions in one message', async () => {
  const client = hub.connect({ name: 'test' })
  client.subscribe('a')
  client.subscribe('b.#', { policy: 'conflate', filter: { any: { x: 'y' } } })
  const peer = await hub.peer()
  await peer.next('hello')
  expect(peer.batches).toEqual([
    [
      { type: 'hello', client: 'test', checks: true },
      { type: 'subscribe', sub: expect.any(Number), pattern: 'a' },
      {
        type: 'subscribe',
        sub: expect.any(Number),
        pattern: 'b.#',
        policy: 'conflate',
        filter: { any: { x: 'y' } },
      },
    ],
  ])
  expect(peer.socket.protocol).toBe('fanfare.v1')
  expect(client.state).toBe('connecting')
})

it('reports each change of state with its reason', async () => {
  const changes: ConnectionStateChange[] = []
  const client = hub.connect()
  client.onState((change) => changes.push(change))
  const peer = await hub.peer()
  await peer.welcome()
  await client.ready()
  peer.send({ type: 'error', code: 'shutting_down', message: 'Bye.', retry: true })
  peer.socket.close(4000)
  await (await hub.peer()).welcome()
  await client.ready()
  expect(changes.map(({ from, to }) => `${from} ${to}`)).toEqual([
    'connecting connected',
    'connected waiting',
    'waiting connecting',
    'connecting connected',
  ])
  expect(changes[1]?.reason).toMatchObject({ code: 'shutting_down', closeCode: 4000 })
})

describe.each([
  [4400, 'bad_frame'],
  [4413, 'frame_too_large'],
  [4429, 'window_exceeded'],
])('after close code %i', (closeCode, code) => {
  it('is closed for good, and everything that waits rejects with the hub’s error', async () => {
    const { client, peer } = await hub.connected({}, { window: 1 })
    const subscription = client.subscribe('a')
    const next = subscription[Symbol.asyncIterator]().next()
    const all = [client.publish('a', 1), client.publish('a', 2), subscription.ready, next].map((each) =>
      each.then(
        () => 'resolved',
        (error: { code: string }) => error.code,
      ),
    )
    await peer.next('subscribe')
    peer.send({ type: 'error', code, message: 'No.', retry: false })
    peer.socket.close(closeCode)
    // What was sent may have happened; nothing else has.
    expect(await Promise.all(all)).toEqual(['connection_lost', code, code, code])
    expect(client.state).toBe('closed')
    await expect(client.ready()).rejects.toMatchObject({ code })
    await expect(client.publish('a', 3)).rejects.toMatchObject({ code: 'client_closed' })
  })
})

it('pings when nothing was heard, and reconnects when there is no answer', async () => {
  const { client, peer } = await hub.connected({}, { pingIntervalMs: 300 })
  const waiting = new Promise<ConnectionStateChange>((resolve) => client.onState((change) => resolve(change)))
  await peer.next('ping')
  peer.send({ type: 'pong' })
  await peer.next('ping')
  expect((await waiting).reason).toMatchObject({ code: 'idle_timeout', closeCode: 4002 })
  expect(await peer.closed).toBe(4002)
  await (await hub.peer()).welcome()
  await client.ready()
})

it('passes over frames it does not know, and drops a connection that is malformed', async () => {
  const { client, peer } = await hub.connected()
  peer.send({ type: 'fireworks' })
  const published = client.publish('a', 1)
  peer.send({ type: 'receipt', seq: (await peer.next('publish')).seq, id: 'x' })
  await published
  const waiting = new Promise<ConnectionStateChange>((resolve) => client.onState((change) => resolve(change)))
  peer.send({ type: 'message' })
  expect((await waiting).reason.code).toBe('bad_frame')
  await (await hub.peer()).welcome()
  await client.ready()
})

it.each([
  ['a fraction', { expiresInMs: 3_600_000.5 }],
  ['no safe integer', { expiresInMs: 9_999_999_999_999_000_000 }],
  ['a limit that is missing', { limits: {} }],
])('an unreadable welcome ends the client with an explanation: %s', async (_, wrong) => {
  const client = hub.connect()
  const closed = new Promise<ConnectionStateChange>((resolve) => client.onState((change) => resolve(change)))
  const peer = await hub.peer()
  await peer.welcome(wrong)
  expect(await closed).toMatchObject({ to: 'closed', reason: { code: 'bad_frame' } })
  expect((await closed).reason.message).toMatch(
    /The hub's welcome cannot be read.*(expiresInMs|an object with frameBytes)/,
  )
  await expect(client.ready()).rejects.toMatchObject({ code: 'bad_frame' })
  expect(await peer.closed).toBe(4400)
})

it('goes on when a listener throws', async () => {
  const loud = new Promise<unknown>((resolve) => {
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    process.once('uncaughtException', (error) => {
      for (const listener of before) process.on('uncaughtException', listener)
      resolve(error)
    })
  })
  const { client, peer } = await hub.connected()
  const off = client.onState(() => {
    off()
    throw new Error('listener')
  })
  peer.socket.close(4000)
  await (await hub.peer()).welcome()
  await client.ready()
  expect(await loud).toMatchObject({ message: 'listener' })
})

it('close waits for publishes in flight, however often it is called', async () => {
  const { client, peer } = await hub.connected()
  const published = client.publish('a', 1)
  const closes = [client.close(), client.close()]
  const { seq } = await peer.next('publish')
  const start = performance.now()
  peer.send({ type: 'receipt', seq, id: 'x' })
  expect(await published).toMatchObject({ id: 'x' })
  await Promise.all(closes)
  expect(await peer.closed).toBe(1000)
  expect(performance.now() - start).toBeLessThan(2000)
})

it('a signal closes it, also one that was aborted before', async () => {
  const abort = new AbortController()
  const { client, peer } = await hub.connected({ signal: abort.signal })
  abort.abort()
  expect(await peer.closed).toBe(1000)
  await expect(client.ready()).rejects.toMatchObject({ code: 'client_closed' })
  const never = hub.connect({ signal: AbortSignal.abort() })
  await expect(never.ready()).rejects.toMatchObject({ code: 'client_closed' })
})

it('leaves no timer and no socket behind after close', async () => {
  const before = [count('Timeout'), count('TCPSocketWrap')]
  const { client, peer } = await hub.connected()
  client.subscribe('a', () => {})
  await client.close()
  await peer.closed
  expect(count('Timeout')).toBeLessThanOrEqual(before[0] as number)
  await expect.poll(() => count('TCPSocketWrap')).toBeLessThanOrEqual(before[1] as number)
})

it('leaves nothing behind after a hub that has gone silent', async () => {
  const before = count('TCPSocketWrap')
  const { client, peer } = await hub.connected({}, { pingIntervalMs: 10 })
  // Reads no more, so that it never answers the close.
  peer.socket.pause()
  await new Promise<void>((resolve) => client.onState(({ to }) => void (to === 'waiting' && resolve())))
  await client.close()
  // The hub's own end is still there, and no other.
  await expect.poll(() => count('TCPSocketWrap')).toBeLessThanOrEqual(before + 1)
})

it('reports it if there is no WebSocket', () => {
  const { WebSocket } = globalThis
  Reflect.deleteProperty(globalThis, 'WebSocket')
  try {
    expect(() => connect('ws://127.0.0.1:1/')).toThrow(expect.objectContaining({ code: 'no_websocket' }))
  } finally {
    if (WebSocket) globalThis.WebSocket = WebSocket
  }
})
