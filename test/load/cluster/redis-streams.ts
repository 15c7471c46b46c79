import { join } from 'node:path'
import { createHistogram } from 'node:perf_hooks'
import { Redis } from 'ioredis'
import { connect } from '../../../client/node.ts'
import type { StreamStatus } from '../../../shared/sys.ts'
import type { RedisServer } from '../../setup/redis-server.ts'
import { type DurableLoad, flagsFor, folderOf, start, urlOf } from '../durable-load.ts'
import { type ClientResult, runClient } from '../node-client.ts'
import { processStats } from '../process-stats.ts'
import { latency, number, rate, row, title } from '../report.ts'
import type { Running } from '../targets.ts'
import { cpuOf, durableRedis, met, microsEach, slowestScript } from './durable-redis.ts'
import { passed } from './load-cluster.ts'

/** The topic that the load publishes on, and the stream that captures it. */
const NAME = 'bench'
const WINDOWS = [256, 2_000]
/** Messages that a turn of a hub writes at most. */
const BATCH = 500
const WANTED_PUBLISHES = 40_000
const WANTED_REPLAY = 200_000
const WANTED_LONE_MS = 2.5
const WARM_UP_MS = 1_000
/** Until the log of the other hub has all that was published. */
const SETTLE_MS = 500

/** All promised figures of streams in a cluster, each next to what Redis does without a hub. */
export async function redisStreams(load: DurableLoad): Promise<void> {
  if (!processStats) throw new Error('These figures need Linux: they are CPU time of other processes')
  const folder = folderOf(load, 'redis-streams')
  const redis = await durableRedis(folder, 'primary')
  const hubs = [await startHub(load, folder, redis, 'writes'), await startHub(load, folder, redis, 'reads')]
  await warmUp(load, hubs)
  for (const window of WINDOWS) await publishes(load, redis, hubs, window)
  await replays(load, redis, hubs)
  for (const hub of hubs) await hub.stop('SIGTERM')
  await lone(load, folder, redis)
  title('Redis')
  await slowestScript(redis.url)
  await redis.stop()
  process.exit()
}

function startHub(load: DurableLoad, folder: string, redis: RedisServer, name: string, config = {}): Promise<Running> {
  const stream = { name: NAME, topics: [NAME], maxAge: '7d', maxBytes: 2 ** 40 }
  const options = { window: Math.max(...WINDOWS), clusterPrefix: NAME, streams: [stream], ...config }
  return start(load, [...flagsFor(join(folder, name), options), '--data', 'memory', '--cluster', redis.url])
}

/** Hubs run for weeks: what their first second costs says nothing. */
async function warmUp({ size }: DurableLoad, [hub]: readonly Running[]): Promise<void> {
  const task = { url: urlOf(hub as Running), topic: NAME, size, seconds: 1, window: Math.max(...WINDOWS) }
  await runClient({ ...task, do: 'publish' })
}

/** A client of one hub publishes; no client of the other one reads. */
async function publishes(
  { size, seconds }: DurableLoad,
  redis: RedisServer,
  hubs: readonly Running[],
  window: number,
): Promise<void> {
  title(`One Node client publishes to a stream, window ${number(window)}`)
  const [hub] = hubs as [Running]
  const before = await status(hub)
  const pids = [redis.pid, ...hubs.map(({ pid }) => pid as number)]
  const task = { url: urlOf(hub), topic: NAME, size, seconds, window }
  const [published, cpu] = await cpuOf(pids, () => runClient({ ...task, do: 'publish' }))
  const after = await status(hub)
  const messages = after.next - before.next
  const batch = Math.min(window, BATCH)
  const bytes = Math.round((after.bytes - before.bytes) / messages)
  const alone = await streamAlone(redis.url, batch, bytes, seconds)
  const perSecond = published.messages / published.seconds
  const wanted = met(perSecond >= WANTED_PUBLISHES, `${number(WANTED_PUBLISHES)}/s`)
  row('publish', rate(perSecond, 1), latency(published), wanted)
  const share = `${((perSecond / alone) * 100).toFixed(0)} % of it`
  row(`XADD, batches of ${batch} of ${bytes} bytes`, rate(alone, 1), share)
  for (const [n, name] of ['Redis', "the publisher's hub", 'a hub without readers'].entries()) {
    row(`  CPU of ${name}`, microsEach(cpu[n], messages), 'a message')
  }
}

