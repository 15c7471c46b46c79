import { expect, it } from 'vitest'
import type { Delivery } from '../../client/delivery.ts'
import { connect } from '../../client/node.ts'
import { FanfareError } from '../../shared/errors.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { METHODS, ODD, type Odd, outcome } from '../setup/odd-arguments.ts'
import { streamWorlds } from '../setup/streams.ts'

onEveryEngine('an odd argument', (hubs) => {
  const start = streamWorlds(hubs)

  it.each(Object.entries(METHODS))('costs that call alone: %s', async (_name, call) => {
    const { client } = await start({ queues: [{ name: 'q' }] })
    const caller = client()
    const changes: string[] = []
    await caller.ready()
    caller.onState(({ reason }) => changes.push(reason.code))
    const own = caller.publish('before', 1)
    const told = await Promise.all(
      Object.entries(ODD).map(([what, odd]) => outcome(what, () => call(caller, odd as Odd))),
    )
    expect(told.filter((each) => each !== undefined)).toEqual([])
    await own
    await caller.publish('after', 1)
    expect(changes).toEqual([])
  })

  it.each<[string, (delivery: Delivery, odd: Odd) => unknown]>([
    ['ack', (delivery, odd) => delivery.ack(odd)],
    ['ack with publishes', (delivery, odd) => delivery.ack({ publish: odd })],
    ['ack with a publish', (delivery, odd) => delivery.ack({ publish: [odd] })],
    ['ack with data', (delivery, odd) => delivery.ack({ publish: [{ topic: 'a', data: odd }] })],
    ['nack', (delivery, odd) => delivery.nack(odd)],
    ['nack with a delay', (delivery, odd) => delivery.nack({ delayMs: odd })],
    ['nack with an error', (delivery, odd) => delivery.nack({ error: odd })],
    ['reject', (delivery, odd) => delivery.reject(odd)],
    ['extend', (delivery, odd) => delivery.extend(odd)],
  ])('never ends the client that settles a delivery: %s', async (_name, settle) => {
    const { client } = await start({ queues: [{ name: 'q', backoff: { base: 1, cap: 1 }, maxAttempts: 100 }] })
    const worker = client()
    await worker.ready()
    const changes: string[] = []
    worker.onState(({ reason }) => changes.push(reason.code))
    await Promise.all(Object.keys(ODD).map((what) => worker.enqueue('q', what)))
    const settled = new Set<string>()
    const consumer = worker.consume('q', { prefetch: 100 })
    for await (const delivery of consumer) {
      const what = delivery.data as string
      const first = !settled.has(what)
      settled.add(what)
      if (first) await outcome(what, () => settle(delivery, ODD[what] as Odd)).catch(() => {})
      if (!delivery.settled) await delivery.ack()
      if (settled.size === Object.keys(ODD).length) break
    }
    await worker.publish('after', 1)
    expect(changes).toEqual([])
  })

  it.each<[string, unknown, unknown]>([
    ['no address', undefined, {}],
    ['a word', 'localhost', {}],
    ['no scheme', 'localhost:4747', {}],
    ['another scheme', 'ftp://hub', {}],
    ['a port beyond all', 'ws://hub:99999', {}],
    ['a path of a page, where there is none', '/ws', {}],
    ['an unknown option', 'ws://hub', { reconnect: true }],
    ['an unknown option of backoff', 'ws://hub', { backoff: { base: 1 } }],
    ['a wait that is no number', 'ws://hub', { backoff: { baseMs: Number.NaN } }],
    ['a limit below zero', 'ws://hub', { queueLimit: -1 }],
    ['a limit that is a text', 'ws://hub', { queueLimitBytes: '64 MiB' }],
    ['a time-out in the wrong unit', 'ws://hub', { callTimeoutMs: 2 ** 60 }],
    ['a getToken that is none', 'ws://hub', { getToken: 'token' }],
    ['a signal that is none', 'ws://hub', { signal: {} }],
    ['a token that is none', 'ws://hub', { token: { key: 1 } }],
    ['a token beyond all', 'ws://hub', { token: 'x'.repeat(20_000) }],
    ['a name that is none', 'ws://hub', { name: 7 }],
  ])('of connect is refused in words: %s', (_name, url, options) => {
    expect(() => connect(url as string, options as object)).toThrow(FanfareError)
  })

  it.each([
    ['ws://hub', { backoff: { base: 1 } }, /"base"/],
    ['ws://hub', { reconect: 1 }, /"reconect"/],
    ['ws://hub', { queueLimit: Number.NaN }, /"queueLimit" is not a whole number/],
    ['localhost', {}, /"localhost".*wss:\/\//],
  ])('connect(%o, %o) says which it is', (url, options, words) => {
    expect(() => connect(url, options as object)).toThrow(words)
  })

  it('an option of any method is named', async () => {
    const { client } = await start()
    const caller = client()
    const odd = (options: object) => options as never
    expect(() => caller.subscribe('a', odd({ polcy: 'pause' }))).toThrow(/subscribe.*"polcy"/)
    expect(() => caller.consume('q', () => {}, odd({ concurrency: 0 }))).toThrow(/"concurrency" is not a whole number/)
    expect(() => caller.respond('q', odd([]))).toThrow(/respond.*function/)
    await expect(caller.publish('a', 1, odd({ delay: 1 }))).rejects.toThrow(/publish.*"delay"/)
    await expect(caller.request('a', 1, odd({ timeout: 1 }))).rejects.toThrow(/request.*"timeout"/)
    await expect(caller.call('hub.show', {}, odd({ timeoutMs: 0 }))).rejects.toThrow(/"timeoutMs"/)
    await expect(caller.close(odd({ timeoutMs: Number.POSITIVE_INFINITY }))).rejects.toThrow(/"timeoutMs"/)
    await caller.publish('a', 1)
  })
})
