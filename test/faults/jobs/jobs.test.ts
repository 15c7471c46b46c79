import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { it } from 'vitest'
import { type Client, connect } from '../../../client/node.ts'
import { startHub } from '../../../server/index.ts'
import { HubProcess } from '../../setup/hub-process.ts'
import { seeded } from '../../setup/seeded.ts'
import { type End, judge, type Note } from './judge.ts'
import { type Mix, mixOf, type WorkerOptions } from './mix.ts'
import { clientWorker, foreignWorker, notesIn, ProcessWorker, type Worker } from './workers.ts'

const MIXES = Number(process.env['JOBS_MIXES'] ?? 5)
/** Mix n of seed s is mix 1 of seed s + n - 1: one that failed is repeated by itself. */
const SEED = Number(process.env['JOBS_SEED'] ?? Date.now() % 1_000_000)
/** In one of this many runs one worker is a process, or all are. */
const PROCESSES_IN = Number(process.env['JOBS_PROCESSES_IN'] ?? 8)
const MOST_MS = 60_000
/** When all else is over, these do what is left. */
const LAST: WorkerOptions = { kind: 'handler', concurrency: 16, prefetch: 16, maxRunTime: 500 }

type Hire = (options: WorkerOptions) => Promise<Worker>

async function play(client: Client, mix: Mix, engage: Hire): Promise<Omit<End, 'died' | 'guesses'>> {
  const { queue, jobs, workers, events } = mix
  await client.admin.queues.declare({ name: 'jobs', backoff: { base: 5, cap: 50 }, ...queue })
  await Promise.all(
    jobs.map(({ key, plan }, n) => client.enqueue('jobs', { n, plan }, key === undefined ? {} : { key })),
  )
  // All of them: of two events for one worker each has another take its place.
  const hired: Worker[] = []
  const hire = async (options: WorkerOptions) => {
    const worker = await engage(options)
    hired.push(worker)
    return worker
  }
  const present = await Promise.all(workers.map(hire))
  const under = events.map(async ({ kind, atMs, which }) => {
    await wait(atMs)
    const worker = present[which] as Worker
    if (kind === 'cut') return worker.cut()
    present[which] = await hire(workers[which] as WorkerOptions)
    await (kind === 'kill' ? worker.kill() : worker.close())
  })
  await Promise.all(under)
  await hire(LAST)
  const drained = await drain(client)
  await Promise.all(hired.map((worker) => worker.close()))
  const { ackedTotal } = await client.admin.queues.show('jobs')
  return { drained, acked: ackedTotal, letters: await client.admin.queues.deadLetters.list('jobs') }
}

async function drain(client: Client): Promise<boolean> {
  const until = performance.now() + MOST_MS
  while (performance.now() < until) {
    const { depth, inFlight } = await client.admin.queues.show('jobs')
    if (depth + inFlight === 0) return true
    await wait(20)
  }
  console.log(
    JSON.stringify(await client.admin.queues.show('jobs')),
    JSON.stringify((await client.admin.connections.list()).connections.map((c) => c.consumers)),
  )
  return false
}

async function inThisProcess(mix: Mix): Promise<{ notes: Note[]; end: End }> {
  const hub = await startHub({ port: 0, logLevel: 'silent', drainTimeout: 100 })
  const client = connect(`ws://127.0.0.1:${hub.port}/`)
  const notes: Note[] = []
  const hire: Hire = (options) =>
    (options.kind === 'foreign' ? foreignWorker : clientWorker)(hub.port, options, (note) => notes.push(note))
  try {
    return {
      notes,
      end: {
        ...(await play(client, mix, hire)),
        died: new Set(),
        guesses: mix.workers.some(({ kind }) => kind === 'foreign'),
      },
    }
  } finally {
    await client.close()
    await hub.close()
  }
}

async function inProcesses(mix: Mix): Promise<{ notes: Note[]; end: End }> {
  const folder = await mkdtemp(join(tmpdir(), 'fanfare-jobs-'))
  const history = join(folder, 'history')
  const died = new Set<number>()
  const hub = await HubProcess.start({ data: 'memory' })
  const client = connect(hub.url)
  const hire: Hire = async (options) => {
    const worker = new ProcessWorker(hub.url, history, options, died)
    await worker.start()
    return worker
  }
  try {
    const end = await play(client, mix, hire)
    return { notes: notesIn(history), end: { ...end, died, guesses: false } }
  } finally {
    await client.close()
    await hub.kill()
    await rm(folder, { recursive: true, force: true })
  }
}

it.for(Array.from({ length: MIXES }, (_, n) => SEED + n))(
  'jobs: JOBS_SEED=%i JOBS_MIXES=1',
  { timeout: 2 * MOST_MS },
  async (seed, { expect }) => {
    const processes = seed % PROCESSES_IN === 0
    const mix = mixOf(seeded(seed), processes)
    const { notes, end } = await (processes ? inProcesses : inThisProcess)(mix)
    expect(judge(mix.jobs.length, mix.queue.maxAttempts, notes, end)).toEqual([])
  },
)
