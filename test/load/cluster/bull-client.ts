import { fileURLToPath } from 'node:url'
import { Queue, Worker } from 'bullmq'
import { doTask, runTask } from '../task-process.ts'

/** What BullMQ does in a process of its own, as its documentation has it: `addBulk`, and a worker with a concurrency. */
export interface BullTask {
  readonly port: number
  readonly size: number
  readonly do: 'publish' | 'consume' | 'through'
  /** Jobs of each `addBulk`, and the concurrency of the worker. */
  readonly batch: number
  readonly seconds: number
  /** Of a consumer. */
  readonly count: number
}

export interface BullResult {
  readonly jobs: number
  readonly seconds: number
}

const self = fileURLToPath(import.meta.url)
const NAME = 'bench'
const WARM_UP_SECONDS = 1

export function runBull(task: BullTask): Promise<BullResult> {
  return runTask(self, task)
}

async function publish(task: BullTask): Promise<BullResult> {
  const queue = await queueOf(task)
  const start = performance.now()
  const jobs = await fill(queue, task, start)
  const seconds = secondsSince(start)
  await queue.close()
  return { jobs, seconds }
}

async function consume(task: BullTask): Promise<BullResult> {
  const start = performance.now()
  const { done, worker } = work(task)
  await done(task.count)
  const seconds = secondsSince(start)
  await worker.close(true)
  return { jobs: task.count, seconds }
}

/** What is done after a warm-up counts. */
async function through(task: BullTask): Promise<BullResult> {
  const queue = await queueOf(task)
  const { done, completed, worker } = work(task)
  const start = performance.now()
  const before = await fill(queue, { ...task, seconds: WARM_UP_SECONDS }, start)
  const since = performance.now()
  const early = completed()
  const jobs = before + (await fill(queue, task, since))
  await done(jobs)
  const seconds = secondsSince(since)
  await worker.close(true)
  await queue.close()
  return { jobs: jobs - early, seconds }
}

async function queueOf({ port }: BullTask): Promise<Queue> {
  const queue = new Queue(NAME, { connection: { host: '127.0.0.1', port } })
  await queue.waitUntilReady()
  return queue
}

/** Adds jobs for a while, one batch after the other. */
async function fill(queue: Queue, { batch, size, seconds }: BullTask, start: number): Promise<number> {
  const data = 'x'.repeat(size)
  // As an ack in a hub does, the end of a job leaves nothing behind.
  const opts = { removeOnComplete: true, removeOnFail: true }
  const jobs = Array.from({ length: batch }, () => ({ name: 'job', data: { data }, opts }))
  let added = 0
  while (secondsSince(start) < seconds) {
    await queue.addBulk(jobs)
    added += batch
  }
  return added
}

function work({ port, batch }: BullTask) {
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null }
  const worker = new Worker(NAME, async () => {}, { connection, concurrency: batch })
  let completed = 0
  let wanted = Number.POSITIVE_INFINITY
  let finished = () => {}
  const check = () => {
    if (completed >= wanted) finished()
  }
  worker.on('completed', () => {
    completed++
    check()
  })
  return {
    worker,
    completed: () => completed,
    done: (count: number) =>
      new Promise<void>((resolve) => {
        wanted = count
        finished = resolve
        check()
      }),
  }
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000
}

const TASKS = { publish, consume, through }

await doTask<BullTask, BullResult>(self, (task) => TASKS[task.do](task))
