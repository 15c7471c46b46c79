import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import { type Client, type ClientOptions, connect } from '../../client/node.ts'
import { FanfareError } from '../../shared/errors.ts'
import { ScriptedHub } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => {
  vi.useRealTimers()
  return hub.stop()
})

/** An address without a hub. */
function offline(options: ClientOptions = {}): Client {
  const client = connect('ws://127.0.0.1:1', options)
  onTestFinished(async () => void (await client.close({ timeout: 1 })))
  return client
}

const late = { code: 'request_timeout', retry: true }

it('requests and calls end after their time, offline', async () => {
  const client = offline({ callTimeout: 50 })
  await Promise.all([
    expect(client.request('a', 1, { timeout: 50 })).rejects.toMatchObject(late),
    expect(client.call('hub.show', {}, { timeout: 50 })).rejects.toMatchObject(late),
    expect(client.call('hub.show')).rejects.toMatchObject(late),
    expect(client.admin.streams.list()).rejects.toMatchObject(late),
    expect(client.admin.queues.declare({ name: 'q' })).rejects.toMatchObject(late),
    expect(client.admin.queues.deadLetters.redrive('q')).rejects.toMatchObject(late),
    expect(client.admin.hub.show()).rejects.toMatchObject(late),
    expect(client.admin.connections.list()).rejects.toMatchObject(late),
    expect(client.admin.topics.list()).rejects.toMatchObject(late),
  ])
})

it('so do those that a silent hub has; a redrive takes as long as the connection stands', async () => {
  const { client, peer } = await hub.connected({ callTimeout: 50 })
  const redriven = client.admin.queues.deadLetters.redrive('q')
  const { seq } = await peer.next('call')
  await Promise.all([
    expect(client.request('a', 1, { timeout: 50 })).rejects.toMatchObject(late),
    expect(client.call('hub.show')).rejects.toMatchObject(late),
  ])
  peer.send({ type: 'result', seq, result: { count: 7 } })
  expect(await redriven).toBe(7)
})

it('a signal ends a call that was sent, and its late answer is ignored', async () => {
  const { client, peer } = await hub.connected({}, { limits: { frameBytes: 65_536, subscriptions: 9, calls: 1 } })
  const stop = new AbortController()
  const given = expect(client.call('hub.show', {}, { signal: stop.signal })).rejects.toBe('enough')
  const { seq } = await peer.next('call')
  const next = client.call('streams.list')
  stop.abort('enough')
  await given
  // It keeps its place until the hub has answered.
  expect(peer.unreadFrames).toEqual([])
  peer.send({ type: 'result', seq, result: 'late' })
  peer.send({ type: 'result', seq: (await peer.next('call')).seq, result: 'next' })
  expect(await next).toBe('next')
})

it('a request that ended while it waited is never sent, and its place is free', async () => {
  const client = hub.connect({ queueLimit: 2 })
  const peer = await hub.peer()
  const ended = expect(client.request('a', 1, { timeout: 20 })).rejects.toMatchObject(late)
  const waits = client.request('a', 2)
  await expect(client.call('hub.show')).rejects.toMatchObject({ code: 'send_buffer_full' })
  await ended
  const published = client.publish('b', 3)
  await peer.welcome()
  const ask = await peer.next('ask')
  expect(ask.data).toBe(2)
  peer.send({ type: 'answer', seq: ask.seq, data: 'two' })
  peer.send({ type: 'receipt', seq: (await peer.next('publish')).seq, id: 'x' })
  expect(await waits).toBe('two')
  await published
})

it.each<[string, (client: Client, data: unknown) => Promise<unknown>]>([
  ['publishes', (client, data) => client.publish('a', data)],
  ['requests', (client, data) => client.request('a', data, { timeout: 60_000 })],
  ['calls', (client, data) => client.call('hub.show', data)],
])('the offline queue is bounded in bytes: %s', async (_, send) => {
  const client = offline({ queueLimitBytes: 1_000_000 })
  const codes: string[] = []
  for (let n = 0; n < 20; n++) {
    send(client, n % 2 > 0 && _ !== 'calls' ? new Uint8Array(100_000) : 'x'.repeat(100_000)).catch(({ code }) =>
      codes.push(code),
    )
  }
  await expect.poll(() => codes.length).toBe(11)
  expect(new Set(codes)).toEqual(new Set(['send_buffer_full']))
})

