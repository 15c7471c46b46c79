import { mkdirSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { RedisServer } from '../../setup/redis-server.ts'
import { cpuSeconds } from '../process-stats.ts'
import { latency, milliseconds, row } from '../report.ts'

/** Below this Redis does not remember a call, in microseconds. */
const SLOW_MICROS = 1_000
const WANTED_SCRIPT_MS = 5

/** A Redis that has each write on the disk before it answers. It ends with this process. */
export async function durableRedis(folder: string, name: string, ...options: string[]): Promise<RedisServer> {
  const data = join(folder, name)
  mkdirSync(data)
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--dir', data]
  // A log that is rewritten in the middle would burden whichever half of the comparison is running.
  const even = ['--auto-aof-rewrite-percentage', '0', '--slowlog-log-slower-than', String(SLOW_MICROS)]
  even.push('--slowlog-max-len', '100000')
  const redis = await RedisServer.start(...durable, ...even, ...options)
  process.once('exit', () => redis.signal('SIGKILL'))
  return redis
}

/** Empties it, and forgets what its scripts took. */
export async function afresh(url: string): Promise<void> {
  const redis = new Redis(url)
  await redis.flushall()
  await redis.call('SLOWLOG', 'RESET')
  await redis.call('CONFIG', 'RESETSTAT')
  redis.disconnect()
}

/** The longest that a script has held up Redis. On a busy machine the time of other processes is in it. */
export async function slowestScript(url: string): Promise<void> {
  const redis = new Redis(url)
  const calls = (await redis.call('SLOWLOG', 'GET', -1)) as [number, number, number, string[]][]
  const percentiles = /evalsha:p50=([\d.]+),p99=([\d.]+)/.exec(await redis.info('latencystats'))
  redis.disconnect()
  const millis = calls.filter(([, , , [command]]) => command === 'EVALSHA').map(([, , micros]) => micros / 1000)
  const slowest = millis.reduce((a, b) => Math.max(a, b), 0)
  const figure = slowest === 0 ? `< ${SLOW_MICROS / 1000} ms` : milliseconds(slowest)
  const over = millis.filter((each) => each > WANTED_SCRIPT_MS).length
  const beside = `${over} over ${WANTED_SCRIPT_MS} ms; load of the machine ${loadavg()[0]?.toFixed(1)}`
  const [p50 = 0, p99 = 0] = percentiles?.slice(1).map((micros) => Number(micros) / 1000) ?? []
  row('all scripts', '', latency({ p50, p99 }))
  row('slowest script', figure, beside, met(slowest <= WANTED_SCRIPT_MS, `${WANTED_SCRIPT_MS} ms`))
}

/** CPU that processes use during some work, in seconds each. */
export async function cpuOf<Result>(pids: readonly number[], work: () => Promise<Result>): Promise<[Result, number[]]> {
  const before = pids.map(cpuSeconds)
  const result = await work()
  return [result, pids.map((pid, n) => cpuSeconds(pid) - (before[n] as number))]
}

export function microsEach(cpu: number | undefined, messages: number): string {
  return `${(((cpu ?? 0) * 1e6) / messages).toFixed(1)} µs`
}

/** A target, and whether it was reached. */
export function met(isMet: boolean, wanted: string): string {
  if (!isMet) process.exitCode = 1
  return `wanted: ${wanted}${isMet ? '' : ': MISSED'}`
}
