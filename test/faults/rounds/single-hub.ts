import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../setup/free-port.ts'
import { configFile, HubProcess } from '../../setup/hub-process.ts'
import type { KeptData } from '../../setup/kept-data.ts'
import type { Restore } from './checker.ts'
import { QUEUES, STREAMS } from './declarations.ts'
import type { Hubs } from './hubs.ts'

const CLOCK = fileURLToPath(new URL('./moved-clock.js', import.meta.url))
/** Short, so that a half-open connection is noticed within a round. */
const PING_INTERVAL_MS = 400

/** A hub that stores its data itself. */
export class SingleHub implements Hubs {
  readonly port: number
  readonly data: KeptData
  readonly restores: Restore[] = []
  readonly crashes: string[] = []
  private readonly folder: string
  private readonly engine: string
  private readonly heapMb: number | undefined
  private hub: HubProcess | undefined = undefined
  private restarting: Promise<void> = Promise.resolve()

  private constructor(engine: string, heapMb: number | undefined, port: number, folder: string, data: KeptData) {
    this.engine = engine
    this.heapMb = heapMb
    this.port = port
    this.folder = folder
    this.data = data
  }

  static async start(
    folder: string,
    engine: string,
    heapMb: number | undefined,
    keptIn: (folder: string) => Promise<KeptData>,
  ): Promise<SingleHub> {
    const hub = new SingleHub(engine, heapMb, await freePort(), folder, await keptIn(folder))
    await hub.startHub()
    return hub
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
  restart(): Promise<void> {
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

  signal(name: NodeJS.Signals): void {
    this.hub?.signal(name)
  }

  async agree(): Promise<void> {}

  async leftovers(): Promise<string[]> {
    return []
  }

  async close(): Promise<void> {
    this.hub?.signal('SIGCONT')
    await this.killHub()
    await this.data.remove()
  }
}
