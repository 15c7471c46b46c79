import { afterEach, expect, it, vi } from 'vitest'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { onEveryBroker, publishTo, streamOptions } from '../setup/brokers.ts'

const HOUR = 3_600_000
const START = Date.UTC(2030, 0, 1)

onEveryBroker('a clock that jumps back', (brokers) => {
  it('offsets and times still grow, and a time finds its place', async () => {
    const underTest = await brokers.open()
    const { clock } = underTest
    clock.now = START
    await underTest.broker.declareStream(streamOptions({ name: 'log', maxAgeMs: 24 * HOUR }), false)
    // Forward, two hours back, past the restart, and on until the clock is where it was.
    const steps = [0, HOUR, -HOUR, -HOUR / 2, HOUR / 2, 'restart', -HOUR, HOUR, 2 * HOUR, 3 * HOUR] as const
    const times: number[] = []
    for (const step of steps) {
      if (step === 'restart') {
        await underTest.reopen()
        continue
      }
      const { broker } = underTest
      clock.now = START + step
      const { positions } = await publishTo(broker, { topic: 'a', data: step, streams: ['log'] })
      const offset = positions['log']?.offset as number
      expect(offset).toBe(times.length)
      const block = await broker.read('log', offset)
      times.push(block?.time(block.find(offset)) as number)
    }
    const { broker } = underTest
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(times.map((time) => (time - START) / HOUR)).toEqual([0, 1, 1, 1, 1, 1, 1, 2, 3])
    for (const [hours, offset] of [
      [-5, 0],
      [0, 0],
      [0.5, 1],
      [1, 1],
      [1.5, 7],
      [3, 8],
      [4, 9],
    ] as const) {
      expect([hours, await broker.offsetAtTime('log', START + hours * HOUR)]).toEqual([hours, offset])
    }
    expect(broker.stream('log')).toMatchObject({ first: 0, next: 9 })
  })
})

afterEach(() => {
  vi.restoreAllMocks()
})

it.each([HOUR, -2 * HOUR])('a clock that is moved by %i ms under a running hub changes nothing', async (moved) => {
  const hub = await startHub({ port: 0, streams: [{ name: 'log', topics: ['log'] }], queues: [{ name: 'jobs' }] })
  const client = connect(`ws://127.0.0.1:${hub.port}`)
  const first = await client.publish('log', 1, { id: 'one' })
  const since = performance.now()
  await client.enqueue('jobs', 'later', { delay: 500 })
  const now = Date.now
  vi.spyOn(Date, 'now').mockImplementation(() => now() + moved)
  // Its id is known still, and a delayed message comes neither at once nor in hours.
  expect(await client.publish('log', 1, { id: 'one' })).toEqual({ ...first, duplicate: true })
  const came = new Promise<number>((resolve) => {
    client.consume('jobs', () => resolve(performance.now() - since))
  })
  expect(await came).toBeGreaterThan(400)
  await client.close()
  await hub.close()
})
