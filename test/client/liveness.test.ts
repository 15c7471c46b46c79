import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { ClientOptions, ConnectionStateChange } from '../../client/index.ts'
import { VirtualClock } from '../kit/virtual-clock.ts'
import { message, type Peer, ScriptedHub, settle } from './scripted-hub.ts'

const INTERVAL_MS = 25_000

/** A clock of a machine that sleeps, and so misses some of the time. */
class SleepingClock extends VirtualClock {
  private slept = 0

  override now(): number {
    return super.now() + this.slept
  }

  sleep(ms: number): void {
    this.slept += ms
  }
}

let hub: ScriptedHub
let clock: SleepingClock
beforeEach(async () => {
  hub = await ScriptedHub.start()
  clock = new SleepingClock()
})
afterEach(async () => {
  vi.unstubAllGlobals()
  await hub.stop()
})

const advance = (ms: number) => clock.advance(ms, settle)

async function connected(options: ClientOptions = {}) {
  const { client, peer } = await hub.connected({ clock, ...options }, { pingIntervalMs: INTERVAL_MS })
  const changes: ConnectionStateChange[] = []
  client.onState((change) => changes.push(change))
  return { client, peer, changes, lost: () => changes.find(({ to }) => to === 'waiting')?.reason.code }
}

async function pinged(peer: Peer): Promise<boolean> {
  await settle()
  return peer.unreadFrames.some(({ type }) => type === 'ping')
}

it('silence counts from the last byte, and is noticed within an interval and ten seconds', async () => {
  const { client, peer, lost } = await connected()
  const got: unknown[] = []
  client.subscribe('a', ({ data }) => void got.push(data))
  await peer.subscribed()
  // Early in the first interval: it must not count for all of it.
  await advance(2_000)
  peer.send(message(1))
  await expect.poll(() => got).toEqual([1])
  await advance(22_000)
  expect(await pinged(peer)).toBe(false)
  await advance(4_000)
  expect(await pinged(peer)).toBe(true)
  expect(lost()).toBeUndefined()
  await advance(10_500)
  expect(lost()).toBe('idle_timeout')
})

it('a link that answers its pings stays', async () => {
  const { client, peer } = await connected()
  peer.socket.on('message', (data) => {
    if (String(data).includes('"ping"')) peer.send({ type: 'pong' })
  })
  for (let at = 0; at < 60; at++) await advance(5_000)
  expect(client.state).toBe('connected')
})

it.each([10_000, 3_600_000, -3_600_000])(
  'after a sleep of %i ms a client checks its connection at once, and is reconnected within seconds',
  async (ms) => {
    const { peer, lost } = await connected()
    await advance(1_000)
    clock.sleep(ms)
    await advance(2_000)
    expect(await pinged(peer)).toBe(true)
    await advance(3_500)
    expect(lost()).toBe('idle_timeout')
  },
)

it('a machine that has slept keeps a link that lives', async () => {
  const { client, peer } = await connected()
  await advance(1_000)
  clock.sleep(600_000)
  await advance(2_000)
  expect(await pinged(peer)).toBe(true)
  peer.send({ type: 'pong' })
  await settle()
  await advance(20_000)
  expect(client.state).toBe('connected')
})

/** What a page or a worker is. */
function page() {
  const scope = new EventTarget()
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
  vi.stubGlobal('addEventListener', scope.addEventListener.bind(scope))
  vi.stubGlobal('removeEventListener', scope.removeEventListener.bind(scope))
  vi.stubGlobal('document', document)
  return {
    document,
    say: (event: string) => (event === 'visibilitychange' ? document : scope).dispatchEvent(new Event(event)),
  }
}

it.each(['online', 'pageshow', 'visibilitychange'])('the event %s: a link is checked at once', async (event) => {
  const { say } = page()
  const { peer, lost } = await connected()
  say(event)
  expect(await pinged(peer)).toBe(true)
  await advance(3_500)
  expect(lost()).toBe('idle_timeout')
})

it.each(['online', 'pageshow', 'visibilitychange'])(
  'the event %s: a client that waits does so no longer',
  async (event) => {
    const { say } = page()
    const { client, peer } = await connected({ backoff: { base: 3_600_000, cap: 3_600_000 } })
    peer.socket.terminate()
    await expect.poll(() => client.state).toBe('waiting')
    say(event)
    await (await hub.peer()).welcome()
    await client.ready()
  },
)

it('hiding a page does not trigger a check, and a closed client listens to no events', async () => {
  const { document, say } = page()
  const { client, peer } = await connected()
  document.visibilityState = 'hidden'
  say('visibilitychange')
  expect(await pinged(peer)).toBe(false)
  document.visibilityState = 'visible'
  const removed = vi.spyOn(document, 'removeEventListener')
  await client.close()
  expect(removed).toHaveBeenCalledWith('visibilitychange', expect.any(Function))
  say('visibilitychange')
  say('online')
  expect(client.state).toBe('closed')
})
