import { Buffer } from 'node:buffer'
import { Redis } from 'ioredis'

/** What Redis takes without a hub: a list, and commands in pipelines, each of which ends with one fsync. */
export interface RedisAlone {
  readonly pushed: number
  readonly pushesPerSecond: number
  readonly taken: number
  readonly takesPerSecond: number
}

/** Pushes values in pipelines of `batch`, one after the other; then moves each to a second list and removes it there, as reliable queues do. */
export async function redisAlone(url: string, batch: number, size: number, seconds: number): Promise<RedisAlone> {
  const redis = new Redis(url)
  const value = Buffer.alloc(size, 'x')
  const all = Array.from({ length: batch })
  let pushed = 0
  const start = performance.now()
  while (performance.now() - start < seconds * 1000) {
    await redis.pipeline(all.map(() => ['rpush', 'alone', value])).exec()
    pushed += batch
  }
  const pushSeconds = (performance.now() - start) / 1000
  let taken = 0
  const since = performance.now()
  while (taken < pushed && performance.now() - since < seconds * 1000) {
    await redis.pipeline(all.map(() => ['lmove', 'alone', 'taken', 'LEFT', 'RIGHT'])).exec()
    await redis.pipeline(all.map(() => ['lrem', 'taken', 1, value])).exec()
    taken += batch
  }
  const takeSeconds = (performance.now() - since) / 1000
  redis.disconnect()
  return { pushed, pushesPerSecond: pushed / pushSeconds, taken, takesPerSecond: taken / takeSeconds }
}
