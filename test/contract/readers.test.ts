import { once } from 'node:events'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import type { Client, Message } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { range, streamWorlds } from '../setup/streams.ts'

const DONE = { value: undefined, done: true }

onEveryEngine('readers', (hubs) => {
  const start = streamWorlds(hubs)
  const subscriptions = async (operator: Client) => {
    const { connections } = await operator.admin.connections.list()
    return connections.reduce((sum, { subscriptionCount }) => sum + subscriptionCount, 0)
  }

  it('return() ends a subscription at once, whether a message is being waited for or none was requested yet', async () => {
    const { client } = await start()
    const operator = client()
    const reader = client()
    for (const waiting of [0, 1, 2]) {
      const quiet = reader.subscribe('quiet')
      await quiet.ready
      const iterator = quiet[Symbol.asyncIterator]()
      const nexts = range(0, waiting).map(() => iterator.next())
      expect(await iterator.return?.()).toEqual(DONE)
      expect(await Promise.all(nexts)).toEqual(nexts.map(() => DONE))
      expect(await iterator.next()).toEqual(DONE)
      await quiet.ended
      expect(await subscriptions(operator)).toBe(0)
    }
  })

  it('fifty that come and go on a quiet topic leave nothing at the hub', async () => {
    const { client } = await start()
    const reader = client()
    await Promise.all(
      range(0, 50).map(async (n) => {
        const iterator = reader.subscribe(`quiet.${n}`)[Symbol.asyncIterator]()
        if (n % 2 === 0) void iterator.next()
        if (n % 3 === 0) await reader.ready()
        await iterator.return?.()
      }),
    )
    expect(await subscriptions(client())).toBe(0)
  })

  it('a Node stream reads it, and closes when it is destroyed', async () => {
    const { client } = await start()
    const operator = client()
    const reader = client()
    const numbers = reader.subscribe('numbers')
    await numbers.ready
    const readable = Readable.from(numbers)
    const data = once(readable, 'data')
    await operator.publish('numbers', 1)
    expect((await data)[0]).toMatchObject({ data: 1 })
    readable.destroy()
    await once(readable, 'close')
    await numbers.ended
    expect(await subscriptions(operator)).toBe(0)
  })

  it('concurrent next() calls get the messages in order, and a second reader gets none', async () => {
    const { client } = await start()
    const reader = client()
    const numbers = reader.subscribe<string>('numbers')
    await numbers.ready
    const iterator = numbers[Symbol.asyncIterator]()
    const nexts = [iterator.next(), iterator.next(), iterator.next()]
    const second = numbers[Symbol.asyncIterator]()
    await expect(second.next()).rejects.toThrow(TypeError)
    expect(await second.return?.()).toEqual(DONE)
    for (const n of [1, 2, 3]) await reader.publish('numbers', n)
    expect((await Promise.all(nexts)).map(({ value }) => value?.data)).toEqual([1, 2, 3])
    const rest: unknown[] = []
    await reader.publish('numbers', 4)
    // A loop may continue what was begun by hand.
    for await (const { data } of { [Symbol.asyncIterator]: () => iterator }) if (rest.push(data) === 1) break
    expect(rest).toEqual([4])
    const handled = reader.subscribe('numbers', () => {})
    await expect(handled[Symbol.asyncIterator]().next()).rejects.toThrow(TypeError)
  })

  it('a change that one handler makes to a message is not seen by any other', async () => {
    const { client } = await start()
    const reader = client()
    const spoil = ({ data, headers }: Message<unknown>) => {
      if (data instanceof Uint8Array) data.fill(0)
      else Object.assign(data as object, { list: ['spoiled'], more: true })
      Object.assign(headers ?? {}, { h: 'spoiled' })
    }
    const seen: unknown[] = []
    const keep = (message: Message) => void seen.push(message)
    const order = [
      reader.subscribe('t.*', spoil),
      reader.subscribe('t.#', keep),
      reader.subscribe('t.a', spoil),
      reader.subscribe('#', keep, { filter: { all: { h: 'x' } } }),
      reader.subscribe('t.a', spoil),
    ]
    await Promise.all(order.map(({ ready }) => ready))
    const data = { list: [1, { deep: [null, true] }], text: 'x' }
    const { id } = await reader.publish('t.a', data, { headers: { h: 'x' } })
    await reader.publish('t.a', new Uint8Array([1, 2]), { headers: { h: 'x' }, id: 'bytes' })
    await expect.poll(() => seen.length).toBe(4)
    const whole = { id, topic: 't.a', data, headers: { h: 'x' } }
    const bytes = { id: 'bytes', topic: 't.a', data: new Uint8Array([1, 2]), headers: { h: 'x' } }
    expect(seen).toEqual([whole, whole, bytes, bytes])
  })
})
