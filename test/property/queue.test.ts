import fc from 'fast-check'
import { it } from 'vitest'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import { onEveryBroker } from '../setup/brokers.ts'
import { type Publish, STEP_MS, type Step, World } from './queue-world.ts'

const KEYS = ['a', 'b', 'c']
const kind = fc.constantFrom('ack' as const, 'nack' as const, 'suspect' as const, 'reject' as const)
const which = fc.nat(20)

const publish: fc.Arbitrary<Publish> = fc.record({
  key: fc.option(fc.constantFrom(...KEYS), { nil: undefined }),
  priority: fc.oneof(fc.constant(4), fc.integer({ min: 0, max: 9 })),
  delay: fc.constantFrom(0, 0, 0, 1, 3),
  expiry: fc.option(fc.constantFrom(0, 1, 4), { nil: undefined, freq: 4 }),
  pad: fc.constantFrom(0, 10, 200),
  binary: fc.boolean(),
})
const messages = fc.array(publish, { minLength: 1, maxLength: 8 })

function steps(): fc.Arbitrary<Step> {
  const act = <Kind extends string, Fields extends object>(
    weight: number,
    kind: Kind,
    fields: { [Name in keyof Fields]: fc.Arbitrary<Fields[Name]> },
  ) => ({
    weight,
    arbitrary: fc.record({
      do: fc.constant(kind),
      failing: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
      ...fields,
    }) as unknown as fc.Arbitrary<Step>,
  })
  return fc.oneof(
    act(6, 'publish', { messages }),
    act(6, 'lease', { count: fc.integer({ min: 1, max: 6 }) }),
    act(8, 'end', { which, kind, delay: fc.option(fc.constantFrom(0, 1, 2), { nil: undefined }) }),
    act(2, 'ack and publish', { which, messages: fc.array(publish, { minLength: 1, maxLength: 3 }) }),
    act(1, 'late', { kind }),
    act(2, 'give back', { which }),
    act(2, 'lease again', { which }),
    act(4, 'clock', { by: fc.integer({ min: 1, max: 4 }) }),
    act(1, 'purge', {}),
    act(1, 'reopen', {}),
    act(2, 'unpark', { key: fc.constantFrom(...KEYS) }),
    act(2, 'redrive', { limit: fc.constantFrom(1, 2, 100), twice: fc.boolean() }),
    act(1, 'purge letters', { which }),
  )
}

const options: fc.Arbitrary<QueueOptions> = fc.record({
  ...Object.fromEntries(Object.entries(QUEUE_DEFAULTS).map(([name, value]) => [name, fc.constant(value)])),
  name: fc.constant('q'),
  bindings: fc.constant([]),
  maxAttempts: fc.integer({ min: 1, max: 3 }),
  backoffBaseMs: fc.constant(STEP_MS),
  backoffCapMs: fc.constant(2 * STEP_MS),
  maxMessages: fc.constantFrom(1, 3, 6, 1000),
  maxBytes: fc.constantFrom(250, 700, 1e6),
  overflow: fc.constantFrom('reject', 'drop-oldest', 'dead-letter', 'block'),
  onExpiry: fc.constantFrom('drop', 'dead-letter'),
  onDeadLetter: fc.constantFrom('continue', 'park'),
  maxDeadLetters: fc.constantFrom(2, 5, 1000),
}) as unknown as fc.Arbitrary<QueueOptions>

onEveryBroker('a queue', (brokers) => {
  it('behaves like a list, whatever is published, leased, settled, purged and reopened', async () => {
    await fc.assert(
      fc.asyncProperty(options, fc.array(steps(), { minLength: 1, maxLength: 40 }), async (declared, script) => {
        const world = await World.start(brokers, declared)
        for (const step of script) await world.take(step)
        await world.close()
      }),
      { numRuns: brokers.runs(500) },
    )
  })
})
