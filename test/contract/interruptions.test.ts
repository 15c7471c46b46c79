import { expect, it } from 'vitest'
import type { Client, SubscribeOptions, SubscriptionGap } from '../../client/node.ts'
import { freePort } from '../setup/free-port.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { range, streamWorlds } from '../setup/streams.ts'

/** A subscription with a handler, and all its notifications. */
function heard(client: Client, pattern: string, options: SubscribeOptions = {}) {
  const data: unknown[] = []
  const gaps: SubscriptionGap['reason'][] = []
  const told: string[] = []
  const subscription = client.subscribe<string>(pattern, (message) => void data.push(message.data), {
    ...options,
    onGap: ({ reason }) => gaps.push(reason),
    onInterrupted: ({ code }) => told.push(code),
    onResubscribed: ({ recovered }) => told.push(recovered ? 'recovered' : 'back'),
    onError: (error) => told.push(`ended: ${error}`),
  })
  return { subscription, data, gaps, told }
}

/** Disconnects a client once, as an operator does, and resolves when it is back. */
async function reconnect(client: Client, operator: Client): Promise<void> {
  const back = new Promise<void>((resolve) => {
    const off = client.onState(({ to }) => {
      if (to !== 'connected') return
      off()
      resolve()
    })
  })
  const { connections } = await operator.admin.connections.list()
  const own = connections.find(({ client: name }) => name === 'interrupted')
  await operator.admin.connections.disconnect(own?.connection as string)
  await back
}

onEveryEngine('interruptions', (hubs) => {
  const start = streamWorlds(hubs)

  it('after the hub has lost its memory, everything goes on once its streams are declared', async () => {
    const port = await freePort()
    const { client, hub } = await start({ port })
    const reader = client()
    const all = [
      heard(reader, 's.#', { from: 'earliest' }),
      heard(reader, 's.#', { cursor: 'c' }),
      heard(reader, 's.a', { policy: 'pause' }),
      heard(reader, 's.a', { from: { last: 1 }, stream: 's' }),
    ]
    const live = heard(reader, 's.#')
    const loop = reader.subscribe<string>('s.#', { from: 'earliest' })[Symbol.asyncIterator]()
    await Promise.all([...all, live].map(({ subscription }) => subscription.ready))
    await reader.publish('s.a', 'before')
    await expect.poll(() => all.map(({ data }) => data)).toEqual(all.map(() => ['before']))
    expect((await loop.next()).value?.data).toBe('before')
    await hub.close()
    await hubs.start({ port })
    await expect.poll(() => all.map(({ told }) => told)).toEqual(all.map(() => ['no_stream']))
    await reader.admin.streams.declare({ name: 's', topics: ['s.#'] })
    await expect.poll(() => all.map(({ told }) => told)).toEqual(all.map(() => ['no_stream', 'back']))
    await reader.publish('s.a', 'after')
    await expect.poll(() => all.map(({ data }) => data)).toEqual(all.map(() => ['before', 'after']))
    expect(all.map(({ gaps }) => gaps)).toEqual(all.map(() => ['epoch']))
    expect([live.data, live.gaps, live.told]).toEqual([['before', 'after'], ['disconnected'], ['back']])
    expect((await loop.next()).value?.data).toBe('after')
    // What is committed now belongs to the new log.
    await all[1]?.subscription.commit()
    expect((await reader.admin.streams.cursors('s')).cursors).toMatchObject([{ name: 'c', offset: 1 }])
  })

  it('a stream that is deleted and declared again causes a gap, and does not end subscriptions', async () => {
    const { client } = await start()
    const operator = client()
    const reader = client()
    const orders = heard(reader, 's.#', { from: 'earliest', bufferLimit: 1 })
    const late = heard(reader, 's.#', { from: 'earliest' })
    await orders.subscription.ready
    await operator.publish('s.a', 'before')
    await expect.poll(() => orders.data).toEqual(['before'])
    await operator.admin.streams.delete('s')
    await expect.poll(() => orders.told).toEqual(['no_stream'])
    // One may be closed meanwhile, and is then not requested again.
    await Promise.all([late.subscription.unsubscribe(), late.subscription.ended])
    await operator.admin.streams.declare({ name: 's', topics: ['s.#'] })
    await operator.publish('s.a', 'after')
    await expect.poll(() => orders.data).toEqual(['before', 'after'])
    expect([orders.gaps, orders.told]).toEqual([['epoch'], ['no_stream', 'back']])
    expect(late.told).toEqual(['no_stream'])
    // A stream that never existed is refused.
    const never = reader.subscribe('t.#', { from: 'earliest' })
    await expect(never.ready).rejects.toMatchObject({ code: 'no_stream' })
  })

  it('a stream claimed by two declarations is unambiguous again once one of them is deleted', async () => {
    const { client } = await start()
    const operator = client()
    const reader = client(undefined, { name: 'interrupted' })
    const orders = heard(reader, 's.#', { from: 'earliest' })
    await orders.subscription.ready
    await operator.admin.streams.declare({ name: 'other', topics: ['s.#'] })
    await reconnect(reader, operator)
    await expect.poll(() => orders.told).toEqual(['ambiguous_stream'])
    await operator.admin.streams.delete('other')
    await operator.publish('s.a', 1)
    await expect.poll(() => orders.data).toEqual([1])
    expect([orders.gaps, orders.told]).toEqual([[], ['ambiguous_stream', 'recovered']])
  })

  it.each([
    ['messagesPerSecond', 100, { messagesPerSecond: 50 }],
    ['subscribesPerSecond', 300, { subscribesPerSecond: 50, subscriptions: 300 }],
    ['no limits but the defaults', 990, {}],
  ])('after a reconnection everything is restored, within %s', async (_, count, limits) => {
    const { client } = await start(limits)
    const operator = client()
    const reader = client(undefined, { name: 'interrupted', backoff: { base: 500, cap: 1000 } })
    const data: unknown[] = []
    const half = Math.ceil(count / 2)
    const subscriptions = range(0, count).map((n) =>
      reader.subscribe(`t.${n}`, (message) => void data.push(message.data)),
    )
    const responders = range(0, half).map((n) => reader.respond(`r.${n}`, () => n))
    await Promise.all([...subscriptions, ...responders].map(({ ready }) => ready))
    await reconnect(reader, operator)
    const own = async () =>
      (await operator.admin.connections.list()).connections.find(({ client: name }) => name === 'interrupted')
    await expect.poll(async () => (await own())?.subscriptionCount, { timeout: 50_000, interval: 300 }).toBe(count)
    const ask = () => operator.request(`r.${half - 1}`).catch(({ code }) => code)
    await expect.poll(ask, { timeout: 50_000, interval: 300 }).toBe(half - 1)
  })
})
