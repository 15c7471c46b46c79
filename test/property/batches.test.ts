import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Broker, Delivery, Ending } from '../../server/broker/broker.ts'
import { DEFAULT_MAX_BYTES } from '../../server/broker/rules/declarations.ts'
import { splitRecord } from '../../server/broker/rules/record.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import { leaseFrom, type Publish, publishTo, settleAt, streamOptions } from '../setup/brokers.ts'
import { command, redisOf } from '../setup/cluster.ts'
import { brokerAt } from '../setup/redis-node.ts'
import { range } from '../setup/streams.ts'

// Redis keeps plain messages in batches, which leases cut, and which messages leave one by one

type Kind = 'text' | 'own id' | 'scoped' | 'bytes' | 'captured' | 'large'
type End = 'ack' | 'retry' | 'reject' | 'back' | 'keep'

type Step =
  | { readonly do: 'publish'; readonly node: number; readonly count: number; readonly kinds: readonly Kind[] }
  | { readonly do: 'lease'; readonly node: number; readonly count: number; readonly bytes: number }
  | { readonly do: 'end'; readonly ends: readonly End[] }
  | { readonly do: 'purge' | 'leave' }

const node = fc.nat(1)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('publish' as const),
    node,
    count: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 60, max: 150 })),
    kinds: fc.array(fc.constantFrom<Kind>('text', 'own id', 'scoped', 'bytes', 'captured', 'large'), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
  fc.record({
    do: fc.constant('lease' as const),
    node,
    count: fc.constantFrom(1, 3, 20, 64, 200),
    bytes: fc.constantFrom(1, 500, 1e9),
  }),
  fc.record({
    do: fc.constant('end' as const),
    ends: fc.array(fc.constantFrom<End>('ack', 'ack', 'retry', 'reject', 'back', 'keep'), {
      minLength: 1,
      maxLength: 5,
    }),
  }),
  fc.record({ do: fc.constantFrom('purge' as const, 'leave' as const) }),
)

const ENDINGS: Readonly<Record<'ack' | 'retry' | 'reject', Ending>> = {
  ack: { kind: 'ack' },
  retry: { kind: 'nack', error: 'no', delayMs: 0 },
  reject: { kind: 'reject', error: 'no' },
}

type Redis = Awaited<ReturnType<typeof redisOf>>

interface Lease {
  readonly node: number
  readonly delivery: Delivery
}

class World {
  private readonly nodes: (Broker & { readonly close: () => Promise<void> })[] = []
  private readonly publishes = new Map<number, Publish>()
  private readonly expected = new Map<number, unknown>()
  /** Those that wait, in the order in which they come. */
  private waiting: number[] = []
  private leases: Lease[] = []
  private published = 0
  private dead = 0

  private readonly redis: Redis

  constructor(redis: Redis) {
    this.redis = redis
  }

  async start(): Promise<void> {
    for (const n of [0, 1]) this.nodes[n] = await brokerAt(this.redis.url)
    await this.at(0).declareQueue({ ...{ name: 'q', bindings: [] }, ...QUEUE_DEFAULTS, ...LIMITS }, false)
    await this.at(0).declareStream(streamOptions(), false)
    await expect.poll(() => this.at(1).stream('s') && this.at(1).queue('q')).toBeDefined()
  }

  private at(n: number): Broker {
    return this.nodes[n] as Broker
  }

  async take(step: Step): Promise<void> {
    if (step.do === 'publish') await this.publish(step.node, step.count, step.kinds)
    else if (step.do === 'lease') await this.lease(step.node, step.count, step.bytes)
    else if (step.do === 'end') await this.end(step.ends)
    else if (step.do === 'purge') await this.purge()
    else await this.leave()
  }

  private async publish(at: number, count: number, kinds: readonly Kind[]): Promise<void> {
    const before = this.published
    this.published += count
    const kept = await Promise.all(
      range(before, before + count).map(async (n) => {
        const publish = publishOf(n, kinds[n % kinds.length] as Kind)
        const { positions } = await publishTo(this.at(at), publish)
        return { n, publish, offset: positions['s']?.offset }
      }),
    )
    for (const { n, publish, offset } of kept) this.enters(n, publish, offset)
  }

  private enters(seq: number, publish: Publish, offset: number | undefined): void {
    const { id, hubId, publisher, data } = publish
    this.publishes.set(seq, publish)
    this.expected.set(seq, {
      id: id ?? hubId,
      ...(id !== undefined && publisher !== undefined && { scope: expect.any(String) }),
      ...(offset !== undefined && { offsets: { s: offset } }),
      data: data instanceof Uint8Array ? String(data) : data,
      publishedAt: expect.any(Number),
    })
    this.waiting.push(seq)
  }

