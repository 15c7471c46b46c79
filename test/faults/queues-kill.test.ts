import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Client, connect, type Delivery } from '../../client/node.ts'
import { allLetters, Chain, chainConfig, drained } from '../setup/chain.ts'
import { freePort } from '../setup/free-port.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { seeded } from '../setup/seeded.ts'
import { UnderWay } from '../setup/under-way.ts'
import { WorkerProcesses } from '../setup/worker-processes.ts'

const KILLS = Number(process.env['FAULTS_KILLS'] ?? 6)
const SEED = Number(process.env['FAULTS_SEED'] ?? Date.now() % 1_000_000)
const PUBLISHERS = 2
const GROUPS = 20
/** Publishes of one publisher that are under way at once. */
const UNDER_WAY = 25
const ATTEMPTS = 3

let folder: string
let port: number
let hub: HubProcess
let workers: WorkerProcesses
let clients: Client[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-queues-'))
  port = await freePort()
  clients = []
  await start()
})
afterEach(async () => {
  await workers?.killAll()
  await Promise.all(clients.map((client) => client.close()))
  await hub.kill()
  await rm(folder, { recursive: true, force: true })
})

async function start(): Promise<void> {
  const config = await chainConfig(folder, ATTEMPTS)
  hub = await HubProcess.start({ data: join(folder, 'data'), port, config })
}

async function restart(): Promise<void> {
  await hub.kill()
  await start()
}

function client(): Client {
  const made = connect(`ws://127.0.0.1:${port}/`, { backoff: { base: 10, cap: 50 } })
  clients.push(made)
  return made
}

/** The numbers that have been given to messages. */
interface Count {
  last: number
}

/** Publishes until told to stop, most of it in groups of its own; some messages fail once, a few always. */
async function publish(publisher: number, count: Count, random: () => number, stopped: () => boolean): Promise<void> {
  const from = client()
  const underWay = new UnderWay(UNDER_WAY)
  while (!stopped()) {
    const n = ++count.last
    const failures = n % 100 === 0 ? ATTEMPTS : n % 10 === 0 ? 1 : 0
    const key = n % 4 === 1 ? {} : { key: `${publisher}.${Math.floor(random() * GROUPS)}` }
    // Some are still at work when the hub is there again, and does not know them any more.
    const data = { n, failures, takesMs: random() < 0.02 ? 1000 : Math.floor(random() * 10) }
    await underWay.begin(() => from.enqueue('work', data, key))
  }
  await underWay.done()
}

it(`is killed ${KILLS} times under publishers and consumers, and every message comes through (seed ${SEED})`, {
  timeout: 60_000 + KILLS * 6_000,
}, async () => {
  process.stdout.write(`FAULTS_SEED=${SEED} repeats these kills\n`)
  const random = seeded(SEED)
  workers = new WorkerProcesses(hub.url, 'work')
  await Promise.all([workers.start(), workers.start()])
  const chain = new Chain(client(), 'work')
  const count = { last: 0 }
  let stop = false
  const publishers = Array.from({ length: PUBLISHERS }, (_, at) => publish(at, count, seeded(SEED + at), () => stop))
  for (let kill = 0; kill < KILLS; kill++) {
    // Not an event, but the fault itself: a moment that no code has chosen.
    await wait(random() * 400)
    await restart()
  }
  stop = true
  await Promise.all(publishers)
  const observer = client()
  await drained(observer, 'work')
  const letters = await allLetters(observer, 'work')
  await chain.has(count.last - letters.length)
  chain.expectAll(count.last, letters)
  process.stdout.write(`${count.last} messages, ${letters.length} dead letters\n`)
  expectLetters(count.last, letters)
  await restart()
  expect(await allLetters(observer, 'work')).toEqual(letters)
  const again = new Chain(observer, 'work')
  await again.has(chain.links.length)
  expect(again.links).toEqual(chain.links)
})

/** Every hundredth message, each after its attempts: none of them was forgotten, and no other was counted. */
function expectLetters(last: number, letters: Awaited<ReturnType<typeof allLetters>>): void {
  const dead = letters.map(({ message, attempts, error }) => {
    const { n } = message.data as { n: number }
    return { n, attempts, refused: error?.includes(`refuses ${n}`) }
  })
  dead.sort((a, b) => a.n - b.n)
  const expected = Array.from({ length: Math.floor(last / 100) }, (_, at) => (at + 1) * 100)
  expect(dead).toEqual(expected.map((n) => ({ n, attempts: ATTEMPTS, refused: true })))
}

it('keeps attempts, errors and dead letters', async () => {
  const consumed = client()
  await consumed.enqueue('work', 'a')
  const deliveries = consumed.consume('work', { prefetch: 1 })[Symbol.asyncIterator]()
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { value: delivery } = (await deliveries.next()) as { value: Delivery }
    expect(delivery).toMatchObject({ data: 'a', attempt, lastError: attempt > 1 ? `wrong ${attempt - 1}` : undefined })
    await delivery.nack({ error: `wrong ${attempt}`, delay: 0 })
    await restart()
  }
  expect(await allLetters(consumed, 'work')).toMatchObject([
    { message: { data: 'a' }, reason: 'attempts', error: `wrong ${ATTEMPTS}`, attempts: ATTEMPTS, origin: 'work' },
  ])
  expect(await consumed.admin.queues.show('work')).toMatchObject({ depth: 0, inFlight: 0, deadLetters: 1 })
})

it('an ack of a delivery from before the restart does not end another one that has its number now', async () => {
  const consumed = client()
  await consumed.enqueue('work', 'before')
  const deliveries = consumed.consume('work', { prefetch: 1 })[Symbol.asyncIterator]()
  const { value: before } = (await deliveries.next()) as { value: Delivery }
  await consumed.enqueue('work', 'urgent', { priority: 9 })
  await restart()
  const { value: urgent } = (await deliveries.next()) as { value: Delivery }
  expect([before.data, urgent.data]).toEqual(['before', 'urgent'])
  before.extend(1)
  await expect(before.ack()).rejects.toMatchObject({ code: expect.stringMatching(/^(connection|lease)_lost$/) })
  await urgent.ack()
  const { value: again } = (await deliveries.next()) as { value: Delivery }
  expect(again.data).toBe('before')
  await again.ack()
  await drained(consumed, 'work')
})
