import { expect, it } from 'vitest'
import type { Delivery } from '../../client/delivery.ts'
import { connect } from '../../client/node.ts'
import { FanfareError } from '../../shared/errors.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { METHODS, ODD, type Odd, outcome } from '../setup/odd-arguments.ts'
import { streamWorlds } from '../setup/streams.ts'

onEveryEngine('an odd argument', (hubs) => {
  const start = streamWorlds(hubs)

  it.each(Object.entries(METHODS))('costs only that call: %s', async (_name, call) => {
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
    ['nack with a delay', (delivery, odd) => delivery.nack({ delay: odd })],
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
    ['a port that is too large', 'ws://hub:99999', {}],
    ['a path of a page, outside of a page', '/ws', {}],
    ['an unknown option', 'ws://hub', { reconnect: true }],
    ['an unknown option of backoff', 'ws://hub', { backoff: { baseMs: 1 } }],
    ['a duration that is not a number', 'ws://hub', { backoff: { base: Number.NaN } }],
    ['a negative limit', 'ws://hub', { queueLimit: -1 }],
    ['a limit that is text', 'ws://hub', { queueLimitBytes: '64 MiB' }],
    ['a timeout in the wrong unit', 'ws://hub', { callTimeout: 2 ** 60 }],
    ['a getToken that is not a function', 'ws://hub', { getToken: 'token' }],
    ['a signal that is not an AbortSignal', 'ws://hub', { signal: {} }],
    ['a token that is not text', 'ws://hub', { token: { key: 1 } }],
    ['a token that is too long', 'ws://hub', { token: 'x'.repeat(20_000) }],
    ['a name that is not text', 'ws://hub', { name: 7 }],
    ['a number instead of options', 'ws://hub', Number.NaN],
    ['null instead of options', 'ws://hub', null],
    ['text instead of options', 'ws://hub', ''],
    ['a list of options', 'ws://hub', []],
    ['a trace that is not an object', 'ws://hub', { trace: 5 }],
    ['a trace without methods', 'ws://hub', { trace: {} }],
    ['a clock that is not an object', 'ws://hub', { clock: 5 }],
    ['a clock without methods', 'ws://hub', { clock: { now: Date.now } }],
    ['topics that are not a contract', 'ws://hub', { topics: 0 }],
    ['null as backoff', 'ws://hub', { backoff: null }],
    ['null as WebSocket', 'ws://hub', { WebSocket: null }],
  ])('of connect is refused with an explanation: %s', (_name, url, options) => {
    expect(() => connect(url as string, options as object)).toThrow(FanfareError)
  })

  it.each([
    ['ws://hub', { backoff: { baseMs: 1 } }, /"baseMs"/],
    ['ws://hub', { reconect: 1 }, /"reconect"/],
    ['ws://hub', { queueLimit: Number.NaN }, /queueLimit must be an integer/],
    ['localhost', {}, /"localhost".*wss:\/\//],
  ])('connect(%o, %o) names the wrong option', (url, options, words) => {
    expect(() => connect(url, options as object)).toThrow(words)
  })

  it.each<[string, unknown]>([
    ...[null, '', 0, false, [], {}, { all: null }, { any: 0 }, { all: undefined, any: {} }].map(
      (filter): [string, unknown] => ['filter', filter],
    ),
    ...[null, '', 0, false, 'drop'].map((policy): [string, unknown] => ['policy', policy]),
    ...[null, '', 0, {}, { last: 1, offset: 1 }, { time: 1, offset: 1 }].map((from): [string, unknown] => [
      'from',
      from,
    ]),
    ...[null, '', 0].flatMap((name): [string, unknown][] => [
      ['stream', name],
      ['cursor', name],
      ['bufferLimit', name],
      ['onGap', name],
      ['signal', name],
    ]),
    ['signal', { addEventListener() {} }],
  ])('of subscribe is refused before it does anything: %s %o', async (name, value) => {
    const { client } = await start()
    const caller = client()
    const options = { [name]: value } as object
    expect(() => caller.subscribe('a', () => {}, options)).toThrow(bad(name))
    expect(() => caller.subscribe('a', options)).toThrow(bad(name))
    await caller.publish('a', 1)
  })

  it.each<[string, unknown]>([
    ...['5', true, new Date(0), 10n, null, 0, Number.NaN, ''].map((time): [string, unknown] => ['maxRunTime', time]),
    ...[null, 0, '', false, '5'].flatMap((count): [string, unknown][] => [
      ['concurrency', count],
      ['prefetch', count],
      ['ackDeadline', count],
      ['onError', count],
    ]),
  ])('of consume is refused before it does anything: %s %o', async (name, value) => {
    const { client } = await start()
    expect(() => client().consume('q', () => {}, { [name]: value } as object)).toThrow(bad(name))
  })

  it.each([null, 0, '', [], new Map(), new Error('x'), new Date(0)])(
    'is refused instead of options: %o',
    async (odd) => {
      const { client } = await start({ queues: [{ name: 'q' }] })
      const caller = client()
      const options = odd as never
      const code = { code: 'bad_option' }
      expect(() => caller.subscribe('a', () => {}, options)).toThrow(expect.objectContaining(code))
      expect(() => caller.consume('q', () => {}, options)).toThrow(expect.objectContaining(code))
      await expect(caller.publish('a', 1, options)).rejects.toMatchObject(code)
      await expect(caller.request('a', 1, options)).rejects.toMatchObject(code)
      await expect(caller.admin.streams.cursors('s', options)).rejects.toMatchObject(code)
      await expect(caller.admin.queues.deadLetters.list('q', {}, options)).rejects.toMatchObject(code)
      await expect(caller.admin.queues.deadLetters.redrive('q', {}, options)).rejects.toMatchObject(code)
    },
  )

  it('does not settle a delivery, which stays open', async () => {
    const { client } = await start({ queues: [{ name: 'q' }] })
    const caller = client()
    await caller.enqueue('q', 1)
    for await (const delivery of caller.consume('q')) {
      const refused = (settle: (odd: never) => Promise<void>, odds: readonly unknown[]) =>
        Promise.all(
          odds.map(async (odd) => {
            await expect(settle(odd as never)).rejects.toMatchObject({ code: 'bad_option' })
            expect(delivery.settled).toBe(false)
          }),
        )
      const none = [null, 0, '', false, [], new Map(), new Error('x'), { zz: 1 }]
      await refused((odd) => delivery.ack(odd), [...none, { publsh: [] }])
      await refused((odd) => delivery.ack({ publish: odd }), [null, 0, '', false, {}, [null], [5], [[]], new Set()])
      await refused(
        (odd) => delivery.ack({ publish: [odd] }),
        [
          { topic: 'a', zz: 1 },
          { topic: 'a', signal: null },
        ],
      )
      await refused((odd) => delivery.nack(odd), [...none, { delayMs: 5 }])
      await expect(delivery.nack(new Error('x') as never)).rejects.toThrow(/nack must be an object/)
      await expect(delivery.nack({ delay: null as never })).rejects.toMatchObject({ name: 'FanfareError' })
      await delivery.ack({ publish: [{ topic: 'a' }] })
      break
    }
  })

  it('an unknown option of a redrive or of a page of cursors is named', async () => {
    const { client } = await start({ queues: [{ name: 'q' }] })
    const { queues, streams } = client().admin
    await expect(queues.deadLetters.redrive('q', {}, { too: 'b' } as never)).rejects.toThrow(/redrive.*"too"/)
    await expect(streams.cursors('s', { name: 'other' } as never)).rejects.toThrow(/cursors.*"name"/)
  })

  it('as the id or the bytes of a publish is refused', async () => {
    const { client } = await start()
    const caller = client()
    await expect(caller.publish('a', 1, { id: null as never })).rejects.toMatchObject({ code: 'bad_option' })
    const proxy = new Proxy(new Uint8Array(3), {})
    await expect(caller.publish('a', proxy)).rejects.toMatchObject({ code: 'bad_data' })
  })

  it('an option of any method is named', async () => {
    const { client } = await start()
    const caller = client()
    const odd = (options: object) => options as never
    expect(() => caller.subscribe('a', odd({ polcy: 'pause' }))).toThrow(/subscribe.*"polcy"/)
    expect(() => caller.consume('q', () => {}, odd({ concurrency: 0 }))).toThrow(/concurrency must be an integer/)
    expect(() => caller.respond('q', odd([]))).toThrow(/respond.*function/)
    await expect(caller.publish('a', 1, odd({ delayMs: 1 }))).rejects.toThrow(/publish.*"delayMs"/)
    await expect(caller.request('a', 1, odd({ timeoutMs: 1 }))).rejects.toThrow(/request.*"timeoutMs"/)
    await expect(caller.call('hub.show', {}, odd({ timeout: 0 }))).rejects.toThrow(/timeout must be/)
    await expect(caller.close(odd({ timeout: Number.POSITIVE_INFINITY }))).rejects.toThrow(/timeout must be/)
    await caller.publish('a', 1)
  })
})

/** An error that names the option. */
function bad(name: string): unknown {
  return expect.objectContaining({
    code: 'bad_option',
    message: expect.stringMatching(new RegExp(`"${name}"|: ${name} must be `)),
  })
}
