import { setImmediate } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { expect } from 'vitest'
import { Keys } from '../../server/broker/redis/keys.ts'
import { type Argument, BrokerLink } from '../../server/broker/redis/link.ts'
import { TURN } from '../../server/broker/redis/lua/turn.ts'
import { RedisBroker } from '../../server/broker/redis/redis-broker.ts'
import { redisAddress } from '../../server/bus/redis/redis-address.ts'
import {
  type BrokerMaker,
  type BrokerSettings,
  type BrokerUnderTest,
  clockOf,
  type HeldCommit,
} from './broker-under-test.ts'
import { eventsWith } from './drafts.ts'
import { RedisServer } from './redis-server.ts'

let shared: Promise<RedisServer> | undefined
let spaces = 0

/** A broker on a Redis that all suites of this process share; each has its own key space. */
export const onRedis: BrokerMaker = {
  isFast: false,
  async open(settings) {
    shared ??= RedisServer.start()
    const server = await shared
    return UnderTest.open(server.url, `test${++spaces}`, settings)
  },
}

/** Ends the Redis that suites have shared. */
export async function endRedis(): Promise<void> {
  const server = await shared
  shared = undefined
  await server?.stop()
}

class UnderTest implements BrokerUnderTest {
  readonly clock = { now: 1_000_000 }
  readonly failsFirst = true
  broker!: RedisBroker
  private link!: FragileLink
  private readonly url: string
  private readonly prefix: string
  private readonly settings: BrokerSettings

  private constructor(url: string, prefix: string, settings: BrokerSettings) {
    this.url = url
    this.prefix = prefix
    this.settings = settings
  }

  static async open(url: string, prefix: string, settings: BrokerSettings): Promise<UnderTest> {
    const underTest = new UnderTest(url, prefix, settings)
    await underTest.connect()
    return underTest
  }

  private async connect(): Promise<void> {
    const log = pino({ enabled: false })
    this.link = new FragileLink(redisAddress(this.url), new Keys(this.prefix), false, log)
    const clock = clockOf(this.settings, this.clock)
    const options = { ...this.settings, name: 'test', replicas: 0, durability: 'relaxed', clock } as const
    this.broker = new RedisBroker(this.link, options, log)
    await this.broker.connect()
  }

  passTime(): void {
    this.broker.tick()
  }

  async idle(): Promise<void> {
    while (!this.broker.idle) await setImmediate()
  }

  nextReady(): Promise<string> {
    return new Promise((resolve) => {
      void this.broker.open(eventsWith({ ready: resolve }))
    })
  }

  readonly failWith = (error: Error | undefined) => {
    this.link.failsWith = error
  }

  holdCommit(): HeldCommit {
    return this.link.hold()
  }

  /** What is kept of streams and queues: an entry each. */
  readonly records = async () => {
    const redis = new Redis(this.url)
    try {
      let sum = await redis.hlen(`{${this.prefix}}:streams`)
      for (const key of await redis.keys(`{${this.prefix}}:s:*:[btvc]`)) sum += await redis.hlen(key)
      for (const record of await redis.hvals(`{${this.prefix}}:queues`)) {
        sum += await recordsOf(redis, `{${this.prefix}}:q:${JSON.parse(record).n}`)
      }
      return sum
    } finally {
      redis.disconnect()
    }
  }

  /** Not by reading: a reader may be given more than is still stored. */
  async streamBytes(): Promise<number> {
    const redis = new Redis(this.url)
    try {
      let sum = 0
      for (const key of await redis.keys(`{${this.prefix}}:s:*:b`)) {
        for (const part of await redis.hvalsBuffer(key)) sum += part.length
      }
      return sum
    } finally {
      redis.disconnect()
    }
  }

  async reopen(): Promise<void> {
    await this.broker.close()
    await this.connect()
  }

  async close(): Promise<void> {
    await this.broker.close()
  }
}

/** A queue, its messages and what has failed of them, its dead letters and parked groups; and whatever does not belong to any of these. */
async function recordsOf(redis: Redis, queue: string): Promise<number> {
  const hash = (table: string) => redis.hlen(`${queue}:${table}`)
  const sorted = (table: string) => redis.zcard(`${queue}:${table}`)
  const [messages, bodies, failures, groups] = await Promise.all([hash('h'), hash('m'), hash('f'), hash('g')])
  const [waiting, ready, delayed, expiring] = await Promise.all([sorted('o'), sorted('r'), sorted('d'), sorted('x')])
  const [fresh, onLease] = await Promise.all([redis.lrange(`${queue}:n`, 0, -1), redis.hgetall(`${queue}:nl`)])
  const left = Object.values(await redis.hgetall(`${queue}:nc`))
  const packed = messagesIn(Object.values(onLease)) - left.reduce((sum, count) => sum + Number(count), 0)
  const [members, parked, letters] = await Promise.all([sorted('gz'), sorted('p'), redis.xlen(`${queue}:dl`)])
  let leased = 0
  for (const key of await redis.keys(`${queue}:l:*`)) leased += await redis.scard(key)
  expect(waiting + leased).toBe(messages + packed)
  expect(bodies).toBe(messages)
  expect(Math.max(failures, ready + delayed, expiring, members)).toBeLessThanOrEqual(messages)
  expect(groups).toBeLessThanOrEqual(members + parked)
  return 1 + messagesIn(fresh) + packed + messages + failures + parked + letters
}

/** How many messages some batches have. */
function messagesIn(batches: readonly string[]): number {
  return batches.reduce((sum, batch) => sum + Number(batch.split(' ', 2)[1]), 0)
}

/** Ops that change something that is kept. */
const KEEPING = new Set<unknown>([
  ...['declareStream', 'deleteStream', 'trim', 'setCursor', 'deleteCursor'],
  ...['declareQueue', 'deleteQueue', 'qack', 'qend', 'qpurge', 'qunpark', 'qletters', 'qredrive'],
])

/** A link on which nothing can be stored, or whose next answer can be held. */
class FragileLink extends BrokerLink {
  failsWith: Error | undefined = undefined
  private held: { begun: () => void; readonly released: Promise<void> } | undefined = undefined

  hold(): HeldCommit {
    let [begun, release] = [() => {}, () => {}]
    const began = new Promise<void>((resolve) => {
      begun = resolve
    })
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    this.held = { begun, released }
    return { begun: began, release }
  }

  override async turn(script: string, args: readonly Argument[]): Promise<unknown> {
    if (this.failsWith && (script === TURN || args.some((arg) => KEEPING.has(arg)))) throw this.failsWith
    const { held } = this
    this.held = undefined
    // Other nodes may be ahead of this one: what it reads meanwhile shows nothing that it has not seen.
    held?.begun()
    await held?.released
    return super.turn(script, args)
  }
}
