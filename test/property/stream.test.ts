import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { StreamInfo } from '../../shared/streams.ts'
import { onEveryBroker } from '../setup/brokers.ts'
import { type Bounds, type Listed, Model, type Publish, Real, type Step, take } from './stream-world.ts'

// A stream against a list

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
  expect((await broker.streams())[0]?.bytes).toBe(await real.underTest.streamBytes())
  const { messages } = (await broker.streams())[0] as StreamInfo
  // One that became a last-value stream later counts what it has indexed.
  if (!model.hasSwitched) expect(messages).toBe(model.standing.length)
  else expect(messages).toBeLessThanOrEqual(model.next - (state?.first ?? 0))
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

onEveryBroker('a stream', (brokers) => {
  it('is a list, whatever is published, trimmed, retained, compacted and read', async () => {
    const steps = fc.array(fc.tuple(step, question), { minLength: 1, maxLength: 25 })
    await fc.assert(
      fc.asyncProperty(bounds, steps, async (limits, script) => {
        const model = new Model(limits)
        const real = await Real.start(brokers, limits)
        for (const [step, asked] of script) {
          await take(step, model, real, () => compare(model, real, asked))
          await compare(model, real, asked)
          // Compaction leaves holes, and the first offset may lie in one.
          if (model.hasHoles)
            expect(real.broker.stream('s')?.first).toBeLessThanOrEqual(model.standing[0]?.offset ?? model.next)
          else expect(real.broker.stream('s')?.first).toBe(model.first)
        }
        await real.underTest.close()
      }),
      { numRuns: brokers.runs(150) },
    )
  })
})
