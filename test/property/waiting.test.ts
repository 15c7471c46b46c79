import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Broker, Delivery } from '../../server/broker/broker.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import type { BrokerUnderTest } from '../setup/broker-under-test.ts'
import {
  type BrokerFactory,
  bytesInQueue,
  draftOf,
  leaseFrom,
  onEveryBroker,
  publishTo,
  readAll,
  settleAt,
  streamOptions,
} from '../setup/brokers.ts'
import { range } from '../setup/streams.ts'
import { type Held, WaitingModel } from './waiting-model.ts'

type Step =
  | {
      readonly do: 'publish'
      readonly publisher: number
      readonly messages: readonly { readonly topic: string; readonly queues: readonly string[]; readonly pad: number }[]
      /** Its publisher goes in the same turn. */
      readonly leaves: boolean
    }
  | { readonly do: 'take'; readonly queue: string; readonly count: number }
  | { readonly do: 'leave'; readonly publisher: number }
  | { readonly do: 'purge'; readonly queue: string }
  | { readonly do: 'resize'; readonly queue: string; readonly maxMessages: number }

const QUEUES = ['a', 'b', 'c']
const MAX_BYTES = 400
const queue = fc.constantFrom(...QUEUES)
const publisher = fc.nat(2)
const message = fc.record({
  topic: fc.constantFrom('t', 'u'),
  queues: fc.subarray(QUEUES),
  pad: fc.constantFrom(0, 30, 150),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      publisher,
      messages: fc.array(message, { minLength: 1, maxLength: 4 }),
      leaves: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('take' as const), queue, count: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), publisher }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('purge' as const), queue }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('resize' as const), queue, maxMessages: fc.constantFrom(1, 2, 4) }),
  },
)

/** A broker whose queues block, and the model, side by side. */
class World {
  private readonly model: WaitingModel
  private readonly underTest: BrokerUnderTest
  private readonly broker: Broker
  private readonly publishers: object[] = [{}, {}, {}]
  private readonly outcomes = new Map<number, string>()
  private published = 0

  private constructor(limitBytes: number, underTest: BrokerUnderTest) {
    this.model = new WaitingModel(limitBytes)
    this.underTest = underTest
    this.broker = underTest.broker
  }

  static async start(brokers: BrokerFactory, limitBytes: number): Promise<World> {
    const settings = { dedupWindowMs: 1000, dedupIds: 100, waitingPublishBytes: limitBytes }
    const world = new World(limitBytes, await brokers.open(settings))
    await world.broker.declareStream(streamOptions(), false)
    // All offsets of the test have three digits, and its messages take as much whenever they come in.
    await Promise.all(range(0, 100).map((n) => publishTo(world.broker, { topic: 'before', data: n })))
    for (const name of QUEUES) await world.resize(name, 2)
    return world
  }

  async take(step: Step): Promise<void> {
    const { model, broker } = this
    switch (step.do) {
      case 'publish': {
        const held = step.messages.map(({ topic, queues, pad }) => this.publish(step.publisher, topic, queues, pad))
        if (step.leaves) this.leave(step.publisher)
        model.publish(held, step.leaves)
        break
      }
      case 'take':
        await this.ack(step.queue, step.count)
        break
      case 'leave':
        model.leave(this.publishers[step.publisher] as object)
        this.leave(step.publisher)
        break
      case 'purge':
        await broker.purgeQueue(step.queue)
        model.queue(step.queue).messages.length = 0
        break
      case 'resize':
        await this.resize(step.queue, step.maxMessages)
    }
    model.proceed()
    await this.compare()
  }

  /** Everything that waits comes in as consumers make room: nothing is stuck. */
  async drain(): Promise<void> {
    for (let left = this.model.waiting.length; left > 0; left = this.model.waiting.length) {
      for (const name of QUEUES) await this.take({ do: 'take', queue: name, count: 10 })
      expect(this.model.waiting.length).toBeLessThan(left)
    }
  }

