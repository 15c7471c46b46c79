import { setTimeout as wait } from 'node:timers/promises'
import { parseExposition } from '../../setup/exposition.ts'
import { FlakyNetwork } from '../../setup/flaky-network.ts'
import { freePort } from '../../setup/free-port.ts'
import { HubProcess } from '../../setup/hub-process.ts'

/** So that a half-open connection is noticed within a round, and a busy machine is not taken for one. */
const PING_INTERVAL_MS = 1_000
const DRAIN_TIMEOUT_MS = 500
/** Of pino. */
const ERROR = 50
/** A hub logs a commit that Redis refuses, or cannot be asked for. */
const PASSING = ['storage_full', 'cluster_unreachable', 'outcome_unknown']

/** A hub of a cluster, and its way to Redis. */
export class ClusterNode {
  readonly name: string
  readonly port: number
  readonly link: FlakyNetwork
  readonly crashes: string[] = []
  private readonly options: Record<string, string | number>
  private hub: HubProcess | undefined = undefined
  /** What the hubs before this one have logged. */
  private readonly lines: string[] = []
  private restarting: Promise<void> = Promise.resolve()

  private constructor(port: number, link: FlakyNetwork, options: Record<string, string | number>) {
    this.port = port
    this.link = link
    this.options = options
    this.name = String(options['node-name'])
  }

  static async start(redisPort: number, options: Record<string, string | number>): Promise<ClusterNode> {
    const link = await FlakyNetwork.to(redisPort)
    const node = new ClusterNode(await freePort(), link, {
      ...options,
      cluster: link.url.replace('ws:', 'redis:'),
      'ping-interval': PING_INTERVAL_MS,
      'drain-timeout': DRAIN_TIMEOUT_MS,
    })
    await node.startHub()
    return node
  }

  /** Where two ask for it, one after the other. */
  restart(signal: NodeJS.Signals): Promise<void> {
    this.restarting = this.restarting.then(async () => {
      await this.end(signal)
      await this.startUntilUp()
    })
    return this.restarting
  }

  async pause(ms: number): Promise<void> {
    const { hub } = this
    hub?.signal('SIGSTOP')
    await wait(ms)
    hub?.signal('SIGCONT')
  }

  async state(): Promise<{ isReady: boolean; connections: number }> {
    const { ok } = await fetch(`http://127.0.0.1:${this.port}/readyz`)
    return { isReady: ok, connections: await this.figure('fanfare_connections') }
  }

  /** The next offset of a stream, as this hub knows it. */
  async next(stream: string): Promise<number> {
    const found = await fetch(`http://127.0.0.1:${this.port}/v1/streams/${stream}`)
    return ((await found.json()) as { next: number }).next
  }

  /** Errors that it has counted or logged, and should not have. */
  async faults(): Promise<string[]> {
    const errors = await this.figure('fanfare_unexpected_errors_total')
    const logged = [...this.lines, ...(this.hub?.log ?? [])].filter(isFault)
    return [
      ...(errors > 0 ? [`${this.name} has counted ${errors} unexpected errors`] : []),
      ...logged.map((line) => `${this.name} has logged ${line}`),
    ]
  }

  async close(): Promise<void> {
    this.hub?.signal('SIGCONT')
    await this.restarting
    await this.end('SIGKILL')
    await this.link.close()
  }

  private async startHub(): Promise<void> {
    const hub = await HubProcess.start({ ...this.options, port: this.port })
    this.hub = hub
    void hub.ended.then(({ code, signal, stderr }) => {
      // A hub that is ended on purpose is first taken out of `hub`.
      if (this.hub === hub) this.crashes.push(`${this.name}: ${code ?? signal}: ${stderr.slice(-2000)}`)
    })
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

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { hub } = this
    this.hub = undefined
    if (!hub) return
    const { code } = await hub.kill(signal)
    this.lines.push(...hub.log)
    if (signal === 'SIGTERM' && code !== 0) this.crashes.push(`${this.name} ended with ${code} on SIGTERM`)
  }

  private async figure(name: string): Promise<number> {
    const metrics = parseExposition(await (await fetch(`http://127.0.0.1:${this.port}/metrics`)).text())
    return metrics.get(name)?.samples.reduce((sum, { value }) => sum + value, 0) ?? 0
  }
}

function isFault(line: string): boolean {
  if (!line.startsWith('{')) return true
  const { level, code } = JSON.parse(line) as { level: number; code?: string }
  return level >= ERROR && !PASSING.includes(code ?? '')
}
