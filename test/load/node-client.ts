import { createHistogram } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { connect } from 'fanfare/client'
import type { StartAt } from '../../shared/streams.ts'
import { doTask, runTask } from './task-process.ts'

/** What the package's own client does, in a process of its own: `run` starts it, the end of this file is it. */
export interface ClientTask {
  readonly url: string
  readonly topic: string
  readonly size: number
  readonly do: 'publish' | 'read' | 'consume' | 'through' | 'delay'
  /** Of a publisher: publishes under way. */
  readonly window?: number
  readonly seconds?: number
  /** Of a publisher: the number of different keys. */
  readonly keys?: number
  /** Of a consumer: deliveries unsettled. */
  readonly prefetch?: number
  /** Of a reader or consumer. */
  readonly from?: StartAt
  readonly count?: number
}

export interface ClientResult {
  readonly messages: number
  /** Those of the warm-up as well. */
  readonly all: number
  readonly seconds: number
  /** Of each publish, in milliseconds. */
  readonly p50: number
  readonly p99: number
}

const self = fileURLToPath(import.meta.url)
const WARM_UP_MS = 1_000

/** Runs a task in a process of its own. */
export function runClient(task: ClientTask): Promise<ClientResult> {
  return runTask(self, task)
}

/** Keeps `window` publishes under way, and counts those that resolve after a warm-up. */
async function publish({ url, topic, size, window = 1, seconds = 4, keys }: ClientTask): Promise<ClientResult> {
  const client = connect(url)
  await client.ready()
  const data = 'x'.repeat(size)
  const start = performance.now() + WARM_UP_MS
  const end = start + seconds * 1000
  const histogram = createHistogram()
  let messages = 0
  let all = 0
  const options = () => (keys === undefined ? {} : { key: `key-${all % keys}` })
  const lane = async () => {
    for (let since = performance.now(); since < end; ) {
      const published = client.publish(topic, data, options())
      all++
      await published
      const now = performance.now()
      if (now >= start && now < end) {
        messages++
        histogram.record(Math.max(1, Math.round((now - since) * 1000)))
      }
      since = now
    }
  }
  await Promise.all(Array.from({ length: window }, lane))
  await client.close()
  return { messages, all, seconds, p50: histogram.percentile(50) / 1000, p99: histogram.percentile(99) / 1000 }
}

async function read({ url, topic, from = 'earliest', count = 1 }: ClientTask): Promise<ClientResult> {
  const client = connect(url)
  await client.ready()
  const start = performance.now()
  let messages = 0
  await new Promise<void>((resolve) => {
    client.subscribe(
      topic,
      () => {
        if (++messages === count) resolve()
      },
      { from },
    )
  })
  const seconds = (performance.now() - start) / 1000
  await client.close()
  return { messages, all: messages, seconds, p50: 0, p99: 0 }
}

/** Consumes a queue until `count` are acked; each ack is confirmed by the hub before the consumer ends. */
async function consume({ url, topic, prefetch = 256, count = 1 }: ClientTask): Promise<ClientResult> {
  const client = connect(url)
  await client.ready()
  const start = performance.now()
  let messages = 0
  const consumer = client.consume(
    topic,
    () => {
      if (++messages === count) finished()
    },
    { prefetch },
  )
  let finished = () => {}
  await new Promise<void>((resolve) => {
    finished = resolve
  })
  await consumer.close()
  const seconds = (performance.now() - start) / 1000
  await client.close()
  return { messages, all: messages, seconds, p50: 0, p99: 0 }
}

/** Publishes to a queue and consumes it at the same time, until all that was published is acked. Counts what is handled after a warm-up. */
async function through({
  url,
  topic,
  size,
  window = 1,
  prefetch = 256,
  seconds = 4,
}: ClientTask): Promise<ClientResult> {
  const client = connect(url)
  await client.ready()
  const data = 'x'.repeat(size)
  const start = performance.now() + WARM_UP_MS
  let [published, all, messages, isFilled] = [0, 0, 0, false]
  let finished = () => {}
  const emptied = new Promise<void>((resolve) => {
    finished = resolve
  })
  const check = () => {
    if (isFilled && all === published) finished()
  }
  const consumer = client.consume(
    topic,
    () => {
      all++
      if (performance.now() >= start) messages++
      check()
    },
    { prefetch },
  )
  const lane = async () => {
    while (performance.now() < start + seconds * 1000) {
      await client.enqueue(topic, data)
      published++
    }
  }
  await Promise.all(Array.from({ length: window }, lane))
  isFilled = true
  check()
  await emptied
  await consumer.close()
  const took = (performance.now() - start) / 1000
  await client.close()
  return { messages, all, seconds: took, p50: 0, p99: 0 }
}

/** From publish to handler, a hundred a second. */
async function delay({ url, topic, size, seconds = 4 }: ClientTask): Promise<ClientResult> {
  const client = connect(url)
  await client.ready()
  const histogram = createHistogram()
  let messages = 0
  await client.consume<string>(topic, ({ data }) => {
    messages++
    histogram.record(Math.max(1, Math.round((performance.now() - Number(data.slice(0, data.indexOf(' ')))) * 1000)))
  }).ready
  const timer = setInterval(() => void client.enqueue(topic, `${performance.now()} `.padEnd(size, 'x')), 10)
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  clearInterval(timer)
  await client.close()
  return {
    messages,
    all: messages,
    seconds,
    p50: histogram.percentile(50) / 1000,
    p99: histogram.percentile(99) / 1000,
  }
}

const TASKS = { publish, read, consume, through, delay }

await doTask<ClientTask, ClientResult>(self, (task) => TASKS[task.do](task))
