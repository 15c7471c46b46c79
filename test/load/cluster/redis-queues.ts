import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../../../client/node.ts'
import { type DurableLoad, flagsFor, urlOf } from '../durable-load.ts'
import { type ClientResult, type ClientTask, runClient } from '../node-client.ts'
import { cpuSeconds, processStats } from '../process-stats.ts'
import { latency, number, print, rate, row, title } from '../report.ts'
import { fanfare, type Running } from '../targets.ts'
import { type BullTask, runBull } from './bull-client.ts'
import { DurableRedis } from './durable-redis.ts'
import { redisAlone } from './redis-alone.ts'

const NAME = 'bench'
const TOPIC = `$queue.${NAME}`
const WINDOW = 256
const GROUPS = 10_000
/** Of the long queue, as many are consumed as there are in the short one. */
const SHORT = 20_000

export interface RedisQueuesLoad extends DurableLoad {
  readonly parts: string
}

interface World {
  readonly load: RedisQueuesLoad
  readonly redis: DurableRedis
  readonly folder: string
}

const PARTS = { rates, groups, waiting }
export const REDIS_QUEUES_PARTS = Object.keys(PARTS).join(',')

/** All promised figures of queues on Redis, each next to what it is compared with. Hub, client and Redis are three processes. */
export async function redisQueues(load: RedisQueuesLoad): Promise<void> {
  if (!processStats) throw new Error('These figures need Linux: they are CPU time of other processes')
  const folder = mkdtempSync(join(load.folder, 'fanfare-redis-queues-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))
  const redis = await DurableRedis.start(folder)
  print(`Messages of ${load.size} bytes, engine ${load.engine}, Redis with appendfsync always in ${folder}.`)
  for (const part of load.parts.split(',')) {
    const run = PARTS[part as keyof typeof PARTS]
    if (!run) throw new Error(`No part "${part}"; there are ${REDIS_QUEUES_PARTS}`)
    await run({ load, redis, folder })
  }
  await redis.stop()
  process.exit()
}

async function rates({ load, redis, folder }: World): Promise<void> {
  const { size, seconds } = load
  title(`One Node client, window and prefetch ${WINDOW}`)
  const alone = await redisAlone(redis.server.url, WINDOW, size, seconds / 2)
  const bull = await besideBull({ load, redis, folder })
  const report = await redis.reset()
  const hub = await startHub({ load, redis, folder })
  const task = { ...taskFor(load, hub), window: WINDOW }
  const published = await measured({ ...task, do: 'publish' }, hub, redis)
  const consumed = await measured({ ...task, topic: NAME, do: 'consume', count: published.all }, hub, redis)
  const through = await measured({ ...task, topic: NAME, do: 'through' }, hub, redis)
  await hub.stop()
  row('publish', rateOf(published), latency(published), 'wanted: 25,000/s')
  row(
    '',
    shareOf(published, alone.pushesPerSecond),
    `of Redis alone, ${number(alone.pushesPerSecond)}/s`,
    'wanted: 50 %',
  )
  row('', times(published, bull.publish), `BullMQ, ${number(bull.publish)}/s`)
  row('', '', costOf(published))
  row('consume and ack', rateOf(consumed), '', 'wanted: 30,000/s')
  row('', shareOf(consumed, alone.takesPerSecond), `of Redis alone, ${number(alone.takesPerSecond)}/s`)
  row('', times(consumed, bull.consume), `BullMQ, ${number(bull.consume)}/s`)
  row('', '', costOf(consumed))
  row('publish, handler, ack, all at once', rateOf(through))
  row('', times(through, bull.through), `BullMQ, ${number(bull.through)}/s`, 'wanted: 4 ×')
  row('', '', costOf(through))
  await report()
  await redis.flush()
}

async function besideBull({ load: { size, seconds }, redis }: World) {
  const run = async (what: BullTask['do'], count = 0) => {
    const result = await runBull({
      port: redis.server.port,
      size,
      batch: WINDOW,
      seconds: seconds / 2,
      do: what,
      count,
    })
    return { jobs: result.jobs, perSecond: result.jobs / result.seconds }
  }
  const published = await run('publish')
  const consumed = await run('consume', published.jobs)
  const through = await run('through')
  await redis.flush()
  return { publish: published.perSecond, consume: consumed.perSecond, through: through.perSecond }
}

async function groups({ load, redis, folder }: World): Promise<void> {
  title(`${number(GROUPS)} groups compared with none`)
  const report = await redis.reset()
  const run = async (keys: number | undefined) => {
    const hub = await startHub({ load, redis, folder })
    const task = { ...taskFor(load, hub), window: WINDOW, ...(keys !== undefined && { keys }) }
    const published = await measured({ ...task, do: 'publish' }, hub, redis)
    const consumed = await measured({ ...task, topic: NAME, do: 'consume', count: published.all }, hub, redis)
    await hub.stop()
    await redis.flush()
    return { published, consumed }
  }
  const without = await run(undefined)
  const within = await run(GROUPS)
  for (const part of ['published', 'consumed'] as const) {
    const [a, b] = [without[part], within[part]]
    row(part, rateOf(b), `${shareOf(b, a.messages / a.seconds)} of ${rateOf(a)}`, 'wanted: 50 %')
    row('', '', costOf(b))
    row('  without groups', '', costOf(a))
  }
  await report()
}

/** The same of a long queue as of a short one: what waits must not make anything slower. */
async function waiting({ load, redis, folder }: World): Promise<void> {
  title(`With ${number(load.messages)} messages waiting, ${number(SHORT)} of them consumed`)
  const report = await redis.reset()
  const run = async (count: number) => {
    const hub = await startHub({ load, redis, folder })
    await fillTo(count, load, hub)
    const consumed = await measured({ ...taskFor(load, hub), topic: NAME, do: 'consume', count: SHORT }, hub, redis)
    await hub.stop()
    await redis.flush()
    return consumed
  }
  const short = await run(SHORT)
  const long = await run(load.messages)
  row('nothing else waiting', rateOf(short), costOf(short))
  row(`${number(load.messages)} waiting`, rateOf(long), costOf(long))
  row('', shareOf(long, short.messages / short.seconds), 'of the rate', 'wanted: 80 %')
  row('', `${((long.redisCpu / short.redisCpu) * 100).toFixed(0)} %`, 'of the CPU of Redis')
  await report()
}

interface Measured extends ClientResult {
  readonly redisCpu: number
  readonly hubCpu: number
}

async function measured(task: ClientTask, hub: Running, redis: DurableRedis): Promise<Measured> {
  const before = { redis: redis.cpu, hub: cpuSeconds(hub.pid as number) }
  const result = await runClient(task)
  return { ...result, redisCpu: redis.cpu - before.redis, hubCpu: cpuSeconds(hub.pid as number) - before.hub }
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
  return fanfare(load.engine, [...flags, '--cluster', redis.server.url], 'all').start()
}

function taskFor({ size, seconds }: DurableLoad, hub: Running): Omit<ClientTask, 'do'> {
  return { url: urlOf(hub), topic: TOPIC, size, seconds }
}

function rateOf({ messages, seconds }: ClientResult): string {
  return rate(messages, seconds)
}

function shareOf({ messages, seconds }: ClientResult, perSecond: number): string {
  return `${((messages / seconds / perSecond) * 100).toFixed(0)} %`
}

function times({ messages, seconds }: ClientResult, perSecond: number): string {
  return `${(messages / seconds / perSecond).toFixed(1)} ×`
}

/** The start of the client and the warm-up are in it. */
function costOf({ redisCpu, hubCpu, all }: Measured): string {
  const micros = (seconds: number) => `${((seconds / all) * 1e6).toFixed(1)} µs`
  return `Redis ${micros(redisCpu)} of CPU a message, hub ${micros(hubCpu)}`
}
