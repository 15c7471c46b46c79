import fc from 'fast-check'
import { expect, it } from 'vitest'
import { redisOf } from '../setup/cluster.ts'
import { brokerOn, copyBetween, newDirectory, newPrefix, type Place } from '../setup/copies.ts'
import { declareAll, everythingIn, QUEUES, STREAMS, type Step, take, type Wanted } from './copy-world.ts'

// What a broker holds, and what is left of it after it was copied to another one and back

const wanted: fc.Arbitrary<Wanted> = fc.record({
  topic: fc.constantFrom('a', 'a.b', 'b', '$queue.other'),
  id: fc.option(fc.constantFrom('1', '2', '3', '4', '5', '6'), { nil: undefined }),
  publisher: fc.constantFrom('ann', 'bob', undefined),
  key: fc.option(fc.constantFrom('', 'k', 'l', '\u0000', '字'), { nil: undefined }),
  headers: fc.boolean(),
  bytes: fc.oneof(
    { weight: 20, arbitrary: fc.nat(300) },
    { weight: 1, arbitrary: fc.integer({ min: 13_000, max: 80_000 }) },
  ),
  binary: fc.boolean(),
  expires: fc.boolean(),
  priority: fc.option(fc.nat(9), { nil: undefined }),
  isDelayed: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  streams: fc.subarray([...STREAMS]),
  queues: fc.subarray([...QUEUES]),
})

const stream = fc.constantFrom(...STREAMS)
const queue = fc.constantFrom(...QUEUES)
const end = fc.constantFrom('ack', 'retry', 'retry later', 'reject', 'suspect', 'keep')

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('publish' as const),
      messages: fc.array(wanted, { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('work' as const),
      queue,
      count: fc.integer({ min: 1, max: 5 }),
      ends: fc.array(end, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cursor' as const), stream, at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('trim' as const), stream, at: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('purge', 'redrive', 'purgeLetter'), queue }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('redeclare' as const), stream }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lastValue' as const) }) },
)

async function equalAfterCopies(places: readonly Place[], steps: readonly Step[]): Promise<void> {
  const [first] = places as [Place]
  const original = await brokerOn(first)
  await declareAll(original)
  for (const each of steps) await take(original, each)
  await original.close()
  for (const [at, place] of places.slice(1).entries()) await copyBetween(places[at] as Place, place)
  const again = steps.flatMap((each) => (each.do === 'publish' ? each.messages : []))
  const found: object[] = []
  for (const place of places) {
    const broker = await brokerOn(place)
    found.push(await everythingIn(broker, again))
    await broker.close()
  }
  for (const each of found.slice(1)) expect(each).toEqual(found[0])
}

const plans = fc.array(step, { minLength: 1, maxLength: 25 })

it('a data directory is the same in a Redis, and in a data directory again', { timeout: 600_000 }, async () => {
  const redis = await redisOf()
  const property = fc.asyncProperty(plans, async (steps) => {
    await equalAfterCopies([await newDirectory(), newPrefix(redis), await newDirectory()], steps)
  })
  await fc.assert(property, { numRuns: 4 })
})

it('what is in a Redis is the same in a data directory, and under another prefix again', {
  timeout: 600_000,
}, async () => {
  const redis = await redisOf()
  const property = fc.asyncProperty(plans, async (steps) => {
    await equalAfterCopies([newPrefix(redis), await newDirectory(), newPrefix(redis), newPrefix(redis)], steps)
  })
  await fc.assert(property, { numRuns: 4 })
})
