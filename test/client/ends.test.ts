import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Client } from '../../client/node.ts'
import { VirtualClock } from '../kit/virtual-clock.ts'
import { hearUncaught } from '../setup/uncaught.ts'
import { message, type Peer, ScriptedHub, settle } from './scripted-hub.ts'

let hub: ScriptedHub
beforeEach(async () => {
  hub = await ScriptedHub.start()
})
afterEach(() => hub.stop())

const FORBIDDEN = { type: 'error', code: 'forbidden', message: 'No.', retry: false } as const
const RATE_LIMITED = { type: 'error', code: 'rate_limited', message: 'Later.', retry: true } as const
const forbidden = expect.objectContaining({ code: 'forbidden' })
const noop = () => {}

/** A subscription and a responder, each with and without `onError`, all confirmed by the hub. */
async function four(client: Client, peer: Peer) {
  const told: unknown[][] = []
  const onError = (...args: unknown[]) => void told.push(args)
  const heard = [client.subscribe('a', noop, { onError }), client.respond('a', noop, { onError })]
  const unheard = [client.subscribe('b', noop), client.respond('b', noop)]
  const subs: number[] = []
  for (const type of ['subscribe', 'respond', 'subscribe', 'respond'] as const) {
    const { sub } = await peer.next(type)
    subs.push(sub)
    peer.send({ type: 'subscribed', sub })
  }
  await Promise.all([...heard, ...unheard].map(({ ready }) => ready))
  return { all: [...heard, ...unheard], subs, told }
}

it('what the hub ends is reported to onError, or as an unhandled rejection', async () => {
  const uncaught = hearUncaught()
  const { client, peer } = await hub.connected()
  const { all, subs, told } = await four(client, peer)
  const reader = client.subscribe('c')[Symbol.asyncIterator]()
  const next = reader.next()
  peer.send(...[...subs, await peer.subscribed()].map((sub) => ({ ...FORBIDDEN, sub })))
  await expect(next).rejects.toEqual(forbidden)
  expect(await reader.next()).toEqual({ value: undefined, done: true })
  for (const { ended } of all) await expect(ended).rejects.toEqual(forbidden)
  expect(told).toEqual([[forbidden], [forbidden]])
  expect(uncaught).toEqual([forbidden, forbidden])
})

it('what ends before it is ready rejects ready, if onError is not given', async () => {
  const uncaught = hearUncaught()
  const { client, peer } = await hub.connected()
  const told: unknown[] = []
  const onError = (error: unknown) => void told.push(error)
  const heard = [client.subscribe('a', noop, { onError }), client.respond('a', noop, { onError })]
  const awaited = [client.subscribe('b', noop), client.respond('b', noop)]
  const neither = client.subscribe('c', noop)
  for (const type of ['subscribe', 'respond', 'subscribe', 'respond', 'subscribe'] as const)
    peer.send({ ...FORBIDDEN, sub: (await peer.next(type)).sub })
  for (const { ready } of awaited) await expect(ready).rejects.toEqual(forbidden)
  await expect(neither.ended).rejects.toEqual(forbidden)
  await new Promise(setImmediate)
  expect(told).toEqual([forbidden, forbidden])
  expect(uncaught).toEqual([forbidden])
  for (const { ready } of heard) await expect(ready).rejects.toEqual(forbidden)
})

it('a client that is closed for good is one uncaught error, however much ends with it', async () => {
  const uncaught = hearUncaught()
  const { client, peer } = await hub.connected()
  const { all, told } = await four(client, peer)
  peer.send({ type: 'error', code: 'unauthenticated', message: 'No.', retry: false })
  peer.socket.close(4401)
  const unauthenticated = expect.objectContaining({ code: 'unauthenticated' })
  for (const { ended } of all) await expect(ended).rejects.toEqual(unauthenticated)
  expect(told).toEqual([[unauthenticated], [unauthenticated]])
  await new Promise(setImmediate)
  expect(uncaught).toEqual([unauthenticated])
})

