import { join } from 'node:path'
import type { StreamOptions } from '../../../shared/streams.ts'
import { type DurableLoad, flagsFor, folderOf, start, urlOf } from '../durable-load.ts'
import { fanOut } from '../fan-out.ts'
import { type ClientTask, runClient } from '../node-client.ts'
import { moveToLoadCore } from '../process-stats.ts'
import { latency, milliseconds, number, rate, row, title } from '../report.ts'
import { fanfare } from '../targets.ts'
import { fill } from './fill.ts'
import { lmdbAlone } from './lmdb-alone.ts'
import { replay } from './replay.ts'

/** The topic that the load publishes on, and the stream that captures it. */
const NAME = 'bench'
const WINDOW = 256
/** Of a stream that is read from its start, and the one compared with the long one. */
const REPLAYED = 1_000_000
const SHORT = 10_000
const TAIL = 1_000
const TAIL_TRIES = 5

/** All promised figures of streams, each next to what it is compared with. */
export async function streams(load: DurableLoad): Promise<void> {
  const folder = folderOf(load, 'streams')
  await publishes(load, folder)
  await replays(load, folder)
  await longStream(load, folder)
  await captures(load, folder)
}

async function publishes(load: DurableLoad, folder: string): Promise<void> {
  const { size, seconds } = load
  const alone = await lmdbAlone(folder, WINDOW, size)
  const hub = await start(load, flagsFor(join(folder, 'publishes'), declared('disk')))
  const task = { url: urlOf(hub), topic: NAME, size, seconds }
  const windowful = await runClient({ ...task, do: 'publish', window: WINDOW })
  const lone = await runClient({ ...task, do: 'publish', window: 1 })
  await hub.stop()
  title('Durable publishes of one Node client')
  row(`window of ${WINDOW}`, rate(windowful.messages, windowful.seconds), latency(windowful), 'wanted: 60,000/s')
  row(`LMDB alone, groups of ${WINDOW}`, rate(alone.putsPerSecond, 1))
  row('one at a time', rate(lone.messages, lone.seconds), latency(lone), 'wanted: p50 below 2 ms')
  row('LMDB alone, one at a time', '', latency(alone.lone))
}

async function replays(load: DurableLoad, folder: string): Promise<void> {
  const { size } = load
  const data = await filled(folder, 'replays', REPLAYED, size)
  const hub = await start(load, flagsFor(data))
  const raw = await replay(hub, NAME, 'earliest', REPLAYED, size)
  const read: ClientTask = { url: urlOf(hub), topic: NAME, size, do: 'read', count: REPLAYED }
  const client = await runClient(read)
  await hub.stop()
  title(`Replay of ${number(REPLAYED)} messages to one subscriber`)
  row('a reader that counts', rate(REPLAYED, raw), '', 'wanted: 300,000/s')
  row('the Node client, a handler', rate(client.messages, client.seconds))
}

async function captures(load: DurableLoad, folder: string): Promise<void> {
  const scenario = { subscribers: 100, publishers: 1, size: load.size, stalled: 0, seconds: load.seconds }
  // From here on the load competes with the hub, unless each has a core of its own.
  moveToLoadCore()
  const run = async (flags: readonly string[]) =>
    (await fanOut(fanfare(load.engine, flags), scenario)).deliveriesPerSecond
  const without = await run([])
  title('Live fan-out to 100 subscribers, as fast as it goes')
  row('no stream captures the topic', rate(without, 1))
  for (const durability of ['os', 'disk'] as const) {
    const captured = await run(flagsFor(join(folder, `captures-${durability}`), declared(durability)))
    row(
      `captured, durability ${durability}`,
      rate(captured, 1),
      `${((captured / without) * 100).toFixed(0)} %`,
      'wanted: 50 %',
    )
  }
}

async function longStream(load: DurableLoad, folder: string): Promise<void> {
  const { size, messages } = load
  title(`Streams of ${number(SHORT)} and of ${number(messages)} messages`)
  for (const count of [SHORT, messages]) {
    const data = await filled(folder, `of-${count}`, count, size)
    const since = performance.now()
    const hub = await start(load, flagsFor(data))
    const opened = performance.now() - since
    const last = await median(() => replay(hub, NAME, { last: TAIL }, TAIL, size))
    const offset = await median(() => replay(hub, NAME, { offset: count - TAIL }, TAIL, size))
    await hub.stop()
    const tail = `newest ${number(TAIL)}: ${milliseconds(last * 1000)} by last, ${milliseconds(offset * 1000)} by offset`
    row(
      `${number(count)} messages`,
      `${(opened / 1000).toFixed(2)} s`,
      tail,
      'start of the process included; wanted: 2 s',
    )
  }
}

async function median(measure: () => Promise<number>): Promise<number> {
  const tries: number[] = []
  for (let n = 0; n < TAIL_TRIES; n++) tries.push(await measure())
  return tries.sort((a, b) => a - b)[Math.floor(TAIL_TRIES / 2)] as number
}

async function filled(folder: string, name: string, count: number, size: number): Promise<string> {
  const data = join(folder, name)
  await fill(data, optionsOf('os'), count, size)
  return data
}

function declared(durability: StreamOptions['durability']): object {
  const { maxAgeMs, ...stream } = optionsOf(durability)
  return { streams: [{ ...stream, maxAge: maxAgeMs }] }
}

function optionsOf(durability: StreamOptions['durability']): StreamOptions {
  return { name: NAME, topics: [NAME], maxAgeMs: 7 * 86_400_000, maxBytes: 2 ** 40, lastValue: false, durability }
}
