import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Client, connect, type DeadLetter, type PublishOptions } from '../../client/node.ts'
import { freePort } from '../setup/free-port.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { Peer } from '../setup/peer.ts'
import { QueueReader, untilQueue } from '../setup/queues.ts'
import { range } from '../setup/streams.ts'

const LETTERS = 340
/** More in all than the heap of the hub, in one byte a character and in the two of a text with others. */
const DATA = 'x'.repeat(200_000)

let folder: string
let port: number
let hub: HubProcess
let client: Client

async function start(): Promise<void> {
  const config = await configFile(
    join(folder, 'config.json'),
    [],
    [
      { name: 'q', maxMessages: 1, overflow: 'dead-letter' },
      { name: 'other' },
      { name: 'late', onExpiry: 'dead-letter', maxAttempts: 1 },
    ],
  )
  hub = await HubProcess.start({ data: join(folder, 'data'), port, config }, ['--max-old-space-size=64'])
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-letters-'))
  port = await freePort()
  await start()
  client = connect(hub.url, { backoff: { base: 10, cap: 50 } })
  await enqueueAll('q', LETTERS + 1)
}, 120_000)
afterAll(async () => {
  await client.close()
  await hub.kill()
  await rm(folder, { recursive: true, force: true })
})

/** A few at once: what is under way is in the memory of the hub, too. */
async function enqueueAll(queue: string, count: number, options: PublishOptions = {}): Promise<void> {
  for (let at = 0; at < count; at += 20) {
    await Promise.all(range(at, Math.min(at + 20, count)).map(() => client.enqueue(queue, DATA, options)))
  }
}

const lettersOf = async (queue: string) => (await client.admin.queues.show(queue)).deadLetters

describe('more dead letters than the hub has memory for', () => {
  it('are listed, a page that fits a frame at a time, and another client waits for none of it', async () => {
    const by = await Peer.hello(hub.url)
    const letters: number[] = []
    let longest = 0
    for (let from = 0; ; ) {
      by.send({ type: 'call', seq: 1, method: 'deadLetters.list', params: { name: 'q', from, limit: 1000 } })
      const page = (await by.next('result'))['result'] as DeadLetter[]
      longest = Math.max(longest, page.length)
      const last = page.at(-1)
      if (!last) break
      letters.push(...page.map(({ letter }) => letter))
      from = last.letter + 1
    }
    by.socket.terminate()
    expect(letters).toEqual(range(0, LETTERS))
    expect(longest).toBeLessThan(10)
    // What matches is the last: all others are looked at, and none is kept.
    const { result, waited, took } = await whileOthersPublish(
      client.admin.queues.deadLetters.list('q', { error: 'nothing' }),
    )
    expect(result).toEqual([])
    // A busy machine has its own delays.
    expect(waited).toBeLessThan(Math.max(1000, took / 2))
  })

  it('are redriven, also when the hub is killed in the middle: each is moved once', async () => {
    const redrive = client.admin.queues.deadLetters.redrive('q', {}, { to: 'other' }).then(
      () => 'done',
      ({ code }) => code,
    )
    await untilQueue(client, 'other', ({ depth }) => depth > LETTERS / 4)
    await hub.kill()
    await start()
    expect(await redrive).toBe('connection_lost')
    const left = await lettersOf('q')
    const { depth } = await client.admin.queues.show('other')
    expect(depth + left).toBe(LETTERS)
    expect(left).toBeGreaterThan(0)
    expect(await client.admin.queues.deadLetters.redrive('q', {}, { to: 'other' })).toBe(left)
    const ids = new Set<string>()
    const reader = new QueueReader(client, 'other', { prefetch: 50 })
    while (ids.size < LETTERS) {
      const delivery = await reader.next()
      expect(ids.has(delivery.id)).toBe(false)
      ids.add(delivery.id)
      await delivery.ack()
    }
    await reader.close()
    expect(await client.admin.queues.show('other')).toMatchObject({ depth: 0, inFlight: 0 })
  }, 120_000)

  it('may expire at once, and be purged at once', async () => {
    const expiresAt = Date.now() + 20_000
    await enqueueAll('late', LETTERS, { expiresAt })
    await untilQueue(client, 'late', ({ deadLetters }) => deadLetters === LETTERS)
    expect(await client.admin.queues.deadLetters.purge('late')).toBe(LETTERS)
    expect(await lettersOf('late')).toBe(0)
  }, 120_000)
})

/** How long the slowest publish took while something else was under way, and how long that took. */
async function whileOthersPublish<Result>(
  other: Promise<Result>,
): Promise<{ result: Result; waited: number; took: number }> {
  const since = performance.now()
  let waited = 0
  let over = false
  const publishing = (async () => {
    while (!over) {
      const start = performance.now()
      await client.publish('live', 1)
      waited = Math.max(waited, performance.now() - start)
    }
  })()
  const result = await other
  const took = performance.now() - since
  over = true
  await publishing
  return { result, waited, took }
}
