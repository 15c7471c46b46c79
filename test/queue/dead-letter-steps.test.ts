import { expect, it } from 'vitest'
import type { Broker } from '../../server/broker/broker.ts'
import type { LetterRange } from '../../server/broker/letter-pages.ts'
import { LETTER_MICROS, LETTER_STEPS, LONG_MICROS } from '../../server/broker/redis/costs.ts'
import { DeadLetterActs } from '../../server/queue/dead-letter-acts.ts'
import { VirtualClock } from '../kit/virtual-clock.ts'
import { range } from '../setup/streams.ts'

/** A broker that has these dead letters, and notes what it is asked to do with them. */
function brokerOf(letters: readonly number[]) {
  const steps: (readonly number[])[] = []
  const broker = {
    letterSteps: { moved: 50, deleted: 140, bytes: 1000 },
    queue: () => ({ deadLetters: letters.length }),
    deadLetterNumbers: async (_queue: string, _filter: object, { from, limit }: LetterRange) => {
      const numbers = letters.slice(from, from + limit)
      return { numbers, next: from + numbers.length, end: letters.length }
    },
    redrive: async (_queue: string, numbers: readonly number[]) => steps.push(numbers) && numbers.length,
    purgeDeadLetters: async (_queue: string, numbers: readonly number[]) => steps.push(numbers) && numbers.length,
  }
  return { broker: broker as unknown as Broker, steps }
}

it.each(['moved', 'deleted'] as const)('dead letters are %s in the steps of the broker, in order', async (act) => {
  const { broker, steps } = brokerOf(range(0, 1230))
  const acts = new DeadLetterActs(broker, new VirtualClock(), () => broker)
  expect(await (act === 'moved' ? acts.redrive('q', {}, 'q', undefined) : acts.purge('q', {}))).toBe(1230)
  expect(steps.flat()).toEqual(range(0, 1230))
  expect(Math.max(...steps.map(({ length }) => length))).toBe(broker.letterSteps[act])
})

it('a step is not done to another queue of the same name', async () => {
  const { broker, steps } = brokerOf(range(0, 300))
  const acts = new DeadLetterActs(broker, new VirtualClock(), () => (steps.length < 2 ? broker : {}))
  await expect(acts.redrive('q', {}, 'q', undefined)).rejects.toMatchObject({ code: 'no_queue' })
  expect(steps.flat()).toEqual(range(0, 100))
})

it.each(['moved', 'deleted'] as const)('a script of Redis in which dead letters are %s is a short one', (act) => {
  expect(LETTER_STEPS[act] * LETTER_MICROS[act]).toBeLessThanOrEqual(LONG_MICROS)
})
