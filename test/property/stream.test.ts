import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { Block, type Entry, encodeBlock } from '../../server/broker/block.ts'
import type { Broker } from '../../server/broker/broker.ts'
import { EmbeddedBroker } from '../../server/broker/embedded/embedded-broker.ts'
import { MemoryStore } from '../../server/broker/embedded/memory-store.ts'
import type { Change } from '../../server/broker/embedded/store.ts'
import { Selection } from '../../server/stream/chunk.ts'
import { realClock } from '../../shared/clock.ts'
import { decodeBinary, decodeText, encodeRecord } from '../../shared/codec.ts'
import { matchesPattern } from '../../shared/topic.ts'
import { publishTo, streamOptions } from '../setup/brokers.ts'

// A stream against a list

/** A message of the model; its offset is its number too. */
interface Listed {
  readonly offset: number
  readonly time: number
  readonly topic: string
  readonly key: string | undefined
  readonly expired: boolean
}

interface Publish {
  readonly topic: string
  readonly key: string | undefined
  readonly expired: boolean | undefined
  readonly bytes: number
  readonly binary: boolean
}

type Step =
  | { readonly do: 'publish'; readonly messages: readonly Publish[]; readonly times: number }
  | { readonly do: 'clock'; readonly by: number }
  | { readonly do: 'trim'; readonly back: number }
  | { readonly do: 'lastValue' }
  | { readonly do: 'reopen' }

interface Bounds {
  readonly maxAgeMs: number
  readonly maxMessages: number | undefined
  readonly lastValue: boolean
}

const topic = fc.constantFrom('a', 'a.b', 'a.c', 'b', 'b.c.d')
const pattern = fc.constantFrom('#', 'a', 'a.*', 'a.#', '*.c.#', 'b', 'none').map((text) => text.split('.'))