it('what its owner closes ends without an error', async () => {
  const uncaught = hearUncaught()
  const { client, peer } = await hub.connected()
  const { all, told } = await four(client, peer)
  const abort = new AbortController()
  const aborted = client.subscribe('c', noop, { signal: abort.signal })
  await peer.subscribed()
  const [first, second] = all as [Awaited<ReturnType<typeof four>>['all'][0], { close(): Promise<void> }]
  await ('unsubscribe' in first && first.unsubscribe())
  await second.close()
  abort.abort()
  await client.close()
  await Promise.all([...all, aborted].map(({ ended }) => ended))
  expect([told, uncaught]).toEqual([[], []])
})

it('every close() of a responder waits for the hub', async () => {
  const { client, peer } = await hub.connected()
  const responder = client.respond('a', noop)
  peer.send({ type: 'subscribed', sub: (await peer.next('respond')).sub })
  await responder.ready
  const first = responder.close()
  const second = responder.close()
  expect(await Promise.race([second.then(() => 'closed'), Promise.resolve('waits')])).toBe('waits')
  await Promise.all([first, second])
  await responder.close()
})

it.each(['subscribe', 'respond'] as const)(
  '%s: a refusal that may pass is tried again, before it was ready and after, and told once',
  async (type) => {
    const { client, peer } = await hub.connected()
    const told: string[] = []
    const options = {
      onInterrupted: ({ code }: { code: string }) => void told.push(code),
      onError: (error: unknown) => void told.push(String(error)),
    }
    const back = () => void told.push('back')
    const { ready } =
      type === 'subscribe'
        ? client.subscribe('a', noop, { ...options, onResubscribed: back })
        : client.respond('a', noop, { ...options, onResumed: back })
    const { sub } = await peer.next(type)
    for (let n = 0; n < 3; n++) {
      peer.send({ ...RATE_LIMITED, sub })
      await peer.next(type)
    }
    peer.send({ type: 'subscribed', sub })
    await ready
    expect(told).toEqual(['rate_limited'])
    // The refusal of a later hub, whose code this client does not know, states itself whether trying again can help.
    for (let n = 0; n < 3; n++) {
      peer.send({ type: 'error', code: 'of_a_later_hub', message: 'Wait.', retry: true, sub })
      await peer.next(type)
    }
    peer.send({ type: 'subscribed', sub })
    await expect.poll(() => told).toEqual(['rate_limited', 'of_a_later_hub', 'back'])
  },
)

it('a hub that was asked for too much at once is asked for a little at first', async () => {
  const { client, peer } = await hub.connected()
  const subscriptions = Array.from({ length: 20 }, (_, n) => client.subscribe(`a.${n}`, noop))
  for (let n = 0; n < 20; n++) await peer.next('subscribe')
  peer.send({ type: 'error', code: 'flooding', message: 'Too much.', retry: true })
  peer.socket.close(4005)
  const again = await hub.peer()
  await again.welcome()
  for (let n = 0; n < 20; n++) {
    await again.subscribed()
    // Besides the one that was just confirmed, no more are unanswered than were confirmed before.
    expect(again.unreadFrames.length).toBeLessThanOrEqual(n)
  }
  await Promise.all(subscriptions.map(({ ready }) => ready))
  again.socket.close(4000)
  const third = await hub.peer()
  await third.welcome()
  expect(third.batches[0]).toHaveLength(21)
})

it.each(['rate_limited', 'hub_full', 'storage_failed'])(
  '%s: one that is refused again and again does not hold up the others',
  async (code) => {
    const { client, peer } = await hub.connected()
    const refused = client.subscribe('never', noop)
    const others = Array.from({ length: 30 }, (_, n) => client.subscribe(`a.${n}`, noop))
    let isOver = false
    const answer = async () => {
      for (;;) {
        const { sub, pattern } = await peer.next('subscribe')
        if (pattern !== 'never') peer.send({ type: 'subscribed', sub })
        else if (isOver) return peer.send({ type: 'subscribed', sub })
        else peer.send({ type: 'error', code, message: '', retry: true, sub })
      }
    }
    const answered = answer()
    await Promise.all(others.map(({ ready }) => ready))
    const more = client.subscribe('more', noop)
    await more.ready
    isOver = true
    await refused.ready
    await answered
  },
)

