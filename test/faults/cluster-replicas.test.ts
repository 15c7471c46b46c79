import { readFile } from 'node:fs/promises'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import type { FanfareError } from '../../client/node.ts'
import type { Delivery } from '../../server/broker/broker.ts'
import { Keys } from '../../server/broker/redis/keys.ts'
import { BrokerLink, LinkLost } from '../../server/broker/redis/link.ts'
import { PromiseCheck } from '../../server/broker/redis/promises.ts'
import { RedisBroker } from '../../server/broker/redis/redis-broker.ts'
import { redisAddress } from '../../server/bus/redis/redis-address.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import { type Clock, realClock } from '../../shared/clock.ts'
import { dataOf, leaseFrom, publishNumbers, publishTo, settleAt, streamOptions } from '../setup/brokers.ts'
import { command, durableRedis, redisOf, SLOW, wayTo } from '../setup/cluster.ts'
import { eventsWith } from '../setup/drafts.ts'
import { FlakyNetwork } from '../setup/flaky-network.ts'
import type { RedisServer } from '../setup/redis-server.ts'
import { knowsReplica, PRIMARY, sentinelOf } from '../setup/sentinel.ts'

// A node that waits for replicas: nothing that only the primary has leaves it

const SILENT = pino({ enabled: false })

function brokerAt(url: string, seen: unknown[] = []): Promise<RedisBroker> {
  return openedOn(new BrokerLink(redisAddress(url), new Keys('test'), true, SILENT), seen, 1)
}

async function openedOn(link: BrokerLink, seen: unknown[], replicas: number, clock?: Clock): Promise<RedisBroker> {
  const some = { name: 'test', dedupWindowMs: 60_000, dedupIds: 1000, replicas, durability: 'relaxed' } as const
  const options = { ...some, ...(clock && { clock }) }
  const broker = new RedisBroker(link, options, SILENT)
  onTestFinished(() => broker.close())
  const messages = (batch: readonly { readonly wire: string | Uint8Array }[]) => {
    for (const { wire } of batch) seen.push(JSON.parse(wire as string).data)
  }
  await broker.open(eventsWith({ messages }))
  return broker
}

async function withReplica(): Promise<{ readonly primary: RedisServer; readonly replica: RedisServer }> {
  const primary = await redisOf()
  const replica = await redisOf('--replicaof', '127.0.0.1', `${primary.port}`)
  onTestFinished(() => replica.signal('SIGCONT'))
  await expect.poll(async () => String(await command(primary, 'INFO', 'replication'))).toContain('state=online')
  return { primary, replica }
}

it('a new link to a Redis without its replicas makes nothing safe', async () => {
  const { primary, replica } = await withReplica()
  const way = await wayTo(primary)
  const seen: unknown[] = []
  const broker = await brokerAt(way.redisUrl)
  const other = await brokerAt(primary.url, seen)
  await broker.declareStream(streamOptions(), false)
  await publishNumbers(broker, 0, 3)
  replica.signal('SIGSTOP')
  let isAnswered = false
  const published = publishTo(broker, { topic: 't', data: 3 }).finally(() => {
    isAnswered = true
  })
  await expect.poll(() => command(primary, 'HGET', '{test}:s:1', 'next')).toBe('4')
  for (let links = 0; links < 3; links++) {
    way.cut()
    await expect.poll(() => dataOf(broker)).toEqual([0, 1, 2])
    await command(primary, 'PING')
  }
  // A node that joins now shows no more either.
  await expect.poll(() => seen).toEqual([0, 1, 2])
  expect([isAnswered, broker.stream('s')?.next, other.stream('s')?.next]).toEqual([false, 3, 3])
  replica.signal('SIGCONT')
  await published
  await expect.poll(() => seen).toEqual([0, 1, 2, 3])
  expect(await dataOf(broker)).toEqual([0, 1, 2, 3])
})