  private async lease(at: number, count: number, bytes: number): Promise<void> {
    const deliveries = await this.at(at).lease('q', count, bytes)
    // The other node may get a share.
    if (this.waiting.length > 0) expect(deliveries.length).toBeGreaterThan(0)
    expect(deliveries.length).toBeLessThanOrEqual(count)
    // The last one may exceed the bytes.
    expect(deliveries.slice(0, -1).reduce((sum, { wire }) => sum + wire.length, 0)).toBeLessThan(bytes)
    expect(deliveries.map(({ seq }) => seq)).toEqual(this.waiting.splice(0, deliveries.length))
    for (const delivery of deliveries) {
      expect(messageIn(delivery.wire)).toMatchObject(this.expected.get(delivery.seq) as object)
      this.leases.push({ node: at, delivery })
    }
  }

  private async end(ends: readonly End[]): Promise<void> {
    const all = this.leases
    this.leases = []
    await Promise.all(all.map((lease, n) => this.endOne(lease, ends[n % ends.length] as End)))
    // What is given back has no answer of its own.
    await expect.poll(async () => (await this.at(0).queues(['q']))[0]?.inFlight).toBe(this.leases.length)
    this.waiting.sort((a, b) => a - b)
  }

  private async endOne(lease: Lease, end: End): Promise<void> {
    const { node, delivery } = lease
    if (end === 'keep') return void this.leases.push(lease)
    if (end === 'back') this.at(node).giveBack('q', [delivery.id])
    else await settleAt(this.at(node), delivery, ENDINGS[end])
    if (end === 'back' || end === 'retry') this.waiting.push(delivery.seq)
    if (end === 'reject') this.dead++
  }

  private async purge(): Promise<void> {
    expect(await this.at(0).purgeQueue('q')).toBe(this.waiting.length)
    const purged = this.waiting.map((seq) => this.publishes.get(seq) as Publish)
    this.waiting = []
    // Nothing is left of them: what has one of their ids is another message.
    for (const publish of purged.filter(({ id }) => id !== undefined).slice(-3)) {
      expect(await publishTo(this.at(0), publish)).toMatchObject({ duplicate: false })
      this.enters(this.published++, publish, undefined)
    }
  }

  /** What a node that ends has on lease comes back. */
  private async leave(): Promise<void> {
    await this.nodes[1]?.close()
    this.nodes[1] = await brokerAt(this.redis.url)
    const back = this.leases.filter((lease) => lease.node === 1).map(({ delivery }) => delivery.seq)
    this.leases = this.leases.filter((lease) => lease.node === 0)
    this.waiting = [...this.waiting, ...back].sort((a, b) => a - b)
  }

  async finish(): Promise<void> {
    await this.end(['ack'])
    while (this.waiting.length > 0) {
      await this.lease(0, 50, 1e9)
      await this.end(['ack'])
    }
    const [status] = await this.at(0).queues(['q'])
    expect(status).toMatchObject({ depth: 0, inFlight: 0, bytes: 0, deadLetters: this.dead })
    expect(await leaseFrom(this.at(0))).toEqual([])
    const left = (await command(this.redis, 'KEYS', '{test}:q:1:*')) as string[]
    expect(left.filter((key) => !key.endsWith(':dl') && !/:wc?$/.test(key))).toEqual([])
    await Promise.all(this.nodes.map((each) => each.close()))
    await command(this.redis, 'FLUSHALL')
  }
}

const LIMITS = { maxBytes: DEFAULT_MAX_BYTES.disk, maxAttempts: 1000, maxDeadLetters: 100_000 }

function messageIn(wire: string | Uint8Array): object {
  if (typeof wire === 'string') return JSON.parse(wire)
  const { header, payload } = splitRecord(wire)
  return { ...JSON.parse(header), data: String(payload) }
}

function publishOf(n: number, kind: Kind): Publish {
  const publish = { topic: 't', data: { n } as unknown, streams: kind === 'captured' ? ['s'] : [], queues: ['q'] }
  if (kind === 'bytes') publish.data = Buffer.from(`${n}:${'\n'.repeat(n % 90)}`)
  if (kind === 'large') publish.data = { n, text: 'ü\n'.repeat(20) }
  if (kind === 'own id') return { ...publish, id: `id-${n}`, publisher: undefined }
  if (kind === 'scoped') return { ...publish, id: `id-${n}`, publisher: 'ann' }
  return { ...publish, hubId: `hub-${n}` }
}

it('plain messages come in order, as they were published, whatever is leased, settled, purged and given back', async () => {
  const redis = await redisOf()
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
      const world = new World(redis)
      await world.start()
      for (const each of steps) await world.take(each)
      await world.finish()
    }),
    { numRuns: 30, endOnFailure: true },
  )
})