it('a subscription that is closed while it is refused is not requested again', async () => {
  const clock = new VirtualClock()
  const { client, peer } = await hub.connected({ clock })
  const refused = client.subscribe('a', noop)
  const other = client.subscribe('b', noop)
  const { sub } = await peer.next('subscribe')
  await peer.subscribed()
  peer.send({ ...RATE_LIMITED, code: 'storage_failed', sub })
  await other.ready
  const ended = refused.unsubscribe()
  expect(await peer.next('unsubscribe')).toEqual({ type: 'unsubscribe', sub })
  peer.send({ type: 'error', code: 'unknown_subscription', message: '', retry: false, sub })
  await ended
  await refused.ready
  await clock.advance(10_000, settle)
  expect(peer.unreadFrames).toEqual([])
})

it('a pause that meets a subscription that has just ended there does not end it here', async () => {
  const { client, peer } = await hub.connected()
  const numbers = client.subscribe('a', { from: 'earliest', bufferLimit: 1 })
  const { sub } = await peer.next('subscribe')
  const subscribed = { type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 0 }
  const at = (offset: number) => ({
    type: 'message',
    id: `${offset}`,
    topic: 'a',
    data: offset,
    offsets: { s: offset },
  })
  peer.send(subscribed, { type: 'only', sub }, at(0))
  await peer.next('pause')
  peer.send({ type: 'error', code: 'no_stream', message: 'Gone.', retry: false, sub })
  peer.send({ type: 'error', code: 'unknown_subscription', message: '', retry: false, sub })
  expect(await peer.next('subscribe')).toMatchObject({ sub, from: { epoch: 'e', offset: 1 } })
  peer.send({ ...subscribed, epoch: 'f' }, { type: 'gap', sub, reason: 'epoch' })
  peer.send({ type: 'only', sub }, at(0))
  const data: unknown[] = []
  for await (const message of numbers) if (data.push(message.data) === 2) break
  expect(data).toEqual([0, 0])
})

it('a commit that meets a subscription that has just ended there is repeated when it is back', async () => {
  const { client, peer } = await hub.connected()
  const numbers = client.subscribe('a', { from: 'earliest', cursor: 'c' })
  const { sub } = await peer.next('subscribe')
  const subscribed = { type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 1 }
  const live = { type: 'live', sub, offset: 1 }
  peer.send(subscribed, live, ...[1, 2].map((n) => message(n, 'a', { offsets: { s: n } })))
  const reader = numbers[Symbol.asyncIterator]()
  await reader.next()
  await reader.next()
  const committed = numbers.commit()
  const commit = { type: 'commit', sub, offset: 2 }
  expect(await peer.next('commit')).toEqual(commit)
  peer.send({ type: 'error', code: 'no_stream', message: 'Gone.', retry: false, sub })
  peer.send({ type: 'error', code: 'unknown_subscription', message: '', retry: false, sub, offset: 2 })
  await peer.next('subscribe')
  peer.send(subscribed)
  expect(await peer.next('commit')).toEqual(commit)
  peer.send({ type: 'committed', sub, offset: 2 })
  await committed
})

it('a commit that could not be stored for now is repeated, even if nothing more is handled', async () => {
  const { client, peer } = await hub.connected()
  const numbers = client.subscribe('a', { from: 'earliest', cursor: 'c' })
  const { sub } = await peer.next('subscribe')
  peer.send({ type: 'subscribed', sub, stream: 's', epoch: 'e', offset: 1 }, { type: 'live', sub, offset: 1 })
  peer.send(...[1, 2].map((n) => message(n, 'a', { offsets: { s: n } })))
  const reader = numbers[Symbol.asyncIterator]()
  await reader.next()
  await reader.next()
  const refused = expect(numbers.commit()).rejects.toMatchObject({ code: 'storage_full' })
  const commit = { type: 'commit', sub, offset: 2 }
  expect(await peer.next('commit')).toEqual(commit)
  peer.send({ ...RATE_LIMITED, code: 'storage_full', sub, offset: 2 })
  await refused
  expect(await peer.next('commit')).toEqual(commit)
  peer.send({ type: 'committed', sub, offset: 2 })
  await numbers.commit()
})
