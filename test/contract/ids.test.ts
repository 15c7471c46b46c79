import { expect, it } from 'vitest'
import { connect, idempotent, memoryStore } from '../../client/node.ts'
import { hashApiKey, newApiKey } from '../../server/auth/api-key.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { QueueReader, untilQueue } from '../setup/queues.ts'
import { range, streamWorlds } from '../setup/streams.ts'

onEveryEngine('the id of a message', (hubs) => {
  const worlds = streamWorlds(hubs)
  const start = async () => {
    const world = await worlds({
      queues: [
        { name: 'a' },
        { name: 'b' },
        { name: 'mail', bindings: [{ topic: 'order.paid' }] },
        { name: 'ship', bindings: [{ topic: 'order.shipped' }] },
      ],
    })
    return { ...world, publisher: world.client() }
  }
  const fresh = { duplicate: false }
  const again = { duplicate: true }

  it('belongs to one queue', async () => {
    const { publisher } = await start()
    expect(await publisher.enqueue('a', 1, { id: '17' })).toMatchObject({ ...fresh, queues: ['a'] })
    expect(await publisher.enqueue('b', 2, { id: '17' })).toMatchObject({ ...fresh, queues: ['b'] })
    expect(await publisher.enqueue('b', 2, { id: '17' })).toMatchObject({ ...again, queues: ['b'] })
    expect(await publisher.admin.queues.show('b')).toMatchObject({ depth: 1 })
  })

  it('belongs to one topic, whatever stores its messages', async () => {
    const { publisher, client } = await start()
    await publisher.publish('order.paid', 1, { id: 'order-1' })
    expect(await publisher.publish('order.shipped', 1, { id: 'order-1' })).toMatchObject({ ...fresh, queues: ['ship'] })
    expect(await publisher.publish('s.a', 1, { id: 'order-1' })).toMatchObject(fresh)
    expect(await publisher.publish('s.b', 1, { id: 'order-1' })).toMatchObject({
      ...fresh,
      positions: { s: { offset: 1 } },
    })
    expect(await publisher.publish('s.a', 1, { id: 'order-1' })).toMatchObject({
      ...again,
      positions: { s: { offset: 0 } },
    })
    expect(await new QueueReader(client(), 'ship').done(1)).toEqual([1])
  })

  it('belongs to one subject; all clients without one are one publisher', async () => {
    const keys = { ann: newApiKey(), bob: newApiKey() }
    const auth = {
      anonymous: 'allow' as const,
      apiKeys: Object.entries(keys).map(([name, key]) => ({
        name,
        hash: hashApiKey(key),
        permissions: { publish: ['s.#'] },
      })),
    }
    const { url, client } = await worlds({ auth })
    const offsetOf = async (token?: string) => {
      const publisher = client(url, token === undefined ? {} : { token })
      const { positions, duplicate } = await publisher.publish('s.a', 1, { id: 'order-18' })
      return [positions['s']?.offset, duplicate]
    }
    expect(await offsetOf(keys.bob)).toEqual([0, false])
    expect(await offsetOf(keys.ann)).toEqual([1, false])
    expect(await offsetOf()).toEqual([2, false])
    expect(await offsetOf(keys.bob)).toEqual([0, true])
    expect(await offsetOf(keys.ann)).toEqual([1, true])
    expect(await offsetOf()).toEqual([2, true])
  })

  it('is free again after a purge of its queue, but not while it is on lease or after its ack', async () => {
    const { publisher, client } = await start()
    for (const id of ['acked', 'held']) await publisher.enqueue('a', id, { id })
    const [acked, held] = await new QueueReader(client(), 'a').take(2)
    await acked?.ack()
    await publisher.enqueue('a', 1, { id: 'purged', delay: 60_000 })
    expect(await publisher.admin.queues.purge('a')).toBe(1)
    expect(await publisher.enqueue('a', 1, { id: 'acked' })).toMatchObject(again)
    expect(await publisher.enqueue('a', 1, { id: 'held' })).toMatchObject(again)
    expect(await publisher.enqueue('a', 1, { id: 'purged' })).toMatchObject(fresh)
    await held?.ack()
  })

  it('is free again once all its destinations were deleted or purged', async () => {
    const { publisher } = await start()
    await publisher.admin.streams.declare({ name: 'log', topics: ['both'] })
    await publisher.admin.queues.declare({ name: 'q', bindings: [{ topic: 'both' }] })
    const publish = () => publisher.publish('both', 1, { id: 'one' })
    expect(await publish()).toMatchObject(fresh)
    await publisher.admin.queues.purge('q')
    expect(await publish()).toMatchObject({ ...again, queues: [] })
    await publisher.admin.streams.trim('log')
    expect(await publish()).toMatchObject({ ...fresh, queues: ['q'], positions: { log: { offset: 1 } } })
    await publisher.admin.streams.delete('log')
    expect(await publish()).toMatchObject({ ...again, queues: ['q'], positions: {} })
    await publisher.admin.queues.delete('q')
    await publisher.admin.streams.declare({ name: 'log', topics: ['both'] })
    await publisher.admin.queues.declare({ name: 'q', bindings: [{ topic: 'both' }] })
    expect(await publish()).toMatchObject({ ...fresh, queues: ['q'], positions: { log: { offset: 0 } } })
    expect(await publish()).toMatchObject({ ...again, queues: ['q'], positions: { log: { offset: 0 } } })
  })

  it('is free again once its dead letter was purged, and follows it when it is redriven', async () => {
    const { publisher, client } = await start()
    const { deadLetters } = publisher.admin.queues
    const enqueue = (id: string) => publisher.enqueue('a', id, { id })
    for (const id of ['purged', 'back', 'moved', 'kept']) await enqueue(id)
    const reader = new QueueReader<string>(client(), 'a')
    const letterOf = async (id: string) =>
      (await deadLetters.list('a')).filter(({ message }) => message.id === id).map(({ letter }) => letter)
    for (const delivery of await reader.take(4)) await delivery.reject()
    await reader.close()
    expect((await enqueue('purged')).duplicate).toBe(true)
    expect(await deadLetters.purge('a', { letters: await letterOf('purged') })).toBe(1)
    expect(await enqueue('purged')).toMatchObject({ ...fresh, queues: ['a'] })
    expect(await deadLetters.redrive('a', { letters: await letterOf('back') })).toBe(1)
    expect((await enqueue('back')).duplicate).toBe(true)
    await publisher.admin.queues.purge('a')
    expect((await enqueue('back')).duplicate).toBe(false)
    expect(await deadLetters.redrive('a', { letters: await letterOf('moved') }, { to: 'b' })).toBe(1)
    expect((await enqueue('moved')).duplicate).toBe(true)
    await publisher.admin.queues.delete('b')
    expect((await enqueue('moved')).duplicate).toBe(false)
    expect((await enqueue('kept')).duplicate).toBe(true)
  })

  it('does not make `idempotent` skip the work of another queue, or of another publisher', async () => {
    const keys = { ann: newApiKey(), bob: newApiKey() }
    const apiKeys = Object.entries(keys).map(([name, key]) => ({
      name,
      hash: hashApiKey(key),
      permissions: { publish: ['orders'] },
    }))
    const { url, client } = await worlds({
      auth: { anonymous: 'allow', apiKeys },
      queues: ['mail', 'ship'].map((name) => ({ name, bindings: [{ topic: 'orders' }] })),
    })
    for (const token of [keys.ann, keys.bob, undefined]) {
      const publisher = client(url, token === undefined ? {} : { token })
      await publisher.publish('orders', token === keys.ann ? 'ann' : 'another', { id: 'order-1' })
    }
    const store = memoryStore()
    const ran: string[] = []
    const operator = client()
    for (const queue of ['mail', 'ship']) {
      operator.consume<string>(
        queue,
        idempotent(({ data }) => void ran.push(`${queue} ${data}`), store),
      )
    }
    for (const queue of ['mail', 'ship']) await untilQueue(operator, queue, ({ ackedTotal }) => ackedTotal === 3)
    expect(ran.sort()).toEqual(['mail ann', 'mail another', 'mail another', 'ship ann', 'ship another', 'ship another'])
  })

  it('of a job may be the id of what its ack publishes', async () => {
    const { publisher, client } = await start()
    await publisher.enqueue('a', 20, { id: 'job-1' })
    const [job] = await new QueueReader<number>(client(), 'a').take(1)
    const id = job?.id as string
    await job?.ack({
      publish: [
        { topic: '$queue.b', data: 21, id },
        { topic: 's.done', data: 22, id },
      ],
    })
    expect(await new QueueReader(client(), 'b').done(1)).toEqual([21])
    expect(await publisher.publish('s.done', 23, { id })).toMatchObject({ ...again, positions: { s: { offset: 0 } } })
  })

  it('may come as an Idempotency-Key, which belongs to one queue', async () => {
    const { hub, publisher } = await start()
    const post = async (queue: string) => {
      const headers = { 'content-type': 'application/json', 'idempotency-key': '1' }
      const url = `http://127.0.0.1:${hub.port}/v1/queues/${queue}/messages`
      return (await fetch(url, { method: 'POST', headers, body: '1' })).json()
    }
    const receipts = [await post('a'), await post('b'), await post('a')]
    expect(receipts).toMatchObject([{ queues: ['a'] }, { queues: ['b'] }, { queues: ['a'], duplicate: true }])
    // WebSocket and HTTP are one publisher here: neither has a subject.
    expect(await publisher.enqueue('b', 1, { id: '1' })).toMatchObject(again)
    expect((await publisher.admin.queues.list()).map(({ depth }) => depth)).toEqual([1, 1, 0, 0])
  })

  it('is known if it is among the newest dedupIds, however many came at once', async () => {
    const { url } = await worlds({ dedupIds: 100 })
    const client = connect(url)
    const ids = range(0, 200).map((n) => `m${n}`)
    await Promise.all(ids.map((id) => client.publish('s.a', 1, { id })))
    const known = await Promise.all(ids.slice(100).map((id) => client.publish('s.a', 1, { id })))
    expect(known.filter(({ duplicate }) => duplicate)).toHaveLength(100)
    expect(await client.publish('s.a', 1, { id: 'm99' })).toMatchObject(fresh)
    await client.close()
  })
})
