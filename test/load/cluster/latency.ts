import { createHistogram } from 'node:perf_hooks'
import { Redis } from 'ioredis'
import type { RedisServer } from '../../setup/redis-server.ts'
import { nowMicros } from '../delivery-counter.ts'
import { openSubscriber, Publisher } from '../fan-out.ts'
import { latency, row, title } from '../report.ts'
import { fanfare } from '../targets.ts'
import { type ClusterLoad, passed, startNodes, stopAll } from './load-cluster.ts'

const RATE = 100
const WARM_UP_MS = 2_000
/** The minimum number of messages: one percent of them must be more than a few. */
const LEAST_SECONDS = 10

/** From a publisher on one hub to a subscriber on another, and what Redis itself takes at the same time. */
export async function clusterLatency({ engine, size, seconds }: ClusterLoad, redis: RedisServer): Promise<void> {
  title(`Latency: a publisher on one hub, a subscriber on another, ${RATE} messages/s`)
  const nodes = await startNodes(2, engine, redis)
  const [from, to] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
  const target = fanfare(engine)
  const [here, there] = [
    await openSubscriber(target, from, { size, rate: RATE }),
    await openSubscriber(target, to, { size, rate: RATE }),
  ]
  const publisher = await Publisher.open(target, from, size, RATE)
  const alone = await redisAlone(redis, size)
  publisher.start()
  await passed(WARM_UP_MS)
  for (const histogram of [here.counter.latency, there.counter.latency, alone.latency]) histogram.reset()
  await passed(Math.max(LEAST_SECONDS, seconds) * 1000)
  publisher.stop()
  for (const { socket } of [here, there]) socket.destroy()
  alone.stop()
  await stopAll(nodes)
  row('PUBLISH to SUBSCRIBE of Redis', '', percentiles(alone.latency))
  row("subscriber on the publisher's hub", '', percentiles(here.counter.latency))
  row('subscriber on the other hub', '', percentiles(there.counter.latency), 'wanted: p50 1.5 ms, p99 6 ms')
}

/** The same over two connections to Redis, with no hub. */
async function redisAlone(redis: RedisServer, size: number) {
  const [publisher, subscriber] = [new Redis(redis.url), new Redis(redis.url)]
  const histogram = createHistogram()
  await subscriber.subscribe('alone')
  subscriber.on('message', (_channel, text) => histogram.record(Math.max(1, nowMicros() - Number.parseInt(text, 10))))
  const timer = setInterval(() => void publisher.publish('alone', `${nowMicros()} `.padEnd(size, 'x')), 1000 / RATE)
  return {
    latency: histogram,
    stop() {
      clearInterval(timer)
      publisher.disconnect()
      subscriber.disconnect()
    },
  }
}

function percentiles(histogram: { percentile(percent: number): number }): string {
  return latency({ p50: histogram.percentile(50) / 1000, p99: histogram.percentile(99) / 1000 })
}
