import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Client, connect } from '../../client/node.ts'
import type { NamesHubOptions, NamesHubReport } from './names-hub.ts'
import { milliseconds, number, rate, row, title } from './report.ts'

export interface NamesLoad {
  readonly engine: string
  /** Streams, and queues. */
  readonly names: number
  readonly seconds: number
  readonly folder: string
}

/** A hub in a process of its own. */
export interface Running extends NamesHubReport {
  /** The longest turn since it was asked before. */
  longestTurn(): Promise<number>
  stop(): Promise<void>
}

const HUB = fileURLToPath(new URL(`./names-hub${extname(import.meta.url)}`, import.meta.url))
const FEW = 10
const NEW_TOPICS = 20_000
const WINDOW = 256
const ROUNDS = 3
const DECLARED = 500
const WANTED_START_SECONDS = 3
const WANTED_SHARE = 0.9
const WANTED_TURN_MS = 100

/** What publishers publish to, in turn. Those in queues and streams are the same with few names and with many. */
const TOPICS: Record<string, (n: number, names: number) => string> = {
  'a known topic': () => 'live.a',
  'new topics in turn': (n: number) => `live.${n % NEW_TOPICS}.x`,
  'ten queues in turn': (n: number) => `q${n % FEW}.a`,
  'ten streams in turn': (n: number) => `s${n % FEW}.a`,
  'all queues in turn': (n: number, names: number) => `q${n % names}.a`,
  'all streams in turn': (n: number, names: number) => `s${n % names}.a`,
}

/** What very many streams and queues cost: at start, while publishing, when one more is declared, and when idle. */
export async function names({ engine, names, seconds, folder }: NamesLoad): Promise<void> {
  const made = mkdtempSync(join(folder, 'fanfare-names-'))
  process.once('exit', () => rmSync(made, { recursive: true, force: true }))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(1))
  const options = (count: number) => ({ engine, port: 0, data: join(made, String(count)), ...declared(count) })
  title(`${number(names)} streams and ${number(names)} queues, engine ${engine}`)
  const fresh = await start(options(names))
  started('start from the configuration', fresh)
  await fresh.stop()
  const many = await start({ ...options(names), streams: [], queues: [] })
  started('start from the disk', many)
  const few = await start(options(FEW))
  await idle(many, seconds)
  await publishing(few, many, names, seconds)
  await declaring(few, many)
  await few.stop()
  await many.stop()
}

/** Patterns of all kinds: those that begin with a word, with `*` and with `#`. */
function declared(count: number): Pick<NamesHubOptions, 'streams' | 'queues'> {
  const patterns = (name: string) => [`${name}.#`, `*.${name}`, `#.${name}.b`]
  const each = Array.from({ length: count }, (_, n) => n)
  return {
    streams: each.map((n) => ({ name: `s${n}`, topics: patterns(`s${n}`) })),
    queues: each.map((n) => ({
      name: `q${n}`,
      bindings: patterns(`q${n}`).map((topic) => ({ topic })),
      maxMessages: 100_000,
      overflow: 'drop-oldest',
    })),
  }
}

export async function start(options: NamesHubOptions): Promise<Running> {
  const child = fork(HUB, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  child.send(options)
  const report = await reportOf(child)
  return {
    ...report,
    longestTurn: async () => {
      child.send('report')
      return (await reportOf(child)).longestTurnMs
    },
    stop: async () => {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

async function reportOf(child: ChildProcess): Promise<NamesHubReport> {
  const [report] = await once(child, 'message')
  return report as NamesHubReport
}

function started(name: string, { startSeconds }: Running): void {
  row(name, `${startSeconds.toFixed(2)} s`, '', `wanted: ${WANTED_START_SECONDS} s`)
  if (startSeconds > WANTED_START_SECONDS) process.exitCode = 1
}

async function idle(hub: Running, seconds: number): Promise<void> {
  await turnsOf(hub, 'longest turn while idle', () => wait(seconds))
  const client = connect(`ws://127.0.0.1:${hub.port}/`)
  await client.subscribe('$sys.queues.q1', () => {}).ready
  await turnsOf(hub, 'with one $sys.queues.<name> heard', () => wait(seconds))
  await client.subscribe('$sys.#', () => {}).ready
  await turnsOf(hub, 'with all of $sys heard', () => wait(seconds))
  await turnsOf(hub, 'while it lists all queues', async () => void (await client.admin.queues.list()))
  await turnsOf(hub, 'while it lists all streams', async () => void (await client.admin.streams.list()))
  await turnsOf(hub, 'while it is scraped', async () => {
    await (await fetch(`http://127.0.0.1:${hub.port}/metrics`)).text()
  })
  await client.close()
}

/** The hubs take turns, so that a machine that is busy meanwhile is so for both. */
async function publishing(few: Running, many: Running, names: number, seconds: number): Promise<void> {
  for (const [name, topic] of Object.entries(TOPICS)) {
    const counts = { few: 0, many: 0 }
    await many.longestTurn()
    for (let round = 0; round < ROUNDS; round++) {
      counts.few += await publish(few, (n) => topic(n, FEW), seconds)
      counts.many += await publish(many, (n) => topic(n, names), seconds)
    }
    const share = counts.many / counts.few
    const turn = milliseconds(await many.longestTurn())
    const figures = `${(share * 100).toFixed(0)} % of ${rate(counts.few, ROUNDS * seconds)} with ten, longest turn ${turn}`
    row(`publish to ${name}`, rate(counts.many, ROUNDS * seconds), figures, `wanted: ${WANTED_SHARE * 100} %`)
    if (share < WANTED_SHARE) process.exitCode = 1
  }
}

async function publish({ port }: Running, topicOf: (n: number) => string, seconds: number): Promise<number> {
  const client = connect(`ws://127.0.0.1:${port}/`)
  await client.ready()
  const end = performance.now() + seconds * 1000
  let sent = 0
  let received = 0
  const lane = async () => {
    while (performance.now() < end) {
      await client.publish(topicOf(sent++), 'x'.repeat(100))
      received++
    }
  }
  await Promise.all(Array.from({ length: WINDOW }, lane))
  await client.close()
  return received
}

async function declaring(few: Running, many: Running): Promise<void> {
  const perSecond = async ({ port }: Running) => {
    const client = connect(`ws://127.0.0.1:${port}/`)
    const since = performance.now()
    for (let n = 0; n < DECLARED; n++) await declareOne(client, n)
    const taken = (performance.now() - since) / 1000
    await client.close()
    return DECLARED / taken
  }
  const [withFew, withMany] = [await perSecond(few), await perSecond(many)]
  row('declare a queue over the wire', rate(withMany, 1), `${rate(withFew, 1)} with ten`)
}

async function declareOne(client: Client, n: number): Promise<void> {
  await client.admin.queues.declare({ name: `new-${n}`, bindings: [{ topic: `new.${n}` }] })
}

async function turnsOf(hub: Running, name: string, act: () => Promise<void>): Promise<void> {
  await hub.longestTurn()
  await act()
  const turn = await hub.longestTurn()
  row(name, milliseconds(turn), '', `wanted: ${WANTED_TURN_MS} ms`)
  if (turn > WANTED_TURN_MS) process.exitCode = 1
}

function wait(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000)
  })
}
