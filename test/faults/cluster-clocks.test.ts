import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Client } from '../../client/node.ts'
import { clientOf, command, SLOW } from '../setup/cluster.ts'
import { configFile, HubProcess } from '../setup/hub-process.ts'
import { MovableClock } from '../setup/movable-clock.ts'
import { RedisServer } from '../setup/redis-server.ts'
import { knowsReplica, PRIMARY, sentinelOf } from '../setup/sentinel.ts'

// The clocks of Redis and of hubs are set while delays, leases, ids and retention run

const HOUR = 3_600_000
const DELAY = 3_000
const MOVED_CLOCK = new URL('rounds/moved-clock.js', import.meta.url).pathname
/** After an hour all of it would be gone, and the time of every consumer over. */
const STREAMS = [{ name: 'log', topics: ['log'], maxAge: '30m' }]
const QUEUES = [{ name: 'jobs', ackDeadline: '1m' }, { name: 'later' }, { name: 'expiring' }]

/** A Redis that keeps what it acknowledges, with a clock of its own. */
async function redisWith(clock: MovableClock, ...options: string[]): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-redis-'))
  const durable = ['--dir', folder, '--appendonly', 'yes', '--appendfsync', 'always']
  const redis = await RedisServer.startWithClock(clock, ...durable, ...options)
  onTestFinished(async () => {
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return redis
}

async function hubOn(cluster: string, options: Record<string, string | number> = {}): Promise<HubProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-config-'))
  const config = await configFile(join(folder, 'fanfare.json'), STREAMS, QUEUES)
  const hub = await HubProcess.start({ cluster, config, ...options }, ['--import', MOVED_CLOCK])
  onTestFinished(async () => {
    await hub.kill()
    rmSync(folder, { recursive: true, force: true })
  })
  return hub
}

/** What waits for its time when a clock is set, and what has to have become of it. */
class UnderWay {
  private readonly publisher: Client
  private readonly consumer: Client
  private readonly came: { data: unknown; attempt: number; afterMs: number }[] = []
  private since = 0
  private release = () => {}
  private publishedAt = 0

  private constructor(publisher: Client, consumer: Client) {
    this.publisher = publisher
    this.consumer = consumer
  }

  static async begin(publisher: Client, consumer: Client): Promise<UnderWay> {
    const underWay = new UnderWay(publisher, consumer)
    await underWay.begin()
    return underWay
  }

  private async begin(): Promise<void> {
    const { publisher, consumer } = this
    await publisher.publish('log', 1, { id: 'first' })
    const released = new Promise<void>((resolve) => {
      this.release = resolve
    })
    const handler = async ({ data, attempt }: { data: unknown; attempt: number }) => {
      this.came.push({ data, attempt, afterMs: performance.now() - this.since })
      if (data === 'held') await released
    }
    for (const queue of ['jobs', 'later']) {
      consumer.consume(queue, handler, { prefetch: 5 })
      publisher.consume(queue, handler, { prefetch: 5 })
    }
    await publisher.enqueue('jobs', 'held')
    await expect.poll(() => this.came).toMatchObject([{ data: 'held' }])
    await publisher.enqueue('expiring', 'in a minute', { expiresAt: Date.now() + 60_000 })
    this.since = performance.now()
    await publisher.enqueue('later', 'delayed', { delay: DELAY })
  }

  /** Nothing was lost, doubled or early, and times have not gone back. */
  async end(): Promise<void> {
    const { publisher, consumer } = this
    expect(await publisher.publish('log', 1, { id: 'first' })).toMatchObject({ duplicate: true })
    expect(await publisher.publish('log', 2)).toMatchObject({ duplicate: false })
    await expect.poll(() => this.came, { timeout: DELAY + 10_000 }).toHaveLength(2)
    const [, delayed] = this.came as [unknown, { data: unknown; attempt: number; afterMs: number }]
    expect(delayed).toMatchObject({ data: 'delayed', attempt: 1 })
    expect(delayed.afterMs).toBeGreaterThan(DELAY - 100)
    this.release()
    const kept: [unknown, number][] = []
    await consumer.subscribe('log', ({ data, publishedAt }) => void kept.push([data, publishedAt as number]), {
      from: 'earliest',
    }).ready
    await expect.poll(() => kept.map(([data]) => data)).toEqual([1, 2])
    const times = kept.map(([, time]) => time)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect((times[1] as number) - (times[0] as number)).toBeLessThan(60_000)
    const left: unknown[] = []
    consumer.consume('expiring', ({ data }) => void left.push(data))
    await expect.poll(() => left).toEqual(['in a minute'])
    await expect
      .poll(async () => (await publisher.admin.queues.list()).map(({ inFlight }) => inFlight))
      .toEqual([0, 0, 0])
    expect(this.came).toHaveLength(2)
    // Since then the time goes on.
    await wait(10)
    const publishedAt = await publishedNow(publisher)
    expect(publishedAt).toBeGreaterThan(times[1] as number)
    expect(publishedAt - (times[0] as number)).toBeLessThan(60_000)
    this.publishedAt = publishedAt
  }