it('a node takes nothing from a primary that it has left because it hung, though that goes on', async () => {
  const primary = await durableRedis()
  onTestFinished(() => primary.signal('SIGCONT'))
  const next = await durableRedis('--replicaof', '127.0.0.1', `${primary.port}`)
  const last = await durableRedis('--replicaof', '127.0.0.1', `${next.port}`)
  for (const { url } of [primary, next]) {
    await expect.poll(async () => String(await command({ url }, 'INFO', 'replication'))).toContain('state=online')
  }
  const sentinel = await sentinelOf(primary)
  await knowsReplica(sentinel)
  const sent: unknown[] = []
  class WatchedLink extends BrokerLink {
    override turn(...turn: Parameters<BrokerLink['turn']>): Promise<unknown> {
      sent.push(turn)
      return super.turn(...turn)
    }
  }
  const link = new WatchedLink(
    redisAddress(`redis+sentinel://127.0.0.1:${sentinel.port}/${PRIMARY}`),
    new Keys('test'),
    true,
    SILENT,
  )
  const seen: unknown[] = []
  // By this clock the primary was never away: it does what it got before.
  const clock = { ...realClock, now: () => 1_000_000 }
  const broker = await openedOn(link, seen, 1, clock)
  const stale = await openedOn(new BrokerLink(redisAddress(primary.url), new Keys('test'), false, SILENT), [], 0, clock)
  await broker.declareStream(streamOptions(), false)
  await publishNumbers(broker, 0, 1)
  const epoch = broker.stream('s')?.epoch
  await expect.poll(() => stale.stream('s')?.next).toBe(1)
  await expect.poll(() => command(last, 'HGET', '{test}:s:1', 'next')).toBe('1')

  primary.signal('SIGSTOP')
  await expect.poll(async () => (await readFile(`/proc/${primary.pid}/stat`, 'utf8')).split(' ')[2]).toBe('T')
  sent.length = 0
  const publish = () => publishTo(broker, { topic: 't', data: 1, id: 'one' })
  // On a busy machine Sentinel may need longer than a publish waits.
  const published = publish().catch(publish)
  await expect.poll(() => sent.length).toBeGreaterThan(0)
  await expect.poll(() => link.reconnections, { timeout: 15_000 }).toBe(1)
  primary.signal('SIGCONT')
  await publishTo(stale, { topic: 't', data: 'stale' })
  await published
  await publishNumbers(broker, 2, 3)
  expect(seen).not.toContain('stale')
  expect(await dataOf(broker)).toEqual([0, 1, 2])
  expect(broker.stream('s')?.epoch).toBe(epoch)
}, 30_000)

it('a node leaves a primary that has become a replica, though it only waits there', async () => {
  const { primary, replica } = await withReplica()
  const link = new BrokerLink(redisAddress(primary.url), new Keys('test'), true, SILENT)
  onTestFinished(() => link.close())
  await link.open()
  // Connections stay.
  await command(replica, 'REPLICAOF', 'NO', 'ONE')
  await command(primary, 'REPLICAOF', '127.0.0.1', `${replica.port}`)
  await expect(link.waitForReplicas('{test}:w:node', 1, 100)).rejects.toThrow(LinkLost)
  expect(link.isUp).toBe(false)
})

it('a replica that is far away is waited for, however long each of its answers takes', async () => {
  const primary = await redisOf()
  // What it has is known 300 ms after it was written.
  const line = await FlakyNetwork.to(primary.port)
  onTestFinished(() => line.close())
  line.delay(150)
  await redisOf('--replicaof', '127.0.0.1', new URL(line.url).port)
  await expect.poll(async () => String(await command(primary, 'INFO', 'replication'))).toContain('state=online')
  const broker = await brokerAt(primary.url)
  await broker.declareStream(streamOptions(), false)
  await publishNumbers(broker, 0, 3)
  expect(await dataOf(broker)).toEqual([0, 1, 2])
  expect(broker.remote.barrier.shortfalls).toBe(0)
})

it('a node whose Redis has lost commits waits for those that get their numbers again', async () => {
  const { primary } = await withReplica()
  const broker = await brokerAt(primary.url)
  await broker.declareStream(streamOptions(), false)
  await publishNumbers(broker, 0, 3)
  const [node] = (await command(primary, 'ZRANGE', '{test}:nodes', '0', '-1')) as string[]
  await command(primary, 'HINCRBY', `{test}:n:${node}`, 'seq', '-1')
  await command(primary, 'HINCRBY', '{test}:meta', 'commit', '-1')
  await publishNumbers(broker, 3, 4)
  expect(await dataOf(broker)).toEqual([0, 1, 2, 3])
})

