import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, onTestFinished } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { CuttableProxy } from './cuttable-proxy.ts'
import { HubProcess } from './hub-process.ts'
import { RedisServer } from './redis-server.ts'

const PAGE = readFileSync(new URL('../../docs/operations/cluster.md', import.meta.url), 'utf8')
/** What the documentation has `ACL SETUSER hub` say: the user `hub`, the password `secret`, the prefix `fanfare`. */
export const RIGHTS = (/(?<=^ACL SETUSER hub ).*$/m.exec(PAGE) as RegExpExecArray)[0].split(' ')

/** Tests that take long also run: those that wait for a node to lapse, or for Redis to load or fail over. */
export const SLOW = process.env['CLUSTER_SLOW'] !== undefined

/** A Redis that ends with the test. */
export async function redisOf(...options: string[]): Promise<RedisServer> {
  const redis = await RedisServer.start(...options)
  onTestFinished(() => redis.stop())
  return redis
}

/** A Redis that keeps what it acknowledges. */
export async function durableRedis(...options: string[]): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'fanfare-redis-'))
  // Registered first, and so called last: a Redis that still runs writes into it while it is removed.
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return redisOf('--dir', directory, '--appendonly', 'yes', '--appendfsync', 'always', ...options)
}

/** A way to a Redis that the test can cut and hold. */
export async function wayTo(redis: RedisServer): Promise<CuttableProxy & { readonly redisUrl: string }> {
  const proxy = await CuttableProxy.start(redis.port)
  onTestFinished(() => proxy.close())
  return Object.assign(proxy, { redisUrl: proxy.url.replace(/^ws/, 'redis') })
}

/** A node of a cluster in a process of its own; it is killed after the test. */
export async function node(cluster: string, options: Record<string, string | number> = {}): Promise<HubProcess> {
  const hub = await HubProcess.start({ cluster, ...options })
  onTestFinished(async () => void (await hub.kill()))
  return hub
}

/** A client that is closed after the test. */
export function clientOf({ url }: HubProcess): Client {
  const client = connect(url, { backoff: { base: 10, cap: 100 } })
  onTestFinished(async () => void (await client.close({ timeout: 100 })))
  return client
}

/** What one subscription saw: numbers from payloads, and the reason of each gap. */
export async function watch(client: Client, topic: string): Promise<(number | string)[]> {
  const seen: (number | string)[] = []
  const subscription = client.subscribe<number>(topic, ({ data }) => void seen.push(data), {
    onGap: ({ reason }) => void seen.push(reason),
  })
  await subscription.ready
  return seen
}

/** Publishes 1, 2, 3 … until the test ends. Gives how many it has published. */
export function publishing(client: Client, topic: string): () => number {
  let last = 0
  const timer = setInterval(() => void client.publish(topic, ++last).catch(() => {}), 5)
  onTestFinished(() => clearInterval(timer))
  return () => last
}

/** Whether no number came twice or late, and each hole in the numbers has a gap before the next one. */
export function faultsOf(seen: readonly (number | string)[]): string[] {
  const faults: string[] = []
  let last: number | undefined
  let isTold = false
  for (const one of seen) {
    if (typeof one === 'string') isTold = true
    else {
      if (last !== undefined && one <= last) faults.push(`${one} after ${last}`)
      if (last !== undefined && one > last + 1 && !isTold) faults.push(`${one} after ${last} without a gap`)
      last = one
      isTold = false
    }
  }
  return faults
}

export async function readyIs({ port }: HubProcess, status: number): Promise<void> {
  await expect.poll(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(status)
}

/** A hub has lost its link and made a new one so many times. */
export async function reconnected({ port }: HubProcess, times: number): Promise<void> {
  const metrics = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  await expect.poll(metrics).toMatch(new RegExp(`^fanfare_cluster_reconnections_total ${times}$`, 'm'))
}

/** Something new comes. */
export async function goesOn(seen: readonly unknown[]): Promise<void> {
  const before = seen.length
  await expect.poll(() => seen.length).toBeGreaterThan(before + 20)
}

/** A Redis or a Sentinel; `caFile`: it speaks TLS. */
export interface RedisPlace {
  readonly url: string
  readonly caFile?: string | undefined
}

/** Runs one command there. */
export async function command({ url, caFile }: RedisPlace, name: string, ...args: string[]): Promise<unknown> {
  const tls = caFile === undefined ? {} : { tls: { ca: readFileSync(caFile) } }
  // A Redis that is busy refuses the check.
  const connection = new Redis(url, { enableReadyCheck: false, ...tls })
  return connection.call(name, ...args).finally(() => connection.disconnect())
}
