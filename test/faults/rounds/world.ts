import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Client, connect } from '../../../client/node.ts'
import { allLetters, drained } from '../../setup/chain.ts'
import { FlakyNetwork } from '../../setup/flaky-network.ts'
import { freePort } from '../../setup/free-port.ts'
import { configFile, HubProcess } from '../../setup/hub-process.ts'
import { smallDisk } from '../../setup/small-disk.ts'
import type { Entry, FinalState, Kept } from './checker.ts'

const STREAMS = [
  { name: 'orders', topics: ['orders.#'] },
  { name: 'invoices', topics: ['invoices.#'] },
]
const QUEUES = [
  {
    name: 'work',
    bindings: [{ topic: 'orders.#' }],
    backoff: { base: 10, cap: 100 },
    ackDeadline: 2000,
    // Whatever the faults do to an attempt, it is not the order's failure: only a bug makes a dead letter here.
    maxAttempts: 50,
  },
]
const GROUPS = 10
const DISK_MB = 24
const CLOCK = fileURLToPath(new URL('./moved-clock.js', import.meta.url))
/** Short, so that a half-open connection is noticed within a round. */
const PING_INTERVAL_MS = 400

export const ROLES = ['publisher', 'worker', 'reader'] as const
export type Role = (typeof ROLES)[number]

/** A hub with its clients, every one a process, and the network and the disk between them. */
export class World {
  readonly network: FlakyNetwork
  /** Where the hub's data lie: a small disk of their own, or where that cannot be mounted, a folder. */
  readonly disk: string
  readonly diskIsSmall: boolean
  private readonly folder: string
  private readonly removeDisk: () => Promise<void>
  private readonly port: number
  private readonly engine: string
  private hub: HubProcess | undefined = undefined
  private readonly running = new Map<string, { role: Role; child: ChildProcess }>()
  private restarting: Promise<void> = Promise.resolve()
  private started = 0

  private constructor(engine: string, port: number, folder: string, network: FlakyNetwork, disk: SmallDisk) {
    this.engine = engine
    this.port = port
    this.folder = folder
    this.network = network
    this.disk = disk?.path ?? folder
    this.diskIsSmall = disk !== undefined
    this.removeDisk = async () => disk?.remove()
  }

  static async start(engine: string): Promise<World> {
    const port = await freePort()
    const folder = await mkdtemp(join(tmpdir(), 'fanfare-round-'))
    const world = new World(engine, port, folder, await FlakyNetwork.to(port), await smallDisk(DISK_MB))
    await world.startHub()
    await Promise.all(
      (['publisher', 'publisher', 'worker', 'worker', 'reader'] as const).map((role) => world.hire(role)),
    )
    return world
  }

  private async startHub(): Promise<void> {
    const config = await configFile(join(this.folder, 'config.json'), STREAMS, QUEUES)
    const options = {
      engine: this.engine,
      port: this.port,
      config,
      data: join(this.disk, 'data'),
      'ping-interval-ms': PING_INTERVAL_MS,
    }
    this.hub = await HubProcess.start(options, ['--import', CLOCK])
  }

  /** As its supervisor does: again until it stands. Where two ask for it, one after the other. */
  restartHub(): Promise<void> {
    this.restarting = this.restarting.then(async () => {
      await this.hub?.kill()
      for (let up = false; !up; ) {
        up = await this.startHub().then(
          () => true,
          () => false,
        )
      }
    })
    return this.restarting
  }

  signalHub(name: NodeJS.Signals): void {
    this.hub?.signal(name)
  }

  /** Kills one of a role as a crash does, and hires a successor, who has another name. */
  async replace(role: Role, which: number): Promise<void> {
    const those = [...this.running].filter(([, each]) => each.role === role)
    const [name, { child }] = those[which % those.length] as (typeof those)[number]
    this.running.delete(name)
    child.kill('SIGKILL')
    await this.hire(role)
  }

  /** Publishers end; then what they were promised has its time to come through. */
  async settle(): Promise<FinalState> {
    const publishers = [...this.running.values()].filter(({ role }) => role === 'publisher')
    for (const { child } of publishers) child.kill('SIGTERM')
    await Promise.all(publishers.map(({ child }) => child.exitCode ?? once(child, 'exit')))
    const client = connect(`ws://127.0.0.1:${this.port}/`, { backoff: { baseMs: 10, capMs: 100 } })
    try {
      await drained(client, 'work')
      const orders = await everything(client, 'orders')
      await this.hasRead(orders.length)
      const invoices = await everything(client, 'invoices')
      return { orders, invoices, deadLetters: (await allLetters(client, 'work')).map(({ message }) => message.id) }
    } finally {
      await client.close()
    }
  }

  history(): Entry[] {
    return ROLES.flatMap((role) => this.notes(role))
  }

  async close(): Promise<void> {
    for (const { child } of this.running.values()) child.kill('SIGKILL')
    await this.network.close()
    this.hub?.signal('SIGCONT')
    await this.hub?.kill()
    await this.removeDisk()
    await rm(this.folder, { recursive: true, force: true })
  }

  private async hire(role: Role): Promise<void> {
    const name = `${role}-${++this.started}`
    const script = fileURLToPath(new URL(`./${role}.js`, import.meta.url))
    const env = {
      ...process.env,
      NAME: name,
      HISTORY: this.file(role),
      FANFARE_URL: this.network.url,
      GROUPS: `${GROUPS}`,
    }
    const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.running.set(name, { role, child })
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), once(child, 'exit')])
  }

  private async hasRead(count: number): Promise<void> {
    const seen = () => new Set(this.notes('reader').map(({ offset }) => offset)).size
    // By looking: what a process notes is a file, and no event. Bounded by the test's own time.
    while (seen() < count) await new Promise((resolve) => setTimeout(resolve, 20))
  }

  private notes(role: Role): Entry[] {
    if (!existsSync(this.file(role))) return []
    const lines = readFileSync(this.file(role), 'utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry)
  }

  private file(role: Role): string {
    return join(this.folder, `${role}.history`)
  }
}

type SmallDisk = Awaited<ReturnType<typeof smallDisk>>

async function everything(client: Client, stream: string): Promise<Kept[]> {
  const { first, next } = await client.streams.show(stream)
  const kept: Kept[] = []
  if (next === first) return kept
  for await (const { id, key, data } of client.subscribe('#', { stream, from: 'earliest' })) {
    kept.push({ id, key, n: (data as { n: number }).n })
    if (kept.length === next - first) break
  }
  return kept
}
