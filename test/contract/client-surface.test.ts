import { expect, it } from 'vitest'
import type { Message } from '../../client/index.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { streamWorlds } from '../setup/streams.ts'

interface Photo {
  readonly url: string
}

onEveryEngine('the client', (hubs) => {
  const start = streamWorlds(hubs)

  it('disposes what `await using` holds, and itself last', async () => {
    const { client } = await start({ queues: [{ name: 'q' }] })
    const own = client()
    const ended: string[] = []
    {
      await using subscription = own.subscribe('a', () => {})
      await using consumer = own.consume('q', () => {})
      await using responder = own.respond('sums', () => 1)
      void subscription.ended.then(() => ended.push('subscription'))
      void consumer.ended.then(() => ended.push('consumer'))
      void responder.ended.then(() => ended.push('responder'))
      await Promise.all([subscription.ready, consumer.ready, responder.ready])
    }
    expect(ended.sort()).toEqual(['consumer', 'responder', 'subscription'])
    {
      await using used = own
      expect(used.state).toBe('connected')
    }
    expect(own.state).toBe('closed')
  })

  it('types the data of a subscription by its argument', async () => {
    const { client } = await start()
    const own = client()
    const urls: string[] = []
    const live = own.subscribe<Photo>('photos', ({ data }) => urls.push(data.url))
    await live.ready
    await own.publish('photos', { url: 'a.jpg' })
    await expect.poll(() => urls).toEqual(['a.jpg'])
    const names: string[] = []
    const read = own.subscribe<string>('names')
    await read.ready
    await own.publish('names', 'Ann')
    for await (const { data } of read) {
      names.push(data.toUpperCase())
      break
    }
    expect(names).toEqual(['ANN'])
    const list: Message[] = []
    await own.subscribe('photos', (message) => list.push(message)).ready
  })

  it('treats options that are undefined as missing', async () => {
    const { client } = await start({ queues: [{ name: 'q' }], streams: [{ name: 's', topics: ['s.#'] }] })
    const own = client()
    const none = undefined
    await own.publish('s.a', 1, { key: none, headers: none, delay: none, expiresAt: none, id: none, signal: none })
    await own.subscribe('s.#', () => {}, { from: none, policy: none, filter: none, cursor: none, onGap: none }).ready
    await own.consume('q', () => {}, { concurrency: none, ackDeadline: none, maxRunTime: none, onError: none }).ready
    await own.respond('sums', () => 1, { onError: none }).ready
    expect(await own.request('sums', 1, { timeout: none, headers: none, raw: none, signal: none })).toBe(1)
    await own.call('hub.whoami', none, { timeout: none, signal: none })
    await own.admin.queues.declare({ name: 'q2', ackDeadline: none, backoff: { base: none, cap: none } })
    await own.close({ timeout: none })
  })

  it('gives a delivery all fields of its message', async () => {
    const { client } = await start({ queues: [{ name: 'q' }] })
    const own = client()
    const expiresAt = Date.now() + 600_000
    await own.enqueue('q', 1, { key: 'k', headers: { a: 'b' }, expiresAt })
    for await (const delivery of own.consume('q')) {
      const { message, key, headers, publishedAt, offsets } = delivery
      expect({ key, headers, expiresAt: delivery.expiresAt }).toEqual({ key: 'k', headers: { a: 'b' }, expiresAt })
      expect({ publishedAt, offsets }).toEqual({ publishedAt: message.publishedAt, offsets: message.offsets })
      await delivery.ack()
      break
    }
  })

  it('refuses an unknown option, and names the nearest known one', async () => {
    const { client } = await start()
    const own = client()
    const odd = (options: object) => options as never
    const refused = (unknown: string, known: string) => ({
      code: 'bad_option',
      message: expect.stringContaining(`has no option "${unknown}". Did you mean "${known}"?`),
    })
    await expect(own.publish('a', 1, odd({ priorty: 3 }))).rejects.toMatchObject(refused('priorty', 'priority'))
    await expect(own.enqueue('q', 1, odd({ delayMs: 3 }))).rejects.toMatchObject(refused('delayMs', 'delay'))
    await expect(own.request('a', 1, odd({ timeoutMs: 3 }))).rejects.toMatchObject(refused('timeoutMs', 'timeout'))
    await expect(own.call('hub.show', {}, odd({ tiemout: 3 }))).rejects.toMatchObject(refused('tiemout', 'timeout'))
    expect(() => own.subscribe('a', odd({ form: 1 }))).toThrow(expect.objectContaining(refused('form', 'from')))
    expect(() => own.consume('q', odd({ prefech: 1 }))).toThrow(expect.objectContaining(refused('prefech', 'prefetch')))
    expect(() => own.respond('q', () => 1, odd({ onEror: 1 }))).toThrow(
      expect.objectContaining(refused('onEror', 'onError')),
    )
    await expect(own.enqueue('q', 1, odd({ repeat: {} }))).rejects.toThrow(/no option "repeat"(?!.*Did you mean)/)
  })

  it('refuses data that JSON would mangle', async () => {
    const { client } = await start()
    const own = client()
    for (const odd of [new Uint8Array(2), new ArrayBuffer(2), new Map(), new Set(), () => {}, Symbol('x'), 1n]) {
      for (const data of [{ a: odd }, [odd], { a: [{ b: odd }] }]) {
        await expect(own.publish('a', data)).rejects.toMatchObject({ code: 'bad_data' })
        await expect(own.request('a', data)).rejects.toMatchObject({ code: 'bad_data' })
      }
    }
  })
})
