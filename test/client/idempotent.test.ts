import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Delivery, fileStore, idempotent, memoryStore } from '../../client/node.ts'
import { range } from '../setup/streams.ts'

const deliveryOf = (id: string, queue = 'q', message: { topic?: string; scope?: string } = {}) =>
  ({ id, queue, topic: 't', ...message }) as Delivery

describe('idempotent', () => {
  it('runs a handler once for each id, also when the same comes twice at once', async () => {
    const ran: string[] = []
    const handler = idempotent(({ id }) => void ran.push(id), memoryStore())
    await Promise.all([handler(deliveryOf('a')), handler(deliveryOf('a')), handler(deliveryOf('b'))])
    await handler(deliveryOf('a'))
    expect(ran).toEqual(['a', 'b'])
  })

  it('takes messages of other queues, topics and publishers for others, whatever their ids', async () => {
    const ran: string[] = []
    const store = memoryStore()
    const [mail, ship] = ['mail', 'ship'].map((name) => idempotent(() => void ran.push(name), store))
    for (const _ of ['first', 'again']) {
      await mail?.(deliveryOf('a', 'mail'))
      await ship?.(deliveryOf('a', 'ship'))
      await ship?.(deliveryOf('a', 'ship', { scope: 'of-ann' }))
      await ship?.(deliveryOf('a', 'ship', { scope: 'of-bob' }))
      await ship?.(deliveryOf('a', 'ship', { topic: 'u' }))
    }
    expect(ran).toEqual(['mail', 'ship', 'ship', 'ship', 'ship'])
  })

  it('knows what an earlier version has stored by the id only', async () => {
    const store = memoryStore()
    await store.add('a')
    const ran: string[] = []
    const handler = idempotent(({ id }) => void ran.push(id), store)
    for (const id of ['a', 'b']) await handler(deliveryOf(id))
    expect(ran).toEqual(['b'])
  })

  it('runs it again if it failed', async () => {
    let runs = 0
    const handler = idempotent(() => {
      if (++runs === 1) throw new Error('no')
    }, memoryStore())
    await expect(handler(deliveryOf('a'))).rejects.toThrow('no')
    await handler(deliveryOf('a'))
    await handler(deliveryOf('a'))
    expect(runs).toBe(2)
  })

  it('in memory the newest ids are remembered', () => {
    const store = memoryStore(2)
    for (const id of ['a', 'b', 'c']) store.add(id)
    expect(['a', 'b', 'c'].map((id) => store.has(id))).toEqual([false, true, true])
  })
})

describe('the file of processed ids', () => {
  let directory = ''
  let path = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fanfare-ids-'))
    path = join(directory, 'deep', 'ids')
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('is remembered when the store is opened again, and a record cut short by a crash is not', async () => {
    const first = await fileStore(path)
    await Promise.all(range(0, 100).map((n) => first.add(`m${n}`)))
    await first.close()
    await appendFile(path, 'm10')
    const second = await fileStore(path)
    expect(range(0, 100).every((n) => second.has(`m${n}`))).toBe(true)
    await second.add('m1000')
    await second.close()
    const third = await fileStore(path)
    expect([third.has('m1000'), third.has('m10m1000'), third.has('m100')]).toEqual([true, false, false])
    await third.close()
  })

  it('keeps its limit while it is open, in memory and on disk', async () => {
    const store = await fileStore(path, 10)
    for (const n of range(0, 100)) await store.add(`m${n}`)
    expect(range(0, 100).filter((n) => store.has(`m${n}`))).toEqual(range(90, 100))
    expect((await readFile(path, 'utf8')).split('\n').length).toBeLessThan(25)
    await store.close()
    const again = await fileStore(path, 10)
    expect(range(0, 100).filter((n) => again.has(`m${n}`))).toEqual(range(90, 100))
    await again.close()
  })

  it('an id that could not be written is not remembered, and this is reported', async () => {
    const store = await fileStore(path)
    await store.add('a')
    await store.close()
    await expect(store.add('b')).rejects.toThrow()
    await expect(store.add('c')).rejects.toThrow()
    expect([store.has('a'), store.has('b')]).toEqual([true, false])
  })
})

it('is not made without a handler, a store and a limit', async () => {
  const refusal = expect.objectContaining({ code: 'bad_option' })
  for (const store of [undefined, null, {}, { has() {} }, 5])
    expect(() => idempotent(() => {}, store as never)).toThrow(refusal)
  expect(() => idempotent(undefined as never, memoryStore())).toThrow(refusal)
  for (const limit of [null, Number.NaN, 0, -1, '5']) expect(() => memoryStore(limit as never)).toThrow(refusal)
  await expect(fileStore('nowhere', Number.NaN)).rejects.toEqual(refusal)
})
