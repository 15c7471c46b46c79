import { join } from 'node:path'
import { connect } from '../../../client/node.ts'
import type { RedisServer } from '../../setup/redis-server.ts'
import { type DurableLoad, flagsFor, folderOf, start, urlOf } from '../durable-load.ts'
import { type ClientResult, type ClientTask, runClient } from '../node-client.ts'
import { processStats } from '../process-stats.ts'
import { latency, number, rate, row, title } from '../report.ts'
import type { Running } from '../targets.ts'
import { type BullTask, runBull } from './bull-client.ts'
import { afresh, cpuOf, durableRedis, met, microsEach, slowestScript } from './durable-redis.ts'
import { redisAlone } from './redis-alone.ts'

const NAME = 'bench'
const TOPIC = `$queue.${NAME}`
const WINDOW = 256
const GROUPS = 10_000
/** Of the long queue, as many are consumed as there are in the short one. */
const SHORT = 20_000
const WANTED_PUBLISHES = 25_000
const WANTED_OF_REDIS = 0.5
const WANTED_CONSUMED = 30_000
const WANTED_OF_BULL = 4
const WANTED_OF_UNGROUPED = 0.5
const WANTED_OF_SHORT = 0.8

export interface RedisQueuesLoad extends DurableLoad {
  readonly parts: string
}

interface World {
  readonly load: DurableLoad
  readonly redis: RedisServer
  readonly folder: string
}

const PARTS = { rates, groups, waiting }
export const REDIS_QUEUES_PARTS = Object.keys(PARTS).join(',')

/** All promised figures of queues in a cluster, each next to what it is compared with. Hub, client and Redis are three processes. */
export async function redisQueues({ parts, ...load }: RedisQueuesLoad): Promise<void> {
  if (!processStats) throw new Error('These figures need Linux: they are CPU time of other processes')
  const folder = folderOf(load, 'redis-queues')
  for (const part of parts.split(',')) {
    const run = PARTS[part as keyof typeof PARTS]
    if (!run) throw new Error(`No part "${part}"; there are ${REDIS_QUEUES_PARTS}`)
    const redis = await durableRedis(folder, part)
    await run({ load, redis, folder })
    await slowestScript(redis.url)
    await redis.stop()
  }
  process.exit()
}

async function rates(world: World): Promise<void> {
  const { load, redis } = world
  title(`One Node client, window and prefetch ${WINDOW}`)
  const alone = await redisAlone(redis.url, WINDOW, load.size, load.seconds / 2)
  await afresh(redis.url)
  const bull = await bullOn(world)
  await afresh(redis.url)
  const hub = await startHub(world)
  const task = { ...taskFor(load, hub), window: WINDOW }
  const published = await measured({ ...task, do: 'publish' }, hub, redis)
  const consumed = await measured({ ...task, topic: NAME, do: 'consume', count: published.all }, hub, redis)
  const through = await measured({ ...task, topic: NAME, do: 'through' }, hub, redis)
  await hub.stop()
  row('publish', rateOf(published), latency(published), wantedRate(published, WANTED_PUBLISHES))
  const share = shareOf(published, alone.pushesPerSecond)
  row('', percent(share), `of Redis alone, ${number(alone.pushesPerSecond)}/s`, wantedShare(share, WANTED_OF_REDIS))
  row('', times(published, bull.published), `BullMQ, ${number(bull.published)}/s`)
  row('', '', costOf(published))
  row('consume and ack', rateOf(consumed), '', wantedRate(consumed, WANTED_CONSUMED))
  row('', percent(shareOf(consumed, alone.takesPerSecond)), `of Redis alone, ${number(alone.takesPerSecond)}/s`)
  row('', times(consumed, bull.consumed), `BullMQ, ${number(bull.consumed)}/s`)
  row('', '', costOf(consumed))
  row('publish, handle and ack at once', rateOf(through))
  const isFaster = shareOf(through, bull.through) >= WANTED_OF_BULL
  row('', times(through, bull.through), `BullMQ, ${number(bull.through)}/s`, met(isFaster, `${WANTED_OF_BULL} ×`))
  row('', '', costOf(through))
}

async function bullOn({ load: { size, seconds }, redis }: World) {
  const run = async (what: BullTask['do'], count = 0) => {
    const result = await runBull({ port: redis.port, size, batch: WINDOW, seconds: seconds / 2, do: what, count })
    return { jobs: result.jobs, perSecond: result.jobs / result.seconds }
  }
  const published = await run('publish')
  const consumed = await run('consume', published.jobs)
  const through = await run('through')
  return { published: published.perSecond, consumed: consumed.perSecond, through: through.perSecond }
}

