import { afterEach, beforeEach, expect, it } from 'vitest'
import { FINAL } from '../../client/final.ts'
import { type ConnectionStateChange, connect, type WebSocketClass } from '../../client/node.ts'
import { ERRORS, type ErrorCode, errorEntry } from '../../shared/errors.ts'
import { ScriptedHub, WELCOME } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => hub.stop())

const next = (client: { onState(listener: (change: ConnectionStateChange) => void): () => void }, state: string) =>
  new Promise<ConnectionStateChange['reason']>((resolve) => {
    const off = client.onState(({ to, reason }) => {
      if (to !== state) return
      off()
      resolve(reason)
    })
  })

it.each([
  [1000, ''],
  [1000, 'idle'],
  [1002, ''],
  [1003, ''],
  [1007, ''],
  [1008, 'policy'],
  [1009, ''],
  [1010, ''],
  [1012, ''],
  [3000, ''],
  [4400, ''],
  [4401, 'gateway: the session has ended'],
  [4429, 'slow down'],
  [4999, 'bad gateway'],
])('a close that is not the hub’s own word is followed by another connection: %i %s', async (code, text) => {
  const { client, peer } = await hub.connected()
  const published = client.publish('a', 1)
  await peer.next('publish')
  const waiting = next(client, 'waiting')
  peer.socket.close(code, text)
  expect(await waiting).toMatchObject({ code: 'connection_lost', closeCode: code })
  expect((await waiting).message).toContain(text || `WebSocket close code ${code}`)
  const again = await hub.peer()
  await again.welcome()
  again.send({ type: 'receipt', seq: (await again.next('publish')).seq, id: 'x' })
  expect(await published).toMatchObject({ id: 'x' })
})

it.each(['bad_frame', 'unauthenticated'] as const)(
  'a reason that begins with the code %s is the hub’s own',
  async (code) => {
    const { client, peer } = await hub.connected()
    const closed = next(client, 'closed')
    peer.socket.close(errorEntry(code).close, `${code}: ${errorEntry(code).text}`)
    expect(await closed).toEqual({ code, message: errorEntry(code).text, closeCode: errorEntry(code).close })
  },
)

it('the final codes are those whose close code is final', () => {
  const codes = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => (errorEntry(code).close ?? 0) >= 4400)
  expect([...FINAL].toSorted()).toEqual(codes.toSorted())
})

it('asks for a token again as often as one is refused, after growing waits, and reports each refusal', async () => {
  let asked = 0
  const waits: number[] = []
  const clock = {
    now: () => Date.now(),
    jitter: () => 1,
    setTimeout: (task: () => void, ms: number) => {
      if (ms < 1000) waits.push(ms)
      return setTimeout(task, Math.min(ms, 1000))
    },
    clearTimeout: (timer: ReturnType<typeof setTimeout> | undefined) => clearTimeout(timer),
    setInterval: (task: () => void, ms: number) => setInterval(task, ms),
    clearInterval: (timer: ReturnType<typeof setTimeout> | undefined) => clearInterval(timer),
  }
  const client = hub.connect({ getToken: () => `token ${++asked}`, clock, backoff: { base: 1, cap: 16 } })
  const reasons: string[] = []
  client.onState(({ to, reason }) => void (to === 'waiting' && reasons.push(reason.code)))
  const refusals = ['unauthenticated', 'token_expired', 'token_expired', 'unauthenticated', 'unauthenticated'] as const
  for (const [at, code] of refusals.entries()) {
    const peer = await hub.peer()
    expect(await peer.next('hello')).toMatchObject({ token: `token ${at + 1}` })
    peer.send({ type: 'error', code, message: 'No.', retry: false })
    peer.socket.close(errorEntry(code).close)
  }
  await (await hub.peer()).welcome()
  await client.ready()
  expect(reasons).toEqual(refusals)
  expect(waits).toEqual([1, 2, 4, 8, 16])
})

it('a token that is refused without getToken is the end', async () => {
  const client = hub.connect({ token: 'x' })
  const peer = await hub.peer()
  await peer.next('hello')
  peer.send({ type: 'error', code: 'token_expired', message: 'Too old.', retry: false })
  peer.socket.close(4402)
  await expect(client.ready()).rejects.toMatchObject({ code: 'token_expired', message: 'Too old.', retry: false })
})

it('an invalid result of getToken is reported, and it is called again; spaces around a token are trimmed', async () => {
  const throws = (value: unknown) => () => {
    throw value
  }
  const answers: (() => unknown)[] = [
    () => ({ access_token: 'x' }),
    () => 42,
    () => true,
    async () => 'x'.repeat(16_385),
    throws(Object.create(null)),
    throws(undefined),
    () => Promise.reject(new Error('no network')),
    () => '\n secret\r\n',
  ]
  const client = hub.connect({ getToken: () => answers.shift()?.() as string })
  const reasons: ConnectionStateChange['reason'][] = []
  client.onState(({ to, reason }) => void (to === 'waiting' && reasons.push(reason)))
  const peer = await hub.peer()
  expect(await peer.next('hello')).toMatchObject({ token: 'secret' })
  expect(reasons.map(({ code }) => code)).toEqual(Array.from({ length: 7 }, () => 'token_unavailable'))
  expect(reasons.map(({ message }) => message.split('.')[0])).toEqual([
    ...['an object', '42', 'true', '16385 characters'].map(
      (got) => `The token of getToken must be a string of at most 16384 characters (got ${got})`,
    ),
    'getToken failed: Something of the type object was thrown',
    'getToken failed: undefined',
    'getToken failed: no network',
  ])
})