it('10,000 requests that end while they wait leave no trace, and take no time', async () => {
  const client = offline({ queueLimit: 10_000 })
  const stop = new AbortController()
  const all = Array.from({ length: 10_000 }, (_, n) => client.request('a', n, { signal: stop.signal }).catch(() => 1))
  await expect(client.publish('a', 1)).rejects.toMatchObject({ code: 'send_buffer_full' })
  const begun = performance.now()
  stop.abort()
  await Promise.all(all)
  // Generous, for busy machines: it takes some milliseconds.
  expect(performance.now() - begun).toBeLessThan(8000)
  expect(await client.close({ timeout: 1 })).toEqual({ unsent: 0, unanswered: 0 })
})

it('data that cannot be encoded leaves nothing in the queue', async () => {
  const client = offline({ queueLimit: 1 })
  for (let n = 0; n < 10; n++) {
    await expect(client.request('a', 1n)).rejects.toMatchObject({ code: 'bad_data' })
    await expect(client.call('hub.show', { n: 1n })).rejects.toMatchObject({ code: 'bad_data' })
  }
  expect(await client.close()).toEqual({ unsent: 0, unanswered: 0 })
})

it('a lost connection ends what is in flight, whatever else was tried on it', async () => {
  const { client, peer } = await hub.connected()
  const headers = JSON.parse('{"__proto__":"x"}')
  await expect(client.publish('t', new Uint8Array(1), { headers })).rejects.toMatchObject({ code: 'forbidden_key' })
  const all = [client.request('a', 1), client.call('hub.show')].map((each) => each.catch(({ code }) => code))
  await peer.next('ask')
  await peer.next('call')
  peer.socket.terminate()
  expect(await Promise.all(all)).toEqual(['connection_lost', 'connection_lost'])
})

it('a commit that the hub never stores ends after its time', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const { client, peer } = await hub.connected()
  let handled = () => {}
  const one = new Promise<void>((resolve) => {
    handled = resolve
  })
  const subscription = client.subscribe('s', () => void setImmediate(handled), { cursor: 'c' })
  const { sub } = await peer.next('subscribe')
  peer.send({ type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 0 }, { type: 'live', sub, offset: 0 })
  await subscription.ready
  peer.send({ type: 'message', id: 'm', topic: 's', offsets: { s: 0 }, data: 1 })
  await one
  const ended = expect(subscription.commit()).rejects.toMatchObject({ code: 'request_timeout' })
  await vi.advanceTimersByTimeAsync(30_000)
  await ended
  vi.useRealTimers()
  // It would wait for the commit once more.
  await client.close({ timeout: 1 })
})

it('a client that reaches no hub reports so once, if there is no listener', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
  onTestFinished(() => warn.mockRestore())
  const silent = offline()
  const heard = offline()
  const states: string[] = []
  heard.onState(({ to }) => states.push(to))
  for (let n = 0; n < 200; n++) {
    await vi.advanceTimersByTimeAsync(500)
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(states.filter((state) => state === 'waiting').length).toBeGreaterThan(3)
  expect(silent.state).not.toBe('closed')
  expect(warn.mock.calls).toEqual([
    [
      expect.stringMatching(
        /^fanfare: Not connected to ws:\/\/127\.0\.0\.1:1, trying again\. The hub could not be reached: connect ECONNREFUSED /,
      ),
    ],
  ])
})

it('the message of an error has each sentence once, however often it is passed on', () => {
  const inner = new FanfareError('connection_lost', 'WebSocket close code 1006')
  expect(new FanfareError('connection_lost', inner.message).message).toBe(inner.message)
  expect(new FanfareError('hub_unreachable', `ws://hub: ${inner.message}`).message).not.toMatch(/\.\./)
})

it.each([
  ['ws://127.0.0.1:PORT//', '/'],
  ['http://127.0.0.1:PORT', '/'],
  ['WS://127.0.0.1:PORT/?v=1#top', '/?v=1'],
])('the address %s is that of a hub', async (url, path) => {
  const asked = new Promise((resolve) => hub.onUpgrade(resolve))
  const client = connect(url.replace('PORT', new URL(hub.url).port))
  onTestFinished(async () => void (await client.close()))
  expect(await asked).toBe(path)
})
