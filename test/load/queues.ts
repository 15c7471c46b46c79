import { join } from 'node:path'
import { connect } from '../../client/node.ts'
import { type DurableLoad, flagsFor, folderOf, start, urlOf } from './durable-load.ts'
import { type ClientTask, runClient } from './node-client.ts'
import { residentBytes } from './process-stats.ts'
import { latency, number, rate, row, title } from './report.ts'
import { lmdbAlone } from './streams/lmdb-alone.ts'
import type { Running } from './targets.ts'

const NAME = 'bench'
const TOPIC = `$queue.${NAME}`
const WINDOW = 256
const SHORT = 1_000
const GROUPS = 10_000

/** All promised figures of queues, each next to what it is compared with. */
export async function queues(load: DurableLoad): Promise<void> {
  const folder = folderOf(load, 'queues')
  await basics(load, folder)
  await longQueue(load, folder)
  await groups(load, folder)
}

async function basics(load: DurableLoad, folder: string): Promise<void> {
  const alone = await lmdbAlone(folder, WINDOW, load.size)
  title(`One Node client, window and prefetch ${WINDOW}`)
  row(`LMDB alone, groups of ${WINDOW}`, rate(alone.putsPerSecond, 1))
  const hub = await startOn(load, folder, 'basics')
  const { published, consumed } = await through(load, hub)
  row('publish', rate(published.messages, published.seconds), latency(published), 'wanted: 60,000/s')
  row('consume and ack', rate(consumed.messages, consumed.seconds), '', 'wanted: 80,000/s')
  await purge(hub)
  const delay = await runClient({ ...taskFor(load, hub), topic: NAME, do: 'delay' })
  row('from publish to handler, at 100/s', '', latency(delay), 'wanted: p50 below 3 ms')
  await hub.stop()
}

/** The same with a long queue before it: what waits must not make anything slower. */
async function longQueue(load: DurableLoad, folder: string): Promise<void> {
  title(`With ${number(SHORT)} and with ${number(load.messages)} messages waiting`)
  for (const waiting of [SHORT, load.messages]) {
    const name = `of-${waiting}`
    const first = await startOn(load, folder, name)
    const empty = residentBytes(first.pid as number)
    await fillTo(waiting, load, first)
    const bytes = residentBytes(first.pid as number) - empty
    await first.stop()
    const since = performance.now()
    const hub = await startOn(load, folder, name)
    const opened = (performance.now() - since) / 1000
    const task = taskFor(load, hub)
    const published = await runClient({ ...task, do: 'publish', window: WINDOW })
    const count = Math.max(published.messages, waiting / 2)
    const consumed = await runClient({ ...task, topic: NAME, do: 'consume', count })
    await hub.stop()
    const rates = `publish ${rate(published.messages, published.seconds)}, consume ${rate(consumed.messages, consumed.seconds)}`
    const memory = waiting === SHORT ? '' : `, ${number(bytes / waiting)} bytes of memory each`
    row(`${number(waiting)} waiting`, `${opened.toFixed(2)} s to open`, rates, `process start included${memory}`)
  }
}

async function groups(load: DurableLoad, folder: string): Promise<void> {
  title(`${number(GROUPS)} groups compared with none`)
  const run = async (keys: number | undefined) => {
    const hub = await startOn(load, folder, `groups-${keys ?? 0}`)
    const result = await through(load, hub, keys)
    await hub.stop()
    return result
  }
  const without = await run(undefined)
  const within = await run(GROUPS)
  for (const part of ['published', 'consumed'] as const) {
    const [a, b] = [without[part], within[part]]
    const share = (b.messages / b.seconds / (a.messages / a.seconds)) * 100
    row(part, rate(b.messages, b.seconds), `${share.toFixed(0)} % of ${rate(a.messages, a.seconds)}`, 'wanted: 80 %')
  }
}

/** Publishes for a while, then consumes all of it. */
async function through(load: DurableLoad, hub: Running, keys?: number | undefined) {
  const task = taskFor(load, hub)
  const published = await runClient({ ...task, do: 'publish', window: WINDOW, ...(keys !== undefined && { keys }) })
  // More went in than was counted: the warm-up.
  const consumed = await runClient({ ...task, topic: NAME, do: 'consume', count: published.messages })
  return { published, consumed }
}

/** What was published while warming up is still there. */
async function purge(hub: Running): Promise<void> {
  const client = connect(urlOf(hub))
  await client.admin.queues.purge(NAME)
  await client.close()
}

async function fillTo(count: number, load: DurableLoad, hub: Running): Promise<void> {
  const client = connect(urlOf(hub))
  const data = 'x'.repeat(load.size)
  for (let left = count; left > 0; left -= 5_000) {
    await Promise.all(Array.from({ length: Math.min(5_000, left) }, () => client.enqueue(NAME, data)))
  }
  await client.close()
}

function taskFor({ size, seconds }: DurableLoad, hub: Running): Omit<ClientTask, 'do'> {
  return { url: urlOf(hub), topic: TOPIC, size, seconds }
}

function startOn(load: DurableLoad, folder: string, name: string): Promise<Running> {
  return start(load, flagsFor(join(folder, name), { queues: [{ name: NAME }] }))
}
