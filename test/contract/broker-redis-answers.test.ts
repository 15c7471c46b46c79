import { describe, expect, it, onTestFinished } from 'vitest'
import type { Broker, Delivery, Ending } from '../../server/broker/broker.ts'
import type { RedisBroker } from '../../server/broker/redis/redis-broker.ts'
import { DEFAULT_MAX_BYTES } from '../../server/broker/rules/declarations.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import { dataOf, draftOf, leaseFrom, publishTo, settleAt, streamOptions } from '../setup/brokers.ts'
import { command, redisOf, SLOW } from '../setup/cluster.ts'
import { FlakyNetwork } from '../setup/flaky-network.ts'
import { brokerAt } from '../setup/redis-node.ts'
import type { RedisServer } from '../setup/redis-server.ts'
import { range } from '../setup/streams.ts'

// Redis has done something, and the link is lost before its answer arrives

const queueOptions = (more: Partial<QueueOptions> = {}): QueueOptions => ({
  ...{ name: 'q', bindings: [], ...QUEUE_DEFAULTS, maxBytes: DEFAULT_MAX_BYTES.disk, ...more },
})

const publishBoth = (broker: Broker, data: unknown, owner: object = broker) =>
  publishTo(broker, { topic: 't', data, queues: ['q'], owner }).then(
    () => 'kept',
    ({ code }) => code as string,
  )

const dataIn = (leased: readonly Delivery[]) => leased.map(({ wire }) => JSON.parse(wire as string).data)

interface Cut {
  readonly redis: RedisServer
  readonly way: FlakyNetwork
  readonly cut: RedisBroker
}

/** A broker whose answers can be held, with a stream and a queue. */
async function oneNode(more: Partial<QueueOptions> = {}): Promise<Cut> {
  const redis = await redisOf()
  const way = await FlakyNetwork.to(redis.port)
  onTestFinished(() => way.close())
  const cut = await brokerAt(way.url.replace('ws:', 'redis:'))
  await cut.declareStream(streamOptions(), false)
  await cut.declareQueue(queueOptions(more), false)
  return { redis, way, cut }
}

/** The same, and a broker with a link of its own. */
async function twoNodes(more: Partial<QueueOptions> = {}): Promise<Cut & { readonly other: RedisBroker }> {
  const all = await oneNode(more)
  const other = await brokerAt(all.redis.url)
  await expect.poll(() => other.queue('q')).toBeDefined()
  return { ...all, other }
}

/** Redis has done a turn of its own accord: the number of the last one of all nodes has grown. */
async function turnsOf(redis: RedisServer): Promise<number> {
  const nodes = (await command(redis, 'ZRANGE', '{test}:nodes', '0', '-1')) as string[]
  const seqs = await Promise.all(nodes.map((node) => command(redis, 'HGET', `{test}:n:${node}`, 'seq')))
  return seqs.reduce((sum: number, seq) => sum + Number(seq ?? 0), 0)
}

/** Cuts the link between what Redis does and its answer. */
async function withoutAnswer({ redis, way }: Pick<Cut, 'redis' | 'way'>, act: () => void): Promise<() => void> {
  const before = await turnsOf(redis)
  way.holdReplies()
  act()
  await expect.poll(() => turnsOf(redis)).toBeGreaterThan(before)
  return () => way.cut()
}

