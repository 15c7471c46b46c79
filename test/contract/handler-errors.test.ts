import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { usedHeap } from '../setup/garbage.ts'
import { onEveryEngine } from '../setup/hubs.ts'
import { QueueReader, untilQueue } from '../setup/queues.ts'
import { range, streamWorlds } from '../setup/streams.ts'

onEveryEngine('errors of handlers', (hubs) => {
  const worlds = streamWorlds(hubs)

  it('that are long are cut by the client, which keeps their first part', async () => {
    const { client } = await worlds({ queues: [{ name: 'q' }] })
    const publisher = client()
    const text = `what is wrong ${'x'.repeat(100_000)}`
    for (const n of range(0, 3)) await publisher.enqueue('q', n)
    const reader = new QueueReader(client(), 'q')
    const [first, second, third] = await reader.take(3)
    await first?.reject(text)
    await second?.reject(new Error(text))
    await third?.nack({ delay: 0, error: text })
    const letters = await publisher.admin.queues.deadLetters.list('q')
    expect(letters.map(({ error }) => error?.length)).toEqual([2000, 2000])
    expect(letters[0]?.error).toBe(text.slice(0, 2000))
    expect(letters[1]?.error).toMatch(/^Error: what is wrong x/)
    expect(await reader.next()).toMatchObject({ data: 2, attempt: 2, lastError: text.slice(0, 2000) })
  })

  it('of very many messages that wait for another attempt take no memory', async () => {
    const COUNT = 8_000
    const data = await mkdtemp(join(tmpdir(), 'fanfare-errors-'))
    onTestFinished(() => rm(data, { recursive: true, force: true }))
    const { client, peer } = await worlds({ data, queues: [{ name: 'q' }] })
    const publisher = client()
    for (const at of range(0, 20)) {
      await Promise.all(range(0, COUNT / 20).map((n) => publisher.enqueue('q', at + n)))
    }
    const before = usedHeap()
    const consumer = await peer()
    consumer.send({ type: 'consume', consumer: 1, queue: 'q', prefetch: 1000 })
    for (let n = 0; n < COUNT; n++) {
      const { delivery } = await consumer.next('delivery')
      consumer.send({ type: 'nack', consumer: 1, delivery, delayMs: 3_600_000, error: `${n} ${'x'.repeat(1990)}` })
    }
    await untilQueue(publisher, 'q', ({ delayed }) => delayed === COUNT)
    consumer.socket.terminate()
    consumer.frames.length = consumer.batches.length = 0
    // Their texts are 16 MB.
    expect(usedHeap() - before).toBeLessThan(8_000_000)
  })
})
