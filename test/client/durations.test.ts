import { afterEach, beforeEach, expect, it } from 'vitest'
import { type TestHub, testHub } from '../kit/index.ts'

let hub: TestHub
beforeEach(async () => {
  hub = await testHub({ queues: [{ name: 'q' }], streams: [{ name: 's', topics: ['s.#'] }] })
})
afterEach(() => hub.close())

it('a delay may be text with a unit, and an instant a Date', async () => {
  const client = hub.connect()
  await client.enqueue('q', 'delay', { delay: '1.5s' })
  await client.enqueue('q', 'date', { deliverAt: new Date(hub.now + 3_000) })
  await client.enqueue('q', 'expired', { delay: '4s', expiresAt: new Date(hub.now + 2_000) })
  const got: unknown[] = []
  client.consume('q', ({ data }) => got.push(data), { ackDeadline: '1m', maxRunTime: '2m' })
  await hub.advance('1499ms')
  expect(got).toEqual([])
  await hub.advance(1)
  expect(got).toEqual(['delay'])
  await hub.advance('5s')
  expect(got).toEqual(['delay', 'date'])
})

it('publishes of an ack and a nack accept them, too', async () => {
  const client = hub.connect()
  const got: unknown[] = []
  await client.enqueue('q', 'first')
  client.consume('q', async (delivery) => {
    got.push([delivery.data, delivery.attempt])
    if (delivery.attempt === 1) await delivery.nack({ delay: '2m' })
    else if (delivery.data === 'first') await delivery.ack({ publish: [{ topic: '$queue.q', data: 2, delay: '1h' }] })
  })
  await hub.advance('119s')
  expect(got).toEqual([['first', 1]])
  await hub.advance('1s')
  expect(got).toHaveLength(2)
  await hub.advance('59m')
  expect(got).toHaveLength(2)
  await hub.advance('1m')
  expect(got.at(-1)).toEqual([2, 1])
})

it('a request, a call and a connection wait for as long as the text says', async () => {
  const client = hub.connect({ callTimeout: '2s', backoff: { base: '100ms', cap: '1s' } })
  const failed: unknown[] = []
  const code = (error: { code: unknown }) => failed.push(error.code)
  await client.ready()
  hub.cut({ duration: '1h' })
  await hub.settled()
  client.request('sums', [1], { timeout: '1s' }).catch(code)
  client.call('hub.show').catch(code)
  await hub.advance('999ms')
  expect(failed).toEqual([])
  await hub.advance(1)
  expect(failed).toEqual(['request_timeout'])
  await hub.advance('1s')
  expect(failed).toEqual(['request_timeout', 'request_timeout'])
})

it.each<[string, (now: number) => Date | number]>([
  ['a Date', (now) => new Date(now)],
  ['milliseconds', (now) => now],
  ['a fraction of a millisecond', (now) => now - 0.5],
])('a subscription starts at %s', async (_kind, instant) => {
  const client = hub.connect()
  await client.publish('s.a', 'before')
  await hub.advance('1m')
  const since = instant(hub.now)
  await client.publish('s.a', 'after')
  const got: unknown[] = []
  client.subscribe('s.#', ({ data }) => got.push(data), { from: { time: since } })
  await hub.settled()
  expect(got).toEqual(['after'])
})

it.each<[string, object]>([
  ['delay', { delay: 'soon' }],
  ['delay', { delay: '5' }],
  ['delay', { delay: -1 }],
  ['delay', { delay: '400d' }],
  ['delay', { delay: Number.NaN }],
  ['expiresAt', { expiresAt: new Date(Number.NaN) }],
  ['expiresAt', { expiresAt: '2030-01-31' }],
  ['deliverAt', { deliverAt: -1 }],
])('a publish with a wrong %s is refused: %o', async (name, options) => {
  const refused = { code: 'bad_option', message: expect.stringContaining(`publish: ${name} must be`) }
  await expect(hub.connect().enqueue('q', 1, options)).rejects.toMatchObject(refused)
})

it('an extension and a movement of the time that are not durations are refused', async () => {
  const client = hub.connect()
  await client.enqueue('q', 1)
  const errors: unknown[] = []
  client.consume('q', (delivery) => delivery.extend('long'), { onError: (error) => errors.push(error) })
  await hub.settled()
  const refused = expect.objectContaining({ code: 'bad_option' })
  expect(errors).toEqual([refused])
  expect(() => hub.advance('soon')).toThrow(refused)
  expect(() => hub.cut({ duration: 'long' })).toThrow(refused)
})

it('an instant beyond all calendars, or a Date that is none, is refused before it is sent', async () => {
  const client = hub.connect()
  for (const time of [new Date(Number.NaN), 1e20, -1, Number.NaN, '2026-01-31'] as number[]) {
    const words = { code: 'bad_option', message: expect.stringContaining('a Date, or milliseconds since 1970') }
    await expect(client.publish('a', 1, { expiresAt: time })).rejects.toMatchObject(words)
    await expect(client.publish('a', 1, { deliverAt: time })).rejects.toMatchObject(words)
  }
})
