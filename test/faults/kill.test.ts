import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { freePort } from '../setup/free-port.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { seeded } from '../setup/seeded.ts'
import { UnderWay } from '../setup/under-way.ts'

const KILLS = Number(process.env['FAULTS_KILLS'] ?? 10)
const SEED = Number(process.env['FAULTS_SEED'] ?? Date.now() % 1_000_000)
/** Two streams share a topic, so that one message has to be in both or in none. */
const STREAMS = [
  { name: 'orders', topics: ['orders.#', 'both.*'] },
  { name: 'audit', topics: ['both.*'] },
]
const TOPICS = ['orders.new', 'orders.paid', 'both.a'] as const
/** Publishes of one publisher that are under way at once. */
const UNDER_WAY = 50

let folder: string
let port: number
let hub: HubProcess
const clients: Client[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanfare-kill-'))
  port = await freePort()
  await start()
})
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()))
  await hub?.kill()
  await rm(folder, { recursive: true, force: true })
})

async function start(): Promise<void> {
  const config = await configFile(join(folder, 'config.json'), STREAMS)
  hub = await HubProcess.start({ data: join(folder, 'data'), port, config })
}

function client(): Client {
  const made = connect(`ws://127.0.0.1:${port}/`, { backoff: { base: 10, cap: 50 } })
  clients.push(made)
  return made
}

/** Publishes 1, 2, 3 … to a topic until stopped; then returns the last number; all before it are stored. */
async function publishTo(topic: string, stopped: () => boolean): Promise<number> {
  const publisher = client()
  const underWay = new UnderWay(UNDER_WAY)
  let n = 0
  while (!stopped()) await underWay.begin(() => publisher.publish(topic, ++n))
  await underWay.done()
  return n
}

/** Collects the numbers of each topic of a stream, as they come, until each has come to its last one. */
class Collector {
  readonly seen = new Map<string, number[]>()
  readonly offsets: number[] = []
  private readonly gaps: unknown[] = []
  private last: Map<string, number> | undefined
  private done: () => void = () => {}

  constructor(pattern: string, stream: string) {
    const handle = ({ topic, data, offsets }: { topic: string; data: unknown; offsets?: Record<string, number> }) => {
      this.offsets.push(offsets?.[stream] as number)
      const numbers = this.seen.get(topic) ?? []
      numbers.push(data as number)
      this.seen.set(topic, numbers)
      this.check()
    }
    client().subscribe(pattern, handle, { stream, from: 'earliest', onGap: (gap) => this.gaps.push(gap) })
  }

  /** Each number once, in order, and offsets that grow by one. */
  async expectAll(last: Map<string, number>): Promise<void> {
    await new Promise<void>((resolve) => {
      this.done = resolve
      this.last = last
      this.check()
    })
    for (const [topic, numbers] of this.seen) expect([topic, firstWrong(numbers, 1)]).toEqual([topic, undefined])
    expect(firstWrong(this.offsets, 0)).toBeUndefined()
    expect(this.gaps).toEqual([])
    expect(this.offsets.length).toBe([...last.values()].reduce((sum, n) => sum + n, 0))
  }

  private check(): void {
    if (this.last && [...this.last].every(([topic, n]) => (this.seen.get(topic)?.at(-1) ?? 0) >= n)) this.done()
  }
}

/** Where a list is not start, start + 1, start + 2 … */
function firstWrong(numbers: readonly number[], start: number): object | undefined {
  const at = numbers.findIndex((number, place) => number !== start + place)
  return at < 0 ? undefined : { at, around: numbers.slice(Math.max(0, at - 3), at + 3) }
}

it(`is killed ${KILLS} times under load, and has every message once, in order (seed ${SEED})`, {
  timeout: KILLS * 20_000,
}, async () => {
  process.stdout.write(`FAULTS_SEED=${SEED} repeats these kills\n`)
  const random = seeded(SEED)
  const connected = new Collector('#', 'orders')
  let stop = false
  const publishers = TOPICS.map((topic) => publishTo(topic, () => stop))
  for (let kill = 0; kill < KILLS; kill++) {
    // Not an event, but the fault itself: a moment that no code has chosen.
    await wait(random() * 200)
    await hub.kill()
    await start()
  }
  stop = true
  const counts = await Promise.all(publishers)
  for (const n of counts) expect(n).toBeGreaterThan(KILLS)
  const last = new Map(TOPICS.map((topic, at) => [topic as string, counts[at] as number]))
  await connected.expectAll(last)
  await hub.kill()
  await start()
  await new Collector('#', 'orders').expectAll(last)
  await new Collector('#', 'audit').expectAll(new Map([['both.a', last.get('both.a') as number]]))
})