it.each(['null', 'undefined', 'an empty text', 'spaces'])('a getToken that gives %s gives none', async (kind) => {
  const none = { null: null, undefined: undefined, 'an empty text': '', spaces: ' \n' }[kind]
  hub.connect({ getToken: () => none as string | undefined })
  expect(await (await hub.peer()).next('hello')).not.toHaveProperty('token')
})

class Insecure {
  constructor() {
    throw new DOMException('Not from a page loaded over HTTPS.', 'SecurityError')
  }
}

it('an address that the platform refuses is refused with a code, by connect or the first state', async () => {
  expect(() => connect('localhost:4747')).toThrow(expect.objectContaining({ code: 'bad_url', retry: false }))
  const WebSocket = Insecure as unknown as WebSocketClass
  expect(() => connect('ws://x', { WebSocket })).toThrow(/Not from a page loaded over HTTPS\.$/)
  const client = connect('ws://x', { WebSocket, getToken: async () => 't' })
  const closed = next(client, 'closed')
  await expect(client.ready()).rejects.toMatchObject({ code: 'bad_url' })
  expect((await closed).code).toBe('bad_url')
  await client.close()
})

it.each([
  ['without', {}],
  ['with', { getToken: () => 't' }],
])('a WebSocket that cannot be made later is tried again, %s getToken', async (_, options) => {
  const { WebSocket: Real } = await import('ws')
  let broken = 0
  class Moody extends Real {
    constructor(url: string, protocols: string[]) {
      if (broken-- > 0) throw new DOMException('Insufficient resources', 'SecurityError')
      super(url, protocols)
    }
  }
  const { client, peer } = await hub.connected({ ...options, WebSocket: Moody as unknown as WebSocketClass })
  const reasons: ConnectionStateChange['reason'][] = []
  client.onState(({ to, reason }) => void (to === 'waiting' && reasons.push(reason)))
  broken = 3
  peer.socket.terminate()
  await (await hub.peer()).welcome()
  await client.ready()
  expect(reasons.map(({ code }) => code)).toEqual([
    'connection_lost',
    ...Array.from({ length: 3 }, () => 'connect_failed'),
  ])
  expect(reasons[1]?.message).toMatch(/^The hub could not be reached: Insufficient resources\./)
})

it('a hub whose frames cannot be read is contacted less and less often, although it sends a welcome each time', async () => {
  const { realClock } = await import('../../shared/clock.ts')
  const waits: number[] = []
  const setTimeout = (task: () => void, ms: number) => {
    if (ms < 100) waits.push(ms)
    return realClock.setTimeout(task, ms)
  }
  const clock = { ...realClock, setTimeout, jitter: () => 1 }
  const client = hub.connect({ clock, backoff: { base: 8, cap: 60_000 } })
  for (let n = 0; n < 5; n++) {
    const peer = await hub.peer()
    await peer.next('hello')
    if (n < 4) peer.send({ ...WELCOME }, { type: 'message' })
  }
  expect(waits).toEqual([8, 16, 32, 64])
  await client.close()
})

it('a welcome that cannot be read is tried again, once there has been one that could', async () => {
  const { client, peer } = await hub.connected()
  peer.socket.close(1012)
  const second = await hub.peer()
  const waiting = next(client, 'waiting')
  await second.welcome({ expiresInMs: 0.5 })
  expect(await waiting).toMatchObject({ code: 'bad_frame', closeCode: 4400 })
  const third = await hub.peer()
  await third.welcome()
  await client.ready()
})

it('a refusal has the hub’s message once, and the hub’s code and retry', async () => {
  const { client, peer } = await hub.connected()
  const refused = async (code: string, message: string, retry: boolean) => {
    const published = client.publish('a', 1)
    peer.send({ type: 'error', seq: (await peer.next('publish')).seq, code, message, retry })
    return published.catch(({ code, message, retry }) => ({ code, message, retry }))
  }
  expect(await refused('bad_frame', 'As a later hub words it. Correct it.', false)).toEqual({
    code: 'bad_frame',
    message: 'As a later hub words it. Correct it.',
    retry: false,
  })
  expect(await refused('of_a_later_hub', 'Wait.', true)).toEqual({
    code: 'of_a_later_hub',
    message: 'Wait.',
    retry: true,
  })
  // One of very many.
  expect(await refused('send_buffer_full', '', true)).toMatchObject({ message: ERRORS.send_buffer_full.text })
  expect(await refused('of_a_later_hub', '', true)).toMatchObject({
    message: expect.stringContaining('of_a_later_hub'),
  })
})