const publish: fc.Arbitrary<Publish> = fc.record({
  topic,
  key: fc.option(fc.constantFrom('', 'k', 'l', '\u0000', '字'), { nil: undefined }),
  expired: fc.option(fc.boolean(), { nil: undefined }),
  bytes: fc.oneof(
    { weight: 20, arbitrary: fc.nat(300) },
    { weight: 1, arbitrary: fc.integer({ min: 13_000, max: 80_000 }) },
  ),
  binary: fc.boolean(),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      messages: fc.array(publish, { minLength: 1, maxLength: 12 }),
      // Now and then enough to be worth compacting.
      times: fc.oneof(
        { weight: 8, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 100, max: 300 }) },
      ),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('clock' as const), by: fc.integer({ min: -500, max: 900 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('trim' as const), back: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lastValue' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
)

const bounds: fc.Arbitrary<Bounds> = fc.oneof(
  fc.record({
    maxAgeMs: fc.constantFrom(400, 1500, 1e9),
    maxMessages: fc.option(fc.integer({ min: 1, max: 50 }), { nil: undefined }),
    lastValue: fc.constant(false),
  }),
  fc.record({
    maxAgeMs: fc.constantFrom(1500, 1e9),
    maxMessages: fc.constant(undefined),
    lastValue: fc.constant(true),
  }),
)

/** What a stream is, without blocks, tables, commits or compaction. */
class Model {
  next = 0
  private list: Listed[] = []
  private lastTime = 0
  bounds: Bounds
  /** It has been one of last values, and compaction may have removed the others. */
  hasHoles: boolean

  constructor(bounds: Bounds) {
    this.bounds = bounds
    this.hasHoles = bounds.lastValue
  }

  /** Whether it can be one of last values, and is not already. */
  switchLastValue(): boolean {
    const { maxMessages, lastValue } = this.bounds
    if (lastValue || maxMessages !== undefined) return false
    this.bounds = { ...this.bounds, lastValue: true }
    this.hasHoles = true
    return true
  }

  publish({ topic, key, expired = false }: Publish, now: number): void {
    this.lastTime = Math.max(this.lastTime, now)
    this.list.push({ offset: this.next++, time: this.lastTime, topic, key, expired })
  }

  trim(before: number): void {
    this.list = this.list.filter(({ offset }) => offset >= before)
  }

  retain(now: number): void {
    const { maxAgeMs, maxMessages } = this.bounds
    this.list = this.list.filter(({ time }) => time >= now - maxAgeMs)
    if (maxMessages !== undefined) this.list = this.list.slice(-maxMessages)
  }

  get first(): number {
    return this.list[0]?.offset ?? this.next
  }

  /** What is there to be found, whether it has expired or not. */
  get standing(): readonly Listed[] {
    if (!this.bounds.lastValue) return this.list
    const newest = new Map(this.list.map((message) => [`${message.topic} ${message.key ?? ''}`, message]))
    return this.list.filter((message) => newest.get(`${message.topic} ${message.key ?? ''}`) === message)
  }

  matching(words: readonly string[]): readonly Listed[] {
    return this.standing.filter((message) => matchesPattern(words, message.topic.split('.')))
  }
}

/**
 * A store that outlives its broker, and whose commits can be read a while before they are done, as those of LMDB can: the
 * first one after `hold` waits until it is let go.
 */
class SlowStore extends MemoryStore {
  private holding: { begun: () => void; readonly letGo: Promise<void> } | undefined = undefined

  /** Resolves when a commit can be read and is not done. */
  hold(): { readonly begun: Promise<void>; letGo(): void } {
    let letGo = () => {}
    let begun = () => {}
    const began = new Promise<void>((resolve) => {
      begun = resolve
    })
    this.holding = {
      begun,
      letGo: new Promise((resolve) => {
        letGo = resolve
      }),
    }
    return { begun: began, letGo }
  }

  override async commit(changes: readonly Change[]): Promise<void> {
    const { holding } = this
    this.holding = undefined
    await super.commit(changes)
    holding?.begun()
    await holding?.letGo
  }

  override close(): Promise<void> {
    return Promise.resolve()
  }
}

class Real {
  readonly clock = { now: 1_000_000 }
  broker: Broker
  readonly store = new SlowStore()

  constructor() {
    this.broker = this.open()
  }

  async reopen(): Promise<void> {
    await this.broker.close()
    this.broker = this.open()
  }

  publish(first: number, messages: readonly Publish[]): Promise<unknown> {
    return Promise.all(
      messages.map(({ topic, key, expired, bytes, binary }, at) => {
        const n = first + at
        const data = binary
          ? encodeRecord(JSON.stringify({ n }), new Uint8Array(bytes))
          : { n, pad: 'é'.repeat(bytes / 2) }
        const expiresAt = expired === undefined ? undefined : expired ? 1 : Number.MAX_SAFE_INTEGER
        return publishTo(this.broker, {
          topic,
          data,
          ...(key !== undefined && { key }),
          ...(expiresAt && { expiresAt }),
        })
      }),
    )
  }

  /** The numbers that a subscription would be sent, by way of the bytes that go over the wire. */
  async replay(from: number, words: readonly string[], chunk: number): Promise<number[]> {
    const selection = new Selection(words, undefined, realClock)
    const numbers: number[] = []
    for (let offset = from; ; ) {
      const block = await this.broker.read('s', offset)
      if (!block) return numbers
      for (let at = block.find(offset); at < block.count; ) {
        const [stretches, end] = selection.take(block, at, chunk, undefined)
        for (const { wires, binary } of stretches) numbers.push(...numbersIn(wires, binary))
        at = end
      }
      offset = block.lastOffset + 1
    }
  }

  /** Of all blocks that hold something. */
  async bytes(): Promise<number> {
    let sum = 0
    let offset = this.broker.stream('s')?.first ?? 0
    for (;;) {
      const block = await this.broker.read('s', offset)
      if (!block) return sum
      sum += block.bytes
      offset = block.lastOffset + 1
    }
  }

  private open(): Broker {
    const options = { dedupWindowMs: 1000, dedupIds: 100, clock: { ...realClock, now: () => this.clock.now } }
    return new EmbeddedBroker(this.store, options, pino({ enabled: false }))
  }
}

function numbersIn(wires: Uint8Array, binary: boolean): number[] {
  if (binary) return decodeBinary(wires).map((header) => (header as { n: number }).n)
  const messages = decodeText(`[${Buffer.from(wires).toString()}]`) as { data: { n: number } }[]
  return messages.map(({ data }) => data.n)
}

/** Takes a step; `meanwhile` is asked while its commit can be read and is not done. */
async function take(step: Step, model: Model, real: Real, meanwhile: () => Promise<void>): Promise<void> {
  if (step.do === 'publish') {
    const messages = Array.from({ length: step.times }, () => step.messages).flat()
    // Of those that come many times over only the first may be large.
    const sized = messages.map((message, at) => (at < step.messages.length ? message : { ...message, bytes: 10 }))
    await during(real, () => real.publish(model.next, sized), meanwhile)
    for (const message of sized) model.publish(message, real.clock.now)
  } else if (step.do === 'clock') {
    real.clock.now += step.by
  } else if (step.do === 'trim') {
    await during(real, () => real.broker.trimStream('s', Math.max(0, model.next - step.back)), meanwhile)
    model.trim(model.next - step.back)
  } else if (step.do === 'lastValue') {
    if (model.switchLastValue()) await real.broker.declareStream(streamOptions(model.bounds), true)
  } else {
    await real.reopen()
  }
  // Whatever is committed lets retention look, and index; each time it takes a bounded step.
  for (let n = 0; n < 12; n++) await real.broker.trimStream('s', 0)
  model.retain(real.clock.now)
}

async function during(real: Real, change: () => Promise<unknown>, meanwhile: () => Promise<void>): Promise<void> {
  const { begun, letGo } = real.store.hold()
  const done = change()
  // Some change nothing, and are not committed.
  const committing = await Promise.race([begun.then(() => true), done.then(() => false)])
  try {
    if (committing) await meanwhile()
  } finally {
    letGo()
    await done
  }
}

interface Question {
  readonly words: readonly string[]
  readonly back: number
  readonly chunk: number
  readonly count: number
  readonly age: number
}

const question: fc.Arbitrary<Question> = fc.record({
  words: pattern,
  back: fc.nat(60),
  chunk: fc.integer({ min: 1, max: 70_000 }),
  count: fc.integer({ min: 1, max: 5 }),
  age: fc.integer({ min: -10, max: 2000 }),
})

async function compare(model: Model, real: Real, { words, back, chunk, count, age }: Question): Promise<void> {
  const { broker, clock } = real
  const state = broker.stream('s')
  expect(state?.next).toBe(model.next)
  expect((await broker.streams())[0]?.bytes).toBe(await real.bytes())
  const matching = model.matching(words)
  const from = Math.max(state?.first ?? 0, model.next - back)
  const wanted = matching.filter(({ offset, expired }) => offset >= from && !expired)
  expect(await real.replay(from, words, chunk)).toEqual(wanted.map(({ offset }) => offset))
  const newest = await broker.newest('s', words, count)
  const byTopic = Object.values(groupByTopic(matching))
  expect(newest).toEqual(byTopic.flatMap((list) => list.slice(-count)).sort((a, b) => a - b))
  const found = await broker.offsetAtTime('s', clock.now - age)
  const since = model.standing.filter(({ time }) => time >= clock.now - age).map(({ offset }) => offset)
  expect(model.standing.map(({ offset }) => offset).filter((offset) => offset >= found)).toEqual(since)
}

function groupByTopic(messages: readonly Listed[]): Record<string, number[]> {
  const groups: Record<string, number[]> = {}
  for (const { topic, offset } of messages) {
    groups[topic] ??= []
    groups[topic].push(offset)
  }
  return groups
}

it('a stream is a list: whatever is published, trimmed, retained, compacted and read', async () => {
  const steps = fc.array(fc.tuple(step, question), { minLength: 1, maxLength: 25 })
  await fc.assert(
    fc.asyncProperty(bounds, steps, async (limits, script) => {
      const model = new Model(limits)
      const real = new Real()
      await real.broker.declareStream(streamOptions(limits), false)
      for (const [step, asked] of script) {
        await take(step, model, real, () => compare(model, real, asked))
        await compare(model, real, asked)
        // Compaction leaves holes, and the first offset may lie in one.
        if (model.hasHoles)
          expect(real.broker.stream('s')?.first).toBeLessThanOrEqual(model.standing[0]?.offset ?? model.next)
        else expect(real.broker.stream('s')?.first).toBe(model.first)
      }
      await real.broker.close()
    }),
    { numRuns: 150 },
  )
})

// Blocks

const entries: fc.Arbitrary<Entry[]> = fc
  .array(
    fc.record({
      step: fc.integer({ min: 1, max: 1000 }),
      later: fc.nat(5),
      topic,
      key: fc.option(fc.string({ unit: 'binary', maxLength: 20 }), { nil: undefined }),
      expiresAt: fc.option(fc.maxSafeNat(), { nil: undefined }),
      back: fc.nat(10),
      wire: fc.oneof(
        fc.string({ unit: 'binary', maxLength: 400 }),
        fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
      ),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((drafts) => {
    let [offset, time] = [0, 1000]
    return drafts.map(({ step, later, ...entry }) => {
      offset += step
      time += later
      return { ...entry, offset, time }
    })
  })

it('a block holds what was put into it, and each stretch of it as it goes over the wire', () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.nat(), (written, a, b) => {
      const block = new Block(encodeBlock(written))
      expect(Array.from({ length: block.count }, (_, at) => block.entry(at))).toEqual(written)
      const [from, other] = [a % written.length, b % written.length]
      const offset = (written[other] as Entry).offset
      expect([block.find(offset), block.find(offset + 1)]).toEqual([other, other + 1])
      let to = from + 1
      while (to < written.length && block.isBinary(to) === block.isBinary(from)) to++
      const wires = written.slice(from, to).map(({ wire }) => wire)
      const joined = block.isBinary(from) ? Buffer.concat(wires as Buffer[]) : Buffer.from(wires.join(','))
      expect(block.wires(from, to)).toEqual(joined)
    }),
  )
})

it('a block of which any byte has changed is refused', () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, place, change) => {
      const bytes = encodeBlock(written)
      bytes[place % bytes.length] = (bytes[place % bytes.length] as number) ^ change
      expect(() => new Block(bytes)).toThrow(expect.objectContaining({ code: 'data_damaged' }))
    }),
  )
})