async function groups(world: World): Promise<void> {
  const { load, redis } = world
  title(`${number(GROUPS)} groups compared with none`)
  const run = async (keys: number | undefined) => {
    await afresh(redis.url)
    const hub = await startHub(world)
    const task = { ...taskFor(load, hub), window: WINDOW, ...(keys !== undefined && { keys }) }
    const published = await measured({ ...task, do: 'publish' }, hub, redis)
    const consumed = await measured({ ...task, topic: NAME, do: 'consume', count: published.all }, hub, redis)
    await hub.stop()
    return { published, consumed }
  }
  const without = await run(undefined)
  const within = await run(GROUPS)
  for (const part of ['published', 'consumed'] as const) {
    const [a, b] = [without[part], within[part]]
    const share = shareOf(b, a.messages / a.seconds)
    row(part, rateOf(b), `${percent(share)} of ${rateOf(a)}`, wantedShare(share, WANTED_OF_UNGROUPED))
    row('', '', costOf(b))
    row('  without groups', '', costOf(a))
  }
}

/** The same of a long queue as of a short one: what waits must not make anything slower. */
async function waiting(world: World): Promise<void> {
  const { load, redis } = world
  title(`With ${number(load.messages)} messages waiting, ${number(SHORT)} of them consumed`)
  const run = async (count: number) => {
    await afresh(redis.url)
    const hub = await startHub(world)
    await fillTo(count, load, hub)
    const consumed = await measured({ ...taskFor(load, hub), topic: NAME, do: 'consume', count: SHORT }, hub, redis)
    await hub.stop()
    return consumed
  }
  const short = await run(SHORT)
  const long = await run(load.messages)
  row('nothing else waiting', rateOf(short), costOf(short))
  row(`${number(load.messages)} waiting`, rateOf(long), costOf(long))
  const share = shareOf(long, short.messages / short.seconds)
  row('', percent(share), 'of the rate', wantedShare(share, WANTED_OF_SHORT))
  row('', percent(long.redisCpu / short.redisCpu), 'of the CPU of Redis')
}

interface Measured extends ClientResult {
  readonly redisCpu: number
  readonly hubCpu: number
}

async function measured(task: ClientTask, hub: Running, redis: RedisServer): Promise<Measured> {
  const [result, cpu] = await cpuOf([redis.pid, hub.pid as number], () => runClient(task))
  const [redisCpu, hubCpu] = cpu as [number, number]
  return { ...result, redisCpu, hubCpu }
}

async function fillTo(count: number, load: DurableLoad, hub: Running): Promise<void> {
  const client = connect(urlOf(hub))
  const data = 'x'.repeat(load.size)
  for (let left = count; left > 0; left -= 5_000) {
    await Promise.all(Array.from({ length: Math.min(5_000, left) }, () => client.enqueue(NAME, data)))
  }
  await client.close()
}

function startHub({ load, redis, folder }: World): Promise<Running> {
  const flags = flagsFor(join(folder, 'hub'), { queues: [{ name: NAME }] })
  return start(load, [...flags, '--data', 'memory', '--cluster', redis.url])
}

function taskFor({ size, seconds }: DurableLoad, hub: Running): Omit<ClientTask, 'do'> {
  return { url: urlOf(hub), topic: TOPIC, size, seconds }
}

function rateOf({ messages, seconds }: ClientResult): string {
  return rate(messages, seconds)
}

function shareOf({ messages, seconds }: ClientResult, perSecond: number): number {
  return messages / seconds / perSecond
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}

function times(result: ClientResult, perSecond: number): string {
  return `${shareOf(result, perSecond).toFixed(1)} ×`
}

function wantedRate(result: ClientResult, perSecond: number): string {
  return met(shareOf(result, perSecond) >= 1, `${number(perSecond)}/s`)
}

function wantedShare(share: number, wanted: number): string {
  return met(share >= wanted, percent(wanted))
}

/** The start of the client and the warm-up are in it. */
function costOf({ redisCpu, hubCpu, all }: Measured): string {
  return `Redis ${microsEach(redisCpu, all)} of CPU a message, hub ${microsEach(hubCpu, all)}`
}