describe('a node whose link is lost before the answer of Redis', () => {
  it('refuses a publish that was refused, although there is room meanwhile, and keeps what comes after it', async () => {
    const { redis, way, cut, other } = await twoNodes({ maxMessages: 1, overflow: 'reject' })
    expect(await publishBoth(cut, 0)).toBe('kept')
    let refused = Promise.resolve('')
    const end = await withoutAnswer({ redis, way }, () => {
      refused = publishBoth(cut, 1)
    })
    const [delivery] = (await leaseFrom(other)) as [Delivery]
    await settleAt(other, delivery, { kind: 'ack' })
    const later = publishBoth(cut, 2)
    end()
    expect([await refused, await later]).toEqual(['queue_limit', 'kept'])
    expect(await dataOf(other)).toEqual([0, 2])
    expect(dataIn(await leaseFrom(other))).toEqual([2])
  })

  it('confirms an ack that was done, and the message does not come again', async () => {
    const { redis, way, cut, other } = await twoNodes()
    expect(await publishBoth(cut, 0)).toBe('kept')
    const [delivery] = (await leaseFrom(cut)) as [Delivery]
    let acked: Promise<void> | undefined
    const end = await withoutAnswer({ redis, way }, () => {
      acked = settleAt(cut, delivery, { kind: 'ack' })
    })
    end()
    await acked
    expect(await leaseFrom(other)).toEqual([])
    expect((await other.queues(['q']))[0]).toMatchObject({ depth: 0, inFlight: 0 })
  })

  it('publishes once what an ack has published', async () => {
    const { redis, way, cut, other } = await twoNodes()
    expect(await publishBoth(cut, 0)).toBe('kept')
    const [delivery] = (await leaseFrom(cut)) as [Delivery]
    let acked: Promise<void> | undefined
    const end = await withoutAnswer({ redis, way }, () => {
      const drafts = [draftOf(cut, { topic: 't', data: 1, queues: ['q'] }, { kept() {}, refused() {} })]
      acked = settleAt(cut, delivery, { kind: 'ack' }, { drafts })
    })
    end()
    await acked
    expect(await dataOf(other)).toEqual([0, 1])
    expect(dataIn(await leaseFrom(other))).toEqual([1])
  })

  it('tells of what was done that its outcome is unknown, if the memory of Redis is full once the link is back', async () => {
    const { redis, way, cut, other } = await twoNodes()
    expect(await publishBoth(cut, 0)).toBe('kept')
    const [delivery] = (await leaseFrom(cut)) as [Delivery]
    const ack = () =>
      settleAt(cut, delivery, { kind: 'ack' }).then(
        () => 'settled',
        ({ code }) => code,
      )
    let outcomes: Promise<string>[] = []
    const end = await withoutAnswer({ redis, way }, () => {
      outcomes = [ack(), publishBoth(cut, 1)]
    })
    await command(redis, 'CONFIG', 'SET', 'maxmemory', '1')
    end()
    expect(await Promise.all(outcomes)).toEqual(['outcome_unknown', 'outcome_unknown'])
    await command(redis, 'CONFIG', 'SET', 'maxmemory', '0')
    expect([await ack(), await publishBoth(cut, 2)]).toEqual(['lease_lost', 'kept'])
    expect(await dataOf(other)).toEqual([0, 1, 2])
    expect(dataIn(await leaseFrom(other))).toEqual([1, 2])
  })
})

/** What Redis has done of it when the link is lost. */
const OUTCOMES = ['had done it', 'never got it'] as const

/** Does something whose outcome stays unknown, because the link is away for too long. */
async function given<Value>(
  outcome: (typeof OUTCOMES)[number],
  { redis, way }: Pick<Cut, 'redis' | 'way'>,
  act: () => Promise<Value>,
): Promise<Value> {
  let acting: Promise<Value> | undefined
  const begin = () => {
    acting = act()
  }
  if (outcome === 'had done it') await withoutAnswer({ redis, way }, begin)
  else {
    way.freeze()
    begin()
  }
  way.refuse()
  way.thaw()
  const value = await (acting as Promise<Value>)
  way.allow()
  return value
}

