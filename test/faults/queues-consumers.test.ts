import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { allLetters, Chain, chainConfig, drained } from '../setup/chain.ts'
import { HubProcess } from '../setup/hub-process.ts'
import { seeded } from '../setup/seeded.ts'
import { UnderWay } from '../setup/under-way.ts'
import { WorkerProcesses } from '../setup/worker-processes.ts'

const MESSAGES = Number(process.env['FAULTS_MESSAGES'] ?? 8_000)
const SEED = Number(process.env['FAULTS_SEED'] ?? Date.now() % 1_000_000)
const KILLS = Math.ceil(MESSAGES / 500)
const WORKERS = 3
const GROUPS = 50
/** Publishes that are under way at once. */
const UNDER_WAY = 500

let folder: string
let hub: HubProcess
let client: Client
let workers: WorkerProcesses

afterEach(async () => {
  await workers?.killAll()
  await client?.close()
  await hub?.kill()
  await rm(folder, { recursive: true, force: true })
})

async function start(): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-consumers-'))
  const config = await chainConfig(folder, 10)
  hub = await HubProcess.start({ data: join(folder, 'data'), config })
  client = connect(hub.url)
  workers = new WorkerProcesses(hub.url, 'work')
}

/** Publishes the messages 1, 2, 3 …, most of them in groups; every twentieth fails twice, every thousandth always. */
async function publishAll(random: () => number): Promise<void> {
  const underWay = new UnderWay(UNDER_WAY)
  for (let n = 1; n <= MESSAGES; n++) {
    const failures = n % 1000 === 0 ? 1000 : n % 20 === 0 ? 2 : 0
    const key = n % 4 === 1 ? {} : { key: `g${Math.floor(random() * GROUPS)}` }
    const data = { n, failures, takesMs: random() < 0.1 ? Math.ceil(random() * 10) : 0 }
    await underWay.begin(() => client.enqueue('work', data, key))
  }
  await underWay.done()
}

/** Kills a worker each time this many more messages have passed; resolves when all kills are done. */
async function killNowAndThen(chain: Chain, random: () => number): Promise<void> {
  // The last tenth is left to workers that live, and to what goes to the dead letters.
  const moments = Array.from({ length: KILLS }, () => Math.floor(random() * MESSAGES * 0.9)).sort((a, b) => a - b)
  for (const moment of moments) {
    await chain.has(moment)
    await workers.replace(Math.floor(random() * WORKERS))
  }
}

it(`loses nothing of ${MESSAGES} messages while ${KILLS} consumers are killed (seed ${SEED})`, {
  timeout: 60_000 + MESSAGES * 5,
}, async () => {
  process.stdout.write(`FAULTS_SEED=${SEED} repeats these messages and kills\n`)
  await start()
  const random = seeded(SEED)
  await Promise.all(Array.from({ length: WORKERS }, () => workers.start()))
  const chain = new Chain(client, 'work')
  await Promise.all([publishAll(seeded(SEED + 1)), killNowAndThen(chain, random)])
  await drained(client, 'work')
  const letters = await allLetters(client, 'work')
  await chain.has(MESSAGES - letters.length)
  chain.expectAll(MESSAGES, letters)
  // Those that always fail are there; a message that was under way in ten kills may be there too.
  const dead = letters.map(({ message }) => (message.data as { n: number }).n)
  expect(dead).toEqual(
    expect.arrayContaining(Array.from({ length: Math.floor(MESSAGES / 1000) }, (_, n) => (n + 1) * 1000)),
  )
  expect(letters.every(({ attempts, reason }) => attempts === 10 && reason === 'attempts')).toBe(true)
  const { ackedTotal, deadLetters } = await client.admin.queues.show('work')
  expect([ackedTotal, deadLetters]).toEqual([chain.links.length, letters.length])
})
