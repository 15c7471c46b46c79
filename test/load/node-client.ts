import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createHistogram } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { connect } from '../../client/node.ts'
import type { StartAt } from '../../shared/streams.ts'

/** What the package's own client does, in a process of its own: `run` starts it, the end of this file is it. */
export interface ClientTask {
  readonly url: string
  readonly topic: string
  readonly size: number
  readonly do: 'publish' | 'read' | 'consume' | 'delay'
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
  readonly seconds: number
  /** Of each publish, in milliseconds. */
  readonly p50: number
  readonly p99: number
}

const self = fileURLToPath(import.meta.url)
const WARM_UP_MS = 1_000

/** Runs a task in a process of its own. */
export async function runClient(task: ClientTask): Promise<ClientResult> {
  const args = [...process.execArgv, self, JSON.stringify(task)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`The client ended with ${code}`)
  return JSON.parse(text) as ClientResult
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
  let sent = 0
  const options = () => (keys === undefined ? {} : { key: `key-${sent++ % keys}` })
  const lane = async () => {
    for (let since = performance.now(); since < end; ) {
      await client.publish(topic, data, options())
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
  return { messages, seconds, p50: histogram.percentile(50) / 1000, p99: histogram.percentile(99) / 1000 }
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
  return { messages, seconds, p50: 0, p99: 0 }
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
  return { messages, seconds, p50: 0, p99: 0 }
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
  return { messages, seconds, p50: histogram.percentile(50) / 1000, p99: histogram.percentile(99) / 1000 }
}

const TASKS = { publish, read, consume, delay }

if (process.argv[1] === self) {
  const task = JSON.parse(process.argv[2] as string) as ClientTask
  const result = await TASKS[task.do](task)
  process.stdout.write(JSON.stringify(result))
}
