import fc from 'fast-check'
import { expect, it } from 'vitest'
import { testHub } from './index.ts'

interface Job {
  readonly delayMs: number
  /** Attempts that fail. */
  readonly fails: number
  readonly key: string | undefined
  readonly expiresInMs: number | undefined
}

const job: fc.Arbitrary<Job> = fc.record({
  delayMs: fc.integer({ min: 1, max: 4_000 }),
  fails: fc.integer({ min: 0, max: 3 }),
  key: fc.constantFrom(undefined, 'a', 'b'),
  expiresInMs: fc.option(fc.integer({ min: 1, max: 6_000 }), { nil: undefined }),
})

/** What is delivered when, while the time is moved in these steps; the consumer is cut off once on the way. */
async function deliveries(jobs: readonly Job[], steps: readonly number[]): Promise<unknown[]> {
  const hub = await testHub({
    queues: [{ name: 'jobs', backoff: { base: '300ms', cap: '1s' }, ackDeadline: '700ms', maxAttempts: 3 }],
  })
  const begin = hub.now
  const client = hub.connect()
  const got: unknown[] = []
  const worker = hub.connect()
  worker.consume<{ n: number; fails: number }>('jobs', async ({ data: { n, fails }, attempt }) => {
    got.push([n, attempt, hub.now - begin])
    await Promise.resolve()
    if (attempt <= fails) throw new Error('again')
  })
  for (const [n, { delayMs, fails, key, expiresInMs }] of jobs.entries()) {
    const expiry = expiresInMs === undefined ? {} : { expiresAt: begin + expiresInMs }
    await client.enqueue('jobs', { n, fails }, { delay: delayMs, ...(key !== undefined && { key }), ...expiry })
  }
  hub.clock.setTimeout(() => hub.cut({ client: worker, duration: 500 }), 1_250)
  for (const step of steps) await hub.advance(step)
  got.push(
    await client.admin.queues.deadLetters.list('jobs').then((letters) => letters.map(({ diedAt }) => diedAt - begin)),
  )
  await hub.close()
  return got
}

it('it makes no difference in how many steps the time moves', async () => {
  const cases = fc.asyncProperty(
    fc.array(job, { minLength: 1, maxLength: 8 }),
    fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 8 }),
    async (jobs, steps) => {
      const whole = steps.reduce((sum, step) => sum + step, 0)
      expect(await deliveries(jobs, steps)).toEqual(await deliveries(jobs, [whole]))
    },
  )
  await fc.assert(cases, { numRuns: 15 })
})
