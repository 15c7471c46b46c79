import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { HubProcess } from '../setup/hub-process.ts'

const GOOD = Array.from({ length: 200 }, (_, n) => n)

let hub: HubProcess
let client: Client

beforeAll(async () => {
  hub = await HubProcess.start({ data: 'memory' })
  client = connect(hub.url)
})
afterAll(async () => {
  await client?.close()
  await hub?.kill()
})

/** Consumes a queue, one message at a time, and throws at every poison; resolves when this many others are handled. */
async function handleAll(queue: string, count: number): Promise<unknown[]> {
  const handled: unknown[] = []
  await new Promise<void>((resolve) => {
    client.consume(queue, async ({ data }) => {
      if (data === 'poison') throw new Error('cannot be swallowed')
      if (handled.push(data) === count) resolve()
    })
  })
  return handled
}

/** Puts a poison first, then good messages. */
async function fill(queue: string, keyOf: (n: number) => object = () => ({})): Promise<void> {
  await client.enqueue(queue, 'poison', { key: 'poisoned' })
  for (const n of GOOD) await client.enqueue(queue, n, keyOf(n))
}

it('does not hold up the rest: they are done, in order, before its second attempt', async () => {
  await client.admin.queues.declare({ name: 'patient', backoff: { base: '1h', cap: '1h' } })
  await fill('patient')
  expect(await handleAll('patient', GOOD.length)).toEqual(GOOD)
  expect(await client.admin.queues.show('patient')).toMatchObject({ depth: 1, delayed: 1, redeliveredTotal: 0 })
})

it('holds up only its own group', async () => {
  await client.admin.queues.declare({ name: 'grouped', backoff: { base: '1h', cap: '1h' } })
  await fill('grouped', (n) => ({ key: n % 10 === 0 ? 'poisoned' : `g${n % 10}` }))
  const others = GOOD.filter((n) => n % 10 !== 0)
  const handled = (await handleAll('grouped', others.length)) as number[]
  expect(handled.toSorted((a, b) => a - b)).toEqual(others)
  expect(await client.admin.queues.show('grouped')).toMatchObject({ depth: 1 + GOOD.length - others.length })
})

it('ends in the dead letters, with its error and its attempts, and its group goes on', async () => {
  await client.admin.queues.declare({ name: 'hasty', backoff: { base: 1, cap: 1 }, maxAttempts: 3 })
  await fill('hasty', (n) => ({ key: n % 10 === 0 ? 'poisoned' : `g${n % 10}` }))
  const handled = (await handleAll('hasty', GOOD.length)) as number[]
  expect(handled.toSorted((a, b) => a - b)).toEqual(GOOD)
  expect(handled.filter((n) => n % 10 === 0)).toEqual(GOOD.filter((n) => n % 10 === 0))
  expect(await client.admin.queues.deadLetters.list('hasty')).toMatchObject([
    {
      message: { data: 'poison', key: 'poisoned' },
      reason: 'attempts',
      attempts: 3,
      error: expect.stringContaining('cannot be swallowed'),
      origin: 'hasty',
    },
  ])
})
