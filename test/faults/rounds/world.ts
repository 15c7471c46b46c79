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
import type { KeptData } from '../../setup/kept-data.ts'
import type { Entry, FinalState, Kept, Restore } from './checker.ts'

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
/** Looks at what the reader has noted, 20 ms apart. */
const MOST_LOOKS = 1000
const CLOCK = fileURLToPath(new URL('./moved-clock.js', import.meta.url))
/** Short, so that a half-open connection is noticed within a round. */
const PING_INTERVAL_MS = 400

export const ROLES = ['publisher', 'worker', 'reader'] as const
export type Role = (typeof ROLES)[number]

/** A hub with its clients, every one a process, and the network between them. */
export class World {
  readonly network: FlakyNetwork
  readonly data: KeptData
  private readonly folder: string
  private readonly port: number
  private readonly engine: string
  private readonly heapMb: number | undefined
  private readonly restores: Restore[] = []
  private readonly crashes: string[] = []
  private hub: HubProcess | undefined = undefined
  private readonly running = new Map<string, { role: Role; child: ChildProcess }>()
  private restarting: Promise<void> = Promise.resolve()
  private started = 0

  private constructor(
    engine: string,
    heapMb: number | undefined,
    port: number,
    folder: string,
    network: FlakyNetwork,
    data: KeptData,
  ) {
    this.engine = engine
    this.heapMb = heapMb
    this.port = port
    this.folder = folder
    this.network = network
    this.data = data
  }

  static async start(
    engine: string,
    heapMb: number | undefined,
    keptIn: (folder: string) => Promise<KeptData>,
  ): Promise<World> {
    const port = await freePort()
    const folder = await mkdtemp(join(tmpdir(), 'fanfare-round-'))
    const world = new World(engine, heapMb, port, folder, await FlakyNetwork.to(port), await keptIn(folder))
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
      data: this.data.option,
      'ping-interval': PING_INTERVAL_MS,
    }
    const heap = this.heapMb === undefined ? [] : [`--max-old-space-size=${this.heapMb}`]
    const hub = await HubProcess.start(options, ['--import', CLOCK, ...heap])
    this.hub = hub
    void hub.ended.then(({ code, signal, stderr }) => {
      // A hub that is ended on purpose is first taken out of `hub`.
      if (this.hub === hub) this.crashes.push(`${code ?? signal}: ${stderr.slice(-2000)}`)
    })
  }

  private async killHub(): Promise<void> {
    const { hub } = this
    this.hub = undefined
    await hub?.kill()
  }

  /** As its supervisor does: again until it stands. */
  private async startUntilUp(): Promise<void> {
    for (let up = false; !up; ) {
      up = await this.startHub().then(
        () => true,
        () => false,
      )
    }
  }

  /** Where two ask for it, one after the other. */
  restartHub(): Promise<void> {
    this.restarting = this.restarting.then(async () => {
      await this.killHub()
      await this.startUntilUp()
    })
    return this.restarting
  }

  /** Backs the data up while the hub works, and a while later starts it on the copy. */
  restoreBackup(afterMs: number): Promise<void> {
    this.restarting = this.restarting.then(async () => {
      const from = Date.now()
      const copy = await this.data.copy()
      if (!copy) return
      await new Promise((resolve) => setTimeout(resolve, afterMs))
      await this.killHub()
      await copy.use()
      await this.startUntilUp()
      this.restores.push({ from, to: Date.now() })
    })
    return this.restarting
  }

  signalHub(name: NodeJS.Signals): void {
    this.hub?.signal(name)
  }

  /** Kills one of a role as a crash does, and starts a successor, which has another name. */
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
    const client = connect(`ws://127.0.0.1:${this.port}/`, { backoff: { base: 10, cap: 100 } })
    try {
      for (;;) {
        const end = await this.endState(client).catch((error: { code?: string }) => {
          // On a busy machine this process may not answer a ping in time.
          if (error.code !== 'connection_lost') throw error
          return undefined
        })
        if (end) return end
      }
    } finally {
      await client.close()
    }
  }

  private async endState(client: Client): Promise<FinalState> {
    await drained(client, 'work')
    const orders = await everything(client, 'orders')
    await this.hasRead(orders)
    const invoices = await everything(client, 'invoices')
    const deadLetters = (await allLetters(client, 'work')).map(({ message }) => message.id)
    return { orders, invoices, deadLetters, restores: this.restores, crashes: this.crashes }
  }

  history(): Entry[] {
    return ROLES.flatMap((role) => this.notes(role))
  }

  async close(): Promise<void> {
    for (const { child } of this.running.values()) child.kill('SIGKILL')
    await this.network.close()
    this.hub?.signal('SIGCONT')
    await this.killHub()
    await this.data.remove()
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

  private async hasRead(orders: readonly Kept[]): Promise<void> {
    const seen = () => new Set(this.notes('reader').map(({ id }) => id))
    const isMissing = () => {
      const ids = seen()
      return orders.some(({ id }) => !ids.has(id))
    }
    // By looking: what a process notes is a file, and no event. Those that never come are for the judge to name.
    for (let looks = 0; looks < MOST_LOOKS && isMissing(); looks++)
      await new Promise((resolve) => setTimeout(resolve, 20))
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

async function everything(client: Client, stream: string): Promise<Kept[]> {
  const { first, next } = await client.admin.streams.show(stream)
  const kept: Kept[] = []
  if (next === first) return kept
  for await (const { id, key, data } of client.subscribe('#', { stream, from: 'earliest' })) {
    kept.push({ id, key, n: (data as { n: number }).n })
    if (kept.length === next - first) break
  }
  return kept
}
