import { expect, it } from 'vitest'
import { onEveryEngine } from '../setup/hubs.ts'
import { streamWorlds } from '../setup/streams.ts'

onEveryEngine('updates of queues and streams', (hubs) => {
  const start = streamWorlds(hubs)

  it('change what is given; all else stays, messages and consumers too', async () => {
    const { client } = await start()
    const own = client()
    const { queues } = own.admin
    const declared = {
      name: 'jobs',
      bindings: [{ topic: 'a.*' }],
      ackDeadline: '1m',
      backoff: { base: '2s', cap: '9s' },
    }
    await queues.declare({ ...declared, maxAttempts: 2 })
    await own.enqueue('jobs', 1)
    const seen: unknown[] = []
    await own.consume('jobs', ({ data }) => seen.push(data)).ready
    await expect.poll(() => seen).toEqual([1])
    const info = await queues.update('jobs', { backoff: { cap: '5m' }, overflow: 'block' })
    expect(info).toMatchObject({ ackDeadlineMs: 60_000, backoffBaseMs: 2000, backoffCapMs: 300_000, maxAttempts: 2 })
    expect(info).toMatchObject({ bindings: [{ topic: 'a.*' }], overflow: 'block', consumers: 1 })
    await queues.update('jobs', { bindings: [{ topic: 'b.*' }] })
    await own.publish('a.x', 2)
    await own.publish('b.x', 3)
    await expect.poll(() => seen).toEqual([1, 3])
  })

  it('change what a stream captures and keeps, and a stream that is read goes on', async () => {
    const { client } = await start()
    const own = client()
    const { streams } = own.admin
    await streams.declare({ name: 'log', topics: ['a.*'] })
    for (let n = 0; n < 5; n++) await own.publish('a.x', n)
    const seen: unknown[] = []
    await own.subscribe('#', ({ data }) => seen.push(data), { stream: 'log', from: 'earliest' }).ready
    expect(await streams.update('log', { topics: ['a.*', 'b.*'], lastValue: true })).toMatchObject({ lastValue: true })
    await own.publish('b.x', 5)
    await expect.poll(() => seen.at(-1)).toBe(5)
    await expect.poll(async () => (await streams.show('log')).messages).toBe(2)
  })

  it('are refused for what is not there or is wrong, and count patterns', async () => {
    const { client } = await start({ maxPatterns: 2 })
    const { queues, streams } = client().admin
    await queues.declare({ name: 'q', bindings: [{ topic: 'a' }] })
    await expect(queues.update('none', { maxAttempts: 1 })).rejects.toMatchObject({ code: 'no_queue' })
    await expect(streams.update('none', { maxBytes: 1 })).rejects.toMatchObject({ code: 'no_stream' })
    await expect(queues.update('q', { maxAttempts: 0 })).rejects.toMatchObject({ code: 'bad_params' })
    await expect(queues.update('q', { maxAttempt: 1 } as never)).rejects.toThrow('Did you mean "maxAttempts"?')
    const renamed = { name: 'other' } as never
    expect(() => queues.update('q', renamed)).toThrow('queues.update: name must be "q" (got "other").')
    expect(() => streams.update('q', renamed)).toThrow('streams.update: name must be "q" (got "other").')
    await expect(queues.update('q', { bindings: ['a', 'b', 'c'].map((topic) => ({ topic })) })).rejects.toMatchObject({
      code: 'too_many_patterns',
    })
    expect(await queues.show('q')).toMatchObject({ bindings: [{ topic: 'a' }], maxAttempts: 5 })
  })
})