// Each takes as long as a node waits for its link
describe.runIf(SLOW).each(OUTCOMES)(
  'once a link is back after so long that a call was given up, and Redis %s,',
  (outcomeOfCall) => {
    const TIMEOUT = 30_000
    const isDone = outcomeOfCall === 'had done it'

    /** Leases this many messages, which are first attempts. */
    async function leaseAgain(broker: Broker, count: number): Promise<Delivery[]> {
      const leased: Delivery[] = []
      await expect.poll(async () => leased.push(...(await leaseFrom(broker)))).toBe(count)
      expect(leased.map(({ attempt }) => attempt)).toEqual(leased.map(() => 1))
      return leased
    }

    it(
      'what a lease was to bring can be leased again, as the same attempt',
      async () => {
        const { redis, way, cut } = await oneNode()
        for (const data of range(0, 3)) await publishBoth(cut, data)
        const [held] = (await leaseFrom(cut, 'q', 1)) as [Delivery]
        expect(await given(outcomeOfCall, { redis, way }, () => leaseFrom(cut))).toEqual([])
        const leased = await leaseAgain(cut, 2)
        expect(dataIn(leased)).toEqual([1, 2])
        await Promise.all([held, ...leased].map((delivery) => settleAt(cut, delivery, { kind: 'ack' })))
      },
      TIMEOUT,
    )

    it(
      'what a consumer gave back can be leased again, and what another one has stays with it',
      async () => {
        const { redis, way, cut } = await oneNode()
        for (const data of range(0, 3)) await publishBoth(cut, data)
        const [held, ...rest] = (await leaseFrom(cut)) as [Delivery, ...Delivery[]]
        const giveBack = async () => {
          const ids = rest.map(({ id }) => id)
          cut.giveBack('q', ids)
          return publishBoth(cut, 3)
        }
        expect(await given(outcomeOfCall, { redis, way }, giveBack)).toBe('outcome_unknown')
        expect(dataIn(await leaseAgain(cut, isDone ? 3 : 2))).toEqual(isDone ? [1, 2, 3] : [1, 2])
        await settleAt(cut, held, { kind: 'ack' })
      },
      TIMEOUT,
    )

    it(
      'an ack can be repeated, and is refused if it was done',
      async () => {
        const { redis, way, cut } = await oneNode()
        await publishBoth(cut, 0)
        const [delivery] = (await leaseFrom(cut)) as [Delivery]
        const ack = () =>
          settleAt(cut, delivery, { kind: 'ack' }).then(
            () => 'settled',
            ({ code }) => code,
          )
        expect(await given(outcomeOfCall, { redis, way }, ack)).toBe('outcome_unknown')
        expect(await ack()).toBe(isDone ? 'lease_lost' : 'settled')
        expect(await leaseFrom(cut)).toEqual([])
        expect((await cut.queues(['q']))[0]).toMatchObject({ depth: 0, inFlight: 0 })
      },
      TIMEOUT,
    )

    it(
      'a delivery whose nack may have been done settles and returns nothing more, although its message is leased again',
      async () => {
        const { redis, way, cut } = await oneNode({ backoffBaseMs: 0, backoffCapMs: 0 })
        await publishBoth(cut, 0)
        const [first] = (await leaseFrom(cut)) as [Delivery]
        const outcome = (ending: Ending) =>
          settleAt(cut, first, ending).then(
            () => 'settled',
            ({ code }) => code,
          )
        const nack: Ending = { kind: 'nack', error: 'failed', delayMs: undefined }
        expect(await given(outcomeOfCall, { redis, way }, () => outcome(nack))).toBe('outcome_unknown')
        const leased: Delivery[] = []
        await expect.poll(async () => leased.push(...(await leaseFrom(cut)))).toBe(1)
        expect(leased[0]?.attempt).toBe(isDone ? 2 : 1)
        expect([await outcome({ kind: 'ack' }), await outcome(nack)]).toEqual(['lease_lost', 'lease_lost'])
        cut.giveBack('q', [first.id])
        expect(await leaseFrom(cut)).toEqual([])
        await settleAt(cut, leased[0] as Delivery, { kind: 'ack' })
        expect((await cut.queues(['q']))[0]).toMatchObject({ depth: 0, inFlight: 0 })
      },
      TIMEOUT,
    )
  },
)

it('a node that was away for too long settles nothing that was leased to another one since, and publishes nothing with it', async () => {
  const { way, cut, other } = await twoNodes({ backoffBaseMs: 0, backoffCapMs: 0 })
  for (const data of range(0, 3)) await publishBoth(cut, data)
  const stale = (await leaseFrom(cut)) as [Delivery, Delivery, Delivery]
  way.refuse()
  const leased: Delivery[] = []
  await expect.poll(async () => leased.push(...(await leaseFrom(other))), { timeout: 20_000 }).toBe(3)
  expect(leased.map(({ attempt }) => attempt)).toEqual([2, 2, 2])
  way.allow()
  const drafts = [draftOf(cut, { topic: 't', data: 'stale' }, { kept() {}, refused() {} })]
  const settled = [
    settleAt(cut, stale[0], { kind: 'ack' }),
    settleAt(cut, stale[1], { kind: 'ack' }, { drafts }),
    settleAt(cut, stale[2], { kind: 'nack', error: 'failed', delayMs: undefined }),
  ].map((each) => each.catch(({ code }) => code))
  expect(await Promise.all(settled)).toEqual(['lease_lost', 'lease_lost', 'lease_lost'])
  await Promise.all(leased.map((delivery) => settleAt(other, delivery, { kind: 'ack' })))
  expect([await dataOf(other), await leaseFrom(cut)]).toEqual([range(0, 3), []])
}, 40_000)