  close(): Promise<void> {
    return this.underTest.close()
  }

  private leave(publisher: number): void {
    const gone = this.publishers[publisher] as object
    this.publishers[publisher] = {}
    this.broker.withdraw(gone)
    if (this.model.waiting.some((each) => each.publisher === gone)) this.model.leave(gone)
  }

  private publish(from: number, topic: string, queues: readonly string[], pad: number): Held {
    const n = this.published++
    const publisher = this.publishers[from] as object
    const draft = draftOf(
      this.broker,
      { owner: publisher, topic, key: 'k', queues, data: `${n}`.padEnd(pad + 3, '.') },
      {
        kept: () => this.outcomes.set(n, 'kept'),
        refused: ({ code }) => {
          // Each is answered once.
          expect(this.outcomes.has(n)).toBe(false)
          this.outcomes.set(n, code)
        },
      },
    )
    this.broker.publish(draft)
    return { n, publisher, topic, queues, bytes: bytesInQueue(draft) }
  }

  private async ack(name: string, count: number): Promise<void> {
    const { messages } = this.model.queue(name)
    // One by one, for they are one group.
    for (let left = Math.min(count, messages.length); left > 0; left--) {
      const [delivery] = (await leaseFrom(this.broker, name, 1)) as [Delivery]
      expect(numberIn(delivery.wire as string)).toBe(messages.shift()?.n)
      await settleAt(this.broker, delivery, { kind: 'ack' }, { queue: name })
      this.model.proceed()
    }
  }

  private async resize(name: string, maxMessages: number): Promise<void> {
    const options = {
      ...QUEUE_DEFAULTS,
      name,
      bindings: [],
      maxMessages,
      maxBytes: MAX_BYTES,
      overflow: 'block' as const,
    }
    await this.broker.declareQueue(options, true)
    const known = this.model.queues.get(name)
    if (known) known.maxMessages = maxMessages
    else this.model.queues.set(name, { maxMessages, maxBytes: MAX_BYTES, messages: [] })
  }

  private async compare(): Promise<void> {
    const { model, broker } = this
    // What has been asked again may be in a commit of its own.
    await this.underTest.idle()
    expect(this.outcomes).toEqual(model.outcome)
    expect([broker.waiting.count, broker.waiting.bytes]).toEqual([model.waiting.length, model.waitingBytes])
    for (const { name, depth, waitingPublishes } of await broker.queues()) {
      expect([name, depth]).toEqual([name, model.queue(name).messages.length])
      expect(waitingPublishes).toBe(model.waiting.filter(({ queues }) => queues.includes(name)).length)
    }
    const stream = (await readAll(broker, 's', 100)).map(({ data }) => Number.parseInt(data as string, 10))
    const inOrder = (all: readonly number[]) => this.publishersIn(model.kept).map((of) => all.filter((n) => of.has(n)))
    expect(inOrder(stream)).toEqual(inOrder(model.kept.map(({ n }) => n)))
  }

  /** The numbers of each publisher and topic. */
  private publishersIn(kept: readonly Held[]): Set<number>[] {
    const lines: { readonly of: Held; readonly all: Set<number> }[] = []
    for (const each of kept) {
      const line = lines.find(({ of }) => of.publisher === each.publisher && of.topic === each.topic)
      if (line) line.all.add(each.n)
      else lines.push({ of: each, all: new Set([each.n]) })
    }
    return lines.map(({ all }) => all)
  }
}

function numberIn(wire: string): number {
  return Number.parseInt((JSON.parse(wire) as { data: string }).data, 10)
}

onEveryBroker('waiting publishes', (brokers) => {
  it('behave like a list that is scanned from its start, whatever clients do', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 500),
        fc.array(step, { minLength: 1, maxLength: 40 }),
        async (limit, script) => {
          const world = await World.start(brokers, limit)
          for (const each of script) await world.take(each)
          await world.drain()
          await world.close()
        },
      ),
      { numRuns: brokers.runs(300) },
    )
  })
})