it('nodes whose Redis has lost everything take what comes after that, with the numbers of what was lost', async () => {
  const { primary } = await withReplica()
  const seen: unknown[] = []
  const publisher = await brokerAt(primary.url)
  const other = await brokerAt(primary.url, seen)
  await publisher.declareStream(streamOptions(), false)
  for (let n = 0; n < 10; n++) await publishNumbers(publisher, n, n + 1)
  await expect.poll(() => seen.length).toBe(10)
  const epoch = other.stream('s')?.epoch
  await command(primary, 'FLUSHALL')
  await publishNumbers(publisher, 10, 12)
  // It finds out by itself, and has what was published meanwhile in its log.
  await expect.poll(() => other.stream('s')?.epoch).not.toBe(epoch)
  expect(await dataOf(other)).toEqual([10, 11])
  await publishNumbers(publisher, 12, 13)
  await expect.poll(() => seen.at(-1)).toBe(12)
})

it('a cursor is confirmed once the replicas have it', async () => {
  const { primary, replica } = await withReplica()
  const broker = await brokerAt(primary.url)
  await broker.declareStream(streamOptions(), false)
  await publishNumbers(broker, 0, 3)
  await broker.setCursor('s', 'c', 1)
  replica.signal('SIGSTOP')
  let isConfirmed = false
  const confirmed = broker.setCursor('s', 'c', 2).then(() => {
    isConfirmed = true
  })
  await expect.poll(() => command(primary, 'HGET', '{test}:s:1:c', 'c')).toMatch(/^2:/)
  // More than the answer takes.
  for (let asked = 0; asked < 5; asked++) await broker.cursor('s', 'c')
  expect(isConfirmed).toBe(false)
  replica.signal('SIGCONT')
  await confirmed
})

it('a message is delivered, and its ack confirmed, once the replicas have the lease and the ack', async () => {
  const { primary, replica } = await withReplica()
  const broker = await brokerAt(primary.url)
  await broker.declareQueue({ name: 'q', bindings: [], ...QUEUE_DEFAULTS, maxBytes: 1e6 }, false)
  await publishTo(broker, { topic: 't', streams: [], queues: ['q'] })
  const told: string[] = []
  const inFlight = async () => (await broker.queues(['q']))[0]?.inFlight
  replica.signal('SIGSTOP')
  const leasing = leaseFrom(broker).finally(() => told.push('leased'))
  await expect.poll(() => command(primary, 'ZCARD', '{test}:q:1:r')).toBe(0)
  // More than the answer takes.
  for (let asked = 0; asked < 5; asked++) expect(await inFlight()).toBe(1)
  expect(told).toEqual([])
  replica.signal('SIGCONT')
  const [delivery] = (await leasing) as [Delivery]
  replica.signal('SIGSTOP')
  const acked = settleAt(broker, delivery, { kind: 'ack' }).finally(() => told.push('acked'))
  await expect.poll(() => command(primary, 'HLEN', '{test}:q:1:m')).toBe(0)
  for (let asked = 0; asked < 5; asked++) expect(await inFlight()).toBe(0)
  expect(told).toEqual(['leased'])
  replica.signal('SIGCONT')
  await acked
})

it.runIf(SLOW)('a node does not start on a Redis without its replicas, and says why', async () => {
  const redis = await redisOf()
  const started = brokerAt(redis.url)
  await expect(started).rejects.toMatchObject({ code: 'cluster_unreachable' } satisfies Partial<FanfareError>)
  await expect(started).rejects.toThrow('clusterReplicas')
})

it('a link that is lost while Redis is asked what it keeps says nothing about Redis', async () => {
  const redis = await durableRedis()
  let isLost = false
  class LostLink extends BrokerLink {
    override ask(...command: Parameters<BrokerLink['ask']>): Promise<unknown> {
      return isLost && command[0] !== 'INFO' ? Promise.reject(new LinkLost('lost')) : super.ask(...command)
    }
  }
  const link = new LostLink(redisAddress(redis.url), new Keys('test'), false, SILENT)
  onTestFinished(() => link.close())
  await link.open()
  const promise = new PromiseCheck(link, 'strict', 0, SILENT)
  await promise.look()
  isLost = true
  await expect(promise.look()).rejects.toThrow(LinkLost)
  isLost = false
  await promise.look()
  expect(promise.isKept).toBe(true)
})