async function replays({ size, messages }: DurableLoad, redis: RedisServer, hubs: readonly Running[]): Promise<void> {
  const hub = hubs[1] as Running
  await passed(SETTLE_MS)
  const { first, next } = await status(hub)
  const count = Math.min(messages, next - first)
  title(`Replay of ${number(count)} messages to one Node client, by a hub that has published none of them`)
  const task = { url: urlOf(hub), topic: NAME, size, from: { offset: next - count }, count }
  const pids = [redis.pid, hub.pid as number]
  const one = async (name: string, wanted: (perSecond: number) => string) => {
    const [read, cpu] = await cpuOf(pids, () => runClient({ ...task, do: 'read' }))
    const costs = `hub ${microsEach(cpu[1], count)}, Redis ${microsEach(cpu[0], count)} a message`
    row(name, rate(read.messages, read.seconds), costs, wanted(read.messages / read.seconds))
  }
  await one('for the first time', () => '')
  const isMet = (perSecond: number) => met(perSecond >= WANTED_REPLAY, `${number(WANTED_REPLAY)}/s`)
  await one('again', isMet)
  await one('once more', isMet)
}

/** One publish at a time, each on the disk and on a replica before it is acknowledged. */
async function lone(load: DurableLoad, folder: string, redis: RedisServer): Promise<void> {
  title('A lone durable publish, with one replica')
  const { size, seconds } = load
  const replica = await durableRedis(folder, 'replica', '--replicaof', '127.0.0.1', String(redis.port))
  await inStep(redis.url)
  const hub = await startHub(load, folder, redis, 'waits', { clusterReplicas: 1 })
  const alone = await setAndWait(redis.url, size, seconds)
  const published = await runClient({ url: urlOf(hub), topic: NAME, size, seconds, do: 'publish', window: 1 })
  row('publish', '', latency(published), met(published.p50 <= WANTED_LONE_MS, `p50 ${WANTED_LONE_MS} ms`))
  row('SET and WAIT', '', latency(alone))
  await hub.stop('SIGTERM')
  await replica.stop()
}

/** Resolves when the replica has everything. */
async function inStep(url: string): Promise<void> {
  const redis = new Redis(url)
  for (let replicas = 0; replicas < 1; ) {
    await redis.set('step', '1')
    replicas = await redis.wait(1, WARM_UP_MS)
  }
  redis.disconnect()
}

async function status(hub: Running): Promise<StreamStatus> {
  const client = connect(urlOf(hub))
  const found = await client.admin.streams.show(NAME)
  await client.close()
  return found
}

/** Messages a second that Redis adds to a stream of its own, in batches of which each is on the disk before the next. */
async function streamAlone(url: string, batch: number, bytes: number, seconds: number): Promise<number> {
  const redis = new Redis(url)
  const value = Buffer.alloc(bytes, 'x')
  let messages = 0
  const begin = performance.now()
  let since = begin
  while (since - begin < seconds * 1000) {
    const pipeline = redis.pipeline()
    for (let n = 0; n < batch; n++) pipeline.xadd('alone', '*', 'm', value)
    await pipeline.exec()
    messages += batch
    since = performance.now()
  }
  await redis.unlink('alone')
  redis.disconnect()
  return messages / ((since - begin) / 1000)
}

async function setAndWait(url: string, size: number, seconds: number): Promise<Pick<ClientResult, 'p50' | 'p99'>> {
  const redis = new Redis(url)
  const value = Buffer.alloc(size, 'x')
  const histogram = createHistogram()
  const begin = performance.now() + WARM_UP_MS
  for (let since = performance.now(); since < begin + seconds * 1000; ) {
    await Promise.all([redis.set('alone', value), redis.wait(1, WARM_UP_MS)])
    const now = performance.now()
    if (since >= begin) histogram.record(Math.max(1, Math.round((now - since) * 1000)))
    since = now
  }
  redis.disconnect()
  return { p50: histogram.percentile(50) / 1000, p99: histogram.percentile(99) / 1000 }
}
