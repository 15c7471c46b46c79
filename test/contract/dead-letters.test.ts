import { expect, it } from 'vitest'
import type { Client, DeadLetter, FanfareError } from '../../client/node.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { QueueReader, untilQueue } from '../setup/queues.ts'
import { range, streamWorlds } from '../setup/streams.ts'

/** An error whose message reports what was done. */
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: FanfareError) => error,
  )

onEveryEngine('dead letters', (hubs) => {
  const worlds = streamWorlds(hubs)

  /** A queue with this many dead letters, made by overflow, and one more message that waits. */
  async function withLetters(count: number, dataOf: (n: number) => unknown, more: readonly object[] = []) {
    const queues = [{ name: 'q', maxMessages: 1, overflow: 'dead-letter' as const }, ...(more as { name: string }[])]
    const world = await worlds({ queues })
    const publisher = world.client()
    await Promise.all(
      range(0, count + 1).map((n) => publisher.enqueue('q', dataOf(n), { key: n % 2 ? 'odd' : 'even' })),
    )
    return { ...world, publisher, letters: publisher.admin.queues.deadLetters }
  }

  const numbersOf = (letters: readonly DeadLetter[]) => letters.map(({ letter }) => letter)

  /** The hub's responses, page by page, as a client in another language would request them. */
  async function pagesOf(ask: (params: object) => Promise<DeadLetter[]>, params: object): Promise<DeadLetter[][]> {
    const pages: DeadLetter[][] = []
    for (let from = 0; ; ) {
      const page = await ask({ ...params, from })
      const last = page.at(-1)
      if (!last) return pages
      pages.push(page)
      from = last.letter + 1
    }
  }

  /** Their data; each is acked on arrival, so that its group goes on. */
  async function drained(client: Client, queue: string, count: number): Promise<unknown[]> {
    const reader = new QueueReader(client, queue, { prefetch: 1000 })
    const data: unknown[] = []
    while (data.length < count) {
      const delivery = await reader.next()
      data.push(delivery.data)
      void delivery.ack()
    }
    await reader.close()
    return data
  }

  it('are listed in pages of about 1 MiB, whatever the limit', async () => {
    const { hub, peer, letters } = await withLetters(40, () => 'x'.repeat(100_000))
    const by = await peer()
    const overWebSocket = async (params: object) => {
      by.send({ type: 'call', seq: 1, method: 'deadLetters.list', params: { name: 'q', ...params } })
      return (await by.next('result'))['result'] as DeadLetter[]
    }
    const overHttp = async (params: object) => {
      const query = new URLSearchParams(Object.entries(params).map(([name, value]) => [name, String(value)]))
      const answer = await fetch(`http://127.0.0.1:${hub.port}/v1/queues/q/dead-letters?${query}`)
      return (await answer.json()) as DeadLetter[]
    }
    for (const ask of [overWebSocket, overHttp]) {
      const pages = await pagesOf(ask, { limit: 1000 })
      expect(numbersOf(pages.flat())).toEqual(range(0, 40))
      for (const page of pages) expect(JSON.stringify(page).length).toBeLessThan(1.5 * 1024 * 1024)
    }
    expect(numbersOf(await letters.list('q', {}, { limit: 1000 }))).toEqual(range(0, 40))
    expect(numbersOf(await letters.list('q', { key: 'odd' }, { from: 5, limit: 15 }))).toEqual(
      range(0, 40)
        .filter((n) => n % 2 && n >= 5)
        .slice(0, 15),
    )
    expect(numbersOf(await letters.list('q', { letters: [39, 3, 3, 77, 0] }))).toEqual([0, 3, 39])
  })

  it('are redriven in order, even if they are more than one commit takes', async () => {
    const { client, letters, publisher } = await withLetters(1300, (n) => n, [{ name: 'other' }])
    expect(await letters.redrive('q', {}, { to: 'other' })).toBe(1300)
    expect(await publisher.admin.queues.show('q')).toMatchObject({ deadLetters: 0 })
    const data = (await drained(client(), 'other', 1300)) as number[]
    for (const parity of [0, 1]) {
      const ofGroup = (n: number) => n % 2 === parity
      expect(data.filter(ofGroup)).toEqual(range(0, 1300).filter(ofGroup))
    }
  })

  it('that do not fit stay where they are; the error reports how many were moved and how many are left', async () => {
    const { publisher, letters } = await withLetters(1300, (n) => n, [{ name: 'small', maxMessages: 1020 }])
    const error = await refusal(letters.redrive('q', {}, { to: 'small' }))
    expect(error).toMatchObject({
      code: 'queue_limit',
      message: expect.stringContaining('1000 were moved into "small" and 300 are left'),
    })
    expect(await publisher.admin.queues.show('small')).toMatchObject({ depth: 1000 })
    expect(await publisher.admin.queues.show('q')).toMatchObject({ deadLetters: 300 })
    expect(numbersOf(await letters.list('q', {}, { limit: 1 }))).toEqual([1000])
    await expect(letters.redrive('q', { letters: [] }, { to: 'none' })).rejects.toMatchObject({ code: 'no_queue' })
  })

  it('are each moved once, even if several clients redrive and purge at the same time', async () => {
    const { client, publisher, letters } = await withLetters(2000, (n) => n, [{ name: 'a' }, { name: 'b' }])
    const [first, second, purged] = await Promise.all([
      letters.redrive('q', {}, { to: 'a' }),
      letters.redrive('q', {}, { to: 'b' }),
      letters.purge('q', { key: 'odd' }),
    ])
    expect((first ?? 0) + (second ?? 0) + (purged ?? 0)).toBe(2000)
    const seen = new Set<unknown>()
    for (const [queue, count] of [
      ['a', first],
      ['b', second],
    ] as const) {
      for (const data of await drained(client(), queue, count ?? 0)) {
        expect(seen.has(data)).toBe(false)
        seen.add(data)
      }
    }
    expect(seen.size).toBe(2000 - (purged ?? 0))
    expect(await publisher.admin.queues.show('q')).toMatchObject({ deadLetters: 0 })
  })

  it('of a queue that is deleted during a redrive are moved or deleted with it, and none twice', async () => {
    const { client, publisher, letters } = await withLetters(3000, (n) => n, [{ name: 'other' }])
    const redriven = letters.redrive('q', {}, { to: 'other' }).then(
      (count) => count,
      (error: FanfareError) => error,
    )
    await untilQueue(publisher, 'other', ({ depth }) => depth > 0)
    await publisher.admin.queues.delete('q')
    const outcome = await redriven
    if (typeof outcome !== 'number') expect(outcome).toMatchObject({ code: 'no_queue' })
    const { depth } = await publisher.admin.queues.show('other')
    const data = (await drained(client(), 'other', depth)) as number[]
    expect(new Set(data).size).toBe(depth)
    if (typeof outcome === 'number') expect(depth).toBe(outcome)
    await publisher.admin.queues.declare({ name: 'q' })
    expect(await publisher.admin.queues.show('q')).toMatchObject({ depth: 0, deadLetters: 0 })
  })

  it('of a queue that is declared again during a redrive are not confused with those of its predecessor', async () => {
    const { client, publisher, letters } = await withLetters(10, (n) => n, [{ name: 'other' }])
    const redriven = refusal(letters.redrive('q', {}, { to: 'other', perSecond: 20 }))
    await untilQueue(publisher, 'other', ({ depth }) => depth > 0)
    await publisher.admin.queues.delete('q')
    const { depth } = await publisher.admin.queues.show('other')
    expect(depth).toBeLessThan(10)
    await publisher.admin.queues.declare({ name: 'q' })
    client().consume('q', (delivery) => delivery.reject())
    for (const n of range(0, 10)) await publisher.enqueue('q', n)
    await untilQueue(publisher, 'q', ({ deadLetters }) => deadLetters === 10)
    expect(await redriven).toMatchObject({ code: 'no_queue' })
    expect(await publisher.admin.queues.show('q')).toMatchObject({ deadLetters: 10 })
    expect(await publisher.admin.queues.show('other')).toMatchObject({ depth })
  })

  it('stay if the target queue of their redrive is deleted meanwhile', async () => {
    const { publisher, letters } = await withLetters(3000, (n) => n, [{ name: 'other' }])
    const redriven = refusal(letters.redrive('q', {}, { to: 'other' }))
    await untilQueue(publisher, 'other', ({ depth }) => depth > 0)
    await publisher.admin.queues.delete('other')
    const error = await redriven
    const { deadLetters } = await publisher.admin.queues.show('q')
    // It may have finished before the deletion.
    if (error)
      expect(error).toMatchObject({ code: 'no_queue', message: expect.stringContaining(`${deadLetters} are left`) })
    else expect(deadLetters).toBe(0)
  })

  it('that are dead-lettered again during a redrive are redriven by the next one: none is lost, none is doubled', async () => {
    const { client, publisher, letters } = await withLetters(1500, (n) => n, [{ name: 'other' }])
    const dying = (async () => {
      for (const n of range(2000, 2300)) await publisher.enqueue('q', n)
    })()
    let moved = await letters.redrive('q', {}, { to: 'other' })
    await dying
    moved += await letters.redrive('q', {}, { to: 'other' })
    const data = (await drained(client(), 'other', moved)) as number[]
    const waiting = (await drained(client(), 'q', 1)) as number[]
    expect([...data, ...waiting].sort((a, b) => a - b)).toEqual([...range(0, 1501), ...range(2000, 2300)])
    expect(await publisher.admin.queues.show('q')).toMatchObject({ deadLetters: 0, depth: 0 })
  })

  it('that are added while others are redriven stay', async () => {
    const { client, publisher, letters } = await withLetters(10, (n) => n)
    client().consume('q', (delivery) => delivery.reject())
    await untilQueue(publisher, 'q', ({ depth, inFlight }) => depth + inFlight === 0)
    await publisher.admin.queues.declare({ name: 'again', overflow: 'reject' })
    const moved = await letters.redrive('q', {}, { to: 'again', perSecond: 1000 })
    expect(moved).toBe(11)
    client().consume('again', (delivery) => delivery.reject())
    await untilQueue(publisher, 'again', ({ deadLetters }) => deadLetters === 11)
    expect(await letters.redrive('again')).toBe(11)
    await untilQueue(publisher, 'again', ({ deadLetters }) => deadLetters === 11)
  })

  it.each([
    ['text', { text: ',"expiresAt":12', n: 1 }],
    ['bytes', new Uint8Array([0, 1, 255])],
  ])('have no expiry after a redrive: %s', async (_, data) => {
    const { client, publisher, letters } = await withLetters(0, () => 0, [{ name: 'jobs' }])
    const headers = { expiresAt: '17', data: ',"expiresAt":13' }
    const key = ',"expiresAt":14'
    await publisher.enqueue('jobs', data, { expiresAt: Date.now() + 60_000, headers, key })
    await publisher.enqueue('jobs', data, { headers })
    const reader = new QueueReader(client(), 'jobs')
    for (const delivery of await reader.take(2)) await delivery.reject()
    expect((await letters.list('jobs'))[0]?.message.expiresAt).toBeGreaterThan(Date.now())
    expect(await letters.redrive('jobs')).toBe(2)
    const [first, second] = await reader.take(2)
    expect(first?.message).toMatchObject({ headers, key, data })
    expect(second?.message).toMatchObject({ headers, data })
    for (const delivery of [first, second]) expect(delivery?.message.expiresAt).toBeUndefined()
  })

  it('beyond maxDeadLetters are counted, in the queue, its topic and its metric', async () => {
    const { hub, client, publisher } = await worlds({ queues: [{ name: 'q', maxDeadLetters: 3 }] }).then((world) => ({
      ...world,
      publisher: world.client(),
    }))
    await Promise.all(range(0, 10).map((n) => publisher.enqueue('q', n)))
    const deliveries = await new QueueReader(client(), 'q').take(10)
    await Promise.all(deliveries.map((delivery) => delivery.reject()))
    const counts = { deadLetters: 3, deadLettersDroppedTotal: 7 }
    expect(await publisher.admin.queues.show('q')).toMatchObject(counts)
    for await (const { data } of client().subscribe('$sys.queues.q')) {
      expect(data).toMatchObject(counts)
      break
    }
    const metrics = await (await fetch(`http://127.0.0.1:${hub.port}/metrics`)).text()
    expect(metrics).toContain('fanfare_queue_dead_letters_dropped_total{queue="q"} 7')
  })

  it('of many parked groups: a hundred keys are listed, and how many more there are', async () => {
    const { client, publisher } = await withLetters(0, () => 0, [{ name: 'jobs', onDeadLetter: 'park' }])
    await Promise.all(range(0, 150).map((n) => publisher.enqueue('jobs', n, { key: `group ${n}` })))
    client().consume('jobs', (delivery) => delivery.reject(), { concurrency: 150 })
    const info = await untilQueue(publisher, 'jobs', ({ deadLetters }) => deadLetters === 150)
    expect([info.parked.length, info.parkedMore]).toEqual([100, 50])
    await publisher.admin.queues.unpark('jobs', info.parked[0] as string)
    expect((await publisher.admin.queues.show('jobs')).parkedMore).toBe(49)
  })

  it('that are added after the count are not moved with those that were counted', async () => {
    const { hub, publisher, letters } = await withLetters(6, (n) => n, [{ name: 'jobs' }])
    const deadLetters = `http://127.0.0.1:${hub.port}/v1/queues/q/dead-letters`
    const dieMore = async (count: number) => {
      for (const n of range(0, count)) await publisher.enqueue('q', n, { key: 'even' })
    }
    const counted = (filter: object) => publisher.call('deadLetters.count', { name: 'q', filter })
    expect(await counted({})).toEqual({ count: 6, through: 5 })
    expect(await counted({ key: 'even' })).toEqual({ count: 3, through: 4 })
    expect(await counted({ key: 'none' })).toEqual({ count: 0 })
    expect(await counted({ letters: [4, 1, 99] })).toEqual({ count: 2, through: 4 })
    await dieMore(4)
    const filter = { key: 'even', through: 4 }
    expect(await letters.count('q', filter)).toBe(3)
    expect(numbersOf(await letters.list('q', { through: 2 }))).toEqual([0, 1, 2])
    expect(numbersOf(await letters.list('q', { through: 2, letters: [9, 2, 0] }))).toEqual([0, 2])
    const shown = await fetch(`${deadLetters}?through=1&limit=5`)
    expect(numbersOf((await shown.json()) as DeadLetter[])).toEqual([0, 1])
    expect(await letters.purge('q', filter)).toBe(3)
    const redriven = await fetch(`${deadLetters}/redrive`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ filter: { through: 5 }, to: 'jobs' }),
    })
    expect(await redriven.json()).toEqual({ count: 3 })
    expect(numbersOf(await letters.list('q'))).toEqual([6, 7, 8, 9])
    // All that were counted are gone, and no other was taken in their place.
    expect(await letters.purge('q', { through: 5 })).toBe(0)
    for (const through of [-1, 1.5, '5']) {
      await expect(counted({ through })).rejects.toMatchObject({ code: 'bad_params' })
    }
  })

  it('are all kept when many messages expire, or are rejected, at once', async () => {
    const { client, publisher } = await withLetters(0, () => 0, [{ name: 'late', onExpiry: 'dead-letter' }])
    const data = 'x'.repeat(100_000)
    const expiresAt = Date.now() + 4000
    await Promise.all(range(0, 100).map((n) => publisher.enqueue('late', data, { expiresAt, key: `${n}` })))
    await untilQueue(publisher, 'late', ({ depth, deadLetters }) => depth === 0 && deadLetters === 100)
    expect(await publisher.admin.queues.deadLetters.redrive('late')).toBe(100)
    const deliveries = await new QueueReader(client(), 'late', { prefetch: 100 }).take(100)
    await Promise.all(deliveries.map((delivery) => delivery.reject()))
    expect(await publisher.admin.queues.show('late')).toMatchObject({ depth: 0, inFlight: 0, deadLetters: 100 })
  })
})
