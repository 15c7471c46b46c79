import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { Redis } from 'ioredis'
import { RedisServer } from '../../setup/redis-server.ts'
import { cpuSeconds } from '../process-stats.ts'
import { milliseconds, number, row } from '../report.ts'

/** A script that takes longer makes every other client wait. */
const WANTED_MS = 5
const LOGGED_MICROS = 1_000

/** A Redis that syncs each write to the disk before it answers, and what its scripts have taken. */
export class DurableRedis {
  readonly server: RedisServer
  private readonly asking: Redis

  private constructor(server: RedisServer) {
    this.server = server
    this.asking = new Redis(server.url)
  }

  static async start(folder: string): Promise<DurableRedis> {
    const durable = ['--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always']
    // A rewrite of the file would be in some measurements and not in others.
    const steady = ['--auto-aof-rewrite-percentage', '0']
    const slow = ['--slowlog-log-slower-than', String(LOGGED_MICROS), '--slowlog-max-len', '10000']
    const server = await RedisServer.start(...durable, ...steady, ...slow)
    process.once('exit', () => server.signal('SIGKILL'))
    return new DurableRedis(server)
  }

  get cpu(): number {
    return cpuSeconds(this.server.pid)
  }

  async flush(): Promise<void> {
    await this.asking.flushall()
  }

  /** What is printed by `report` begins here. */
  async reset(): Promise<() => Promise<void>> {
    await this.asking.slowlog('RESET')
    await this.asking.config('RESETSTAT')
    const before = this.interruptions()
    return () => this.report(before)
  }

  /**
   * The slow log has times of the clock on the wall, in which another process may have had the core. So how often Redis was interrupted is printed, too, and
   * the load of the machine.
   */
  private async report(before: number): Promise<void> {
    const entries = (await this.asking.slowlog('GET', -1)) as [number, number, number, string[]][]
    const scripts = entries.filter(([, , , [command]]) => command === 'EVALSHA').map(([, , micros]) => micros / 1000)
    const over = scripts.filter((ms) => ms > WANTED_MS).length
    const stats = await this.asking.info('latencystats')
    const [, p50, p99, p999] =
      /latency_percentiles_usec_evalsha:p50=([\d.]+),p99=([\d.]+),p99.9=([\d.]+)/.exec(stats) ?? []
    const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await this.asking.info('commandstats'))?.[1])
    const percentiles = [p50, p99, p999].map((micros) => milliseconds(Number(micros) / 1000)).join(', ')
    const longest = milliseconds(Math.max(0, ...scripts))
    row(
      `longest of ${number(calls)} scripts`,
      longest,
      `${number(over)} over ${WANTED_MS} ms`,
      `wanted: ${WANTED_MS} ms`,
    )
    row('  p50, p99, p99.9', '', percentiles)
    const interrupted = number(this.interruptions() - before)
    row('  Redis lost its core', `${interrupted} ×`, `load of the machine ${loadavg()[0]?.toFixed(1)}`)
  }

  private interruptions(): number {
    const status = readFileSync(`/proc/${this.server.pid}/status`, 'latin1')
    return Number(/nonvoluntary_ctxt_switches:\s+(\d+)/.exec(status)?.[1])
  }

  async stop(): Promise<void> {
    this.asking.disconnect()
    await this.server.stop()
  }
}