  get time(): number {
    return this.publishedAt
  }
}

/** When a message was published that is published now. */
async function publishedNow(client: Client): Promise<number> {
  const came = new Promise<number>((resolve) => {
    void client
      .subscribe('log', ({ publishedAt }) => resolve(publishedAt as number))
      .ready.then(() => client.publish('log', 3))
  })
  return came
}

/** Hours by which the clock of Redis is ahead of the cluster's time. */
async function hoursAhead(redis: RedisServer): Promise<number> {
  // Not -0, which is another number to `toBe`.
  return Math.round(Number(await command(redis, 'HGET', '{fanfare}:meta', 'ahead')) / HOUR) + 0
}

describe('while two hubs work', () => {
  for (const byMs of [HOUR, -HOUR]) {
    it.runIf(byMs > 0 || SLOW)(`the clock of Redis is set by ${byMs} ms, and back`, async () => {
      const clock = new MovableClock()
      const redis = await redisWith(clock)
      const [a, b] = [await hubOn(redis.url), await hubOn(redis.url)]
      const underWay = await UnderWay.begin(clientOf(a), clientOf(b))
      // Again before every hub has noticed: what one of them corrected is out of date.
      for (const setTo of [byMs, 0, byMs, 0, byMs, 0]) {
        clock.set(setTo)
        await expect.poll(() => hoursAhead(redis), { interval: 5 }).toBe(setTo / HOUR)
      }
      clock.set(byMs)
      await underWay.end()
      for (const hub of [a, b]) {
        const { stderr } = await hub.kill()
        // None of them was taken for gone.
        expect(stderr).not.toContain('no sign of life')
      }
    })
  }

  it.runIf(SLOW)('the clock of a hub is set', async () => {
    const redis = await redisWith(new MovableClock())
    const [a, b] = [await hubOn(redis.url), await hubOn(redis.url)]
    const underWay = await UnderWay.begin(clientOf(a), clientOf(b))
    b.signal('SIGUSR2')
    await wait(500)
    await underWay.end()
  })

  it('the clock of Redis is an hour behind', async () => {
    const redis = await redisWith(new MovableClock(-HOUR))
    const [a, b] = [await hubOn(redis.url), await hubOn(redis.url)]
    const underWay = await UnderWay.begin(clientOf(a), clientOf(b))
    await underWay.end()
    expect(Math.round((Date.now() - underWay.time) / HOUR)).toBe(1)
  })

  it.runIf(SLOW)('another Redis takes over, whose clock is an hour ahead', async () => {
    const primary = await redisWith(new MovableClock())
    const replica = await redisWith(new MovableClock(HOUR), '--replicaof', '127.0.0.1', `${primary.port}`)
    const sentinel = await sentinelOf(primary)
    await knowsReplica(sentinel)
    const url = `redis+sentinel://127.0.0.1:${sentinel.port}/${PRIMARY}`
    const [a, b] = [await hubOn(url, { 'cluster-replicas': 1 }), await hubOn(url, { 'cluster-replicas': 1 })]
    const underWay = await UnderWay.begin(clientOf(a), clientOf(b))
    await primary.stop()
    await expect.poll(() => command(replica, 'ROLE')).toContain('master')
    await primary.start()
    // Sentinel takes eight seconds until it makes it follow, and a publish waits for ten until its outcome is unknown.
    await command(primary, 'REPLICAOF', '127.0.0.1', `${replica.port}`)
    await expect.poll(() => hoursAhead(replica)).toBe(1)
    // Until it follows, nothing is acknowledged.
    await expect.poll(async () => String(await command(replica, 'INFO', 'replication'))).toMatch(/state=online/)
    await underWay.end()
  })
})

it('the first of all hubs takes the clock of Redis as it is', async () => {
  const clock = new MovableClock()
  const redis = await redisWith(clock)
  const hub = await hubOn(redis.url)
  clock.set(HOUR)
  await expect.poll(() => hoursAhead(redis)).toBe(1)
  await hub.kill('SIGTERM')
  const next = await hubOn(redis.url)
  expect(await hoursAhead(redis)).toBe(0)
  const publishedAt = await publishedNow(clientOf(next))
  expect(Math.round((publishedAt - Date.now()) / HOUR)).toBe(1)
})
