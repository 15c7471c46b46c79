import { afterEach, expect, it, vi } from 'vitest'
import { type Client, connect } from '../../client/node.ts'
import { type Hub, type HubOptions, startHub } from '../../server/index.ts'
import { keptLog } from '../setup/kept-log.ts'
import { range } from '../setup/streams.ts'

afterEach(() => vi.useRealTimers())

const HOUR_MS = 3_600_000

it('delayed messages, parked groups and waits for another attempt ask for no consumers, however many join', async () => {
  await withHub([{ name: 'delayed' }, { name: 'parked', maxAttempts: 1, onDeadLetter: 'park' }, { name: 'failed' }], {
    async act({ client, second, wanted }) {
      await second()
      await Promise.all(range(0, 100).map((n) => client.enqueue('delayed', n, { delay: HOUR_MS })))
      for (const n of range(0, 20)) {
        await client.enqueue('parked', n, { key: 'one' })
        await client.enqueue('failed', n, { key: 'one' })
      }
      const parks = client.consume('parked', (delivery) => delivery.reject('broken'))
      const fails = client.consume('failed', (delivery) => delivery.nack({ error: 'later', delay: HOUR_MS }))
      await expect.poll(() => client.admin.queues.show('parked')).toMatchObject({ parked: ['one'] })
      await expect.poll(() => client.admin.queues.show('failed')).toMatchObject({ inFlight: 0, delayed: 1 })
      await Promise.all([parks.close(), fails.close()])
      // What was due before counts for a few seconds more.
      for (let n = 0; n < 11; n++) await second()
      for (let consumers = 0; consumers < 4; consumers++) {
        await second()
        expect(await wanted()).toEqual({ delayed: 0, parked: 0, failed: 0 })
        for (const name of ['delayed', 'parked', 'failed']) await client.consume(name, () => {}).ready
      }
      const [delayed] = (await client.admin.queues.find({ filter: 'delayed' })).queues
      expect(delayed).toMatchObject({ depth: 100, ready: 0, consumers: 4, keepUpConsumers: 0 })
      expect((await client.admin.queues.show('failed')).ready).toBe(0)
      const { entries } = await client.admin.hub.attention()
      // A machine that is busy may have made the hub late.
      const ofQueues = entries.filter(({ about }) => about.kind === 'queue')
      expect(ofQueues.map(({ about, troubles }) => [about, troubles.map(({ kind }) => kind)])).toEqual([
        [{ kind: 'queue', name: 'parked' }, ['dead-letters', 'parked']],
      ])
    },
  })
})

it('where all messages have keys, no more consumers are wanted than groups can go on', async () => {
  await withHub([{ name: 'keyed' }], {
    async act({ client, second, wanted }) {
      await Promise.all(range(0, 60).map((n) => client.enqueue('keyed', n, { key: n % 2 === 0 ? 'even' : 'odd' })))
      let end = () => {}
      const ended = new Promise<void>((resolve) => {
        end = resolve
      })
      for (let consumers = 0; consumers < 5; consumers++) {
        await client.consume('keyed', () => ended, { prefetch: 1 }).ready
        await second()
        expect((await wanted())['keyed']).toBeLessThanOrEqual(2)
      }
      expect(await client.admin.queues.show('keyed')).toMatchObject({ depth: 58, ready: 58, inFlight: 2, consumers: 5 })
      end()
    },
  })
})

interface World {
  readonly client: Client
  /** What the hub does once a second. */
  second(): Promise<void>
  /** What a scaler hears of each queue. */
  wanted(): Promise<Record<string, number>>
}

async function withHub(
  queues: NonNullable<HubOptions['queues']>,
  { act }: { act(world: World): Promise<void> },
): Promise<void> {
  // What the hub does once a second comes when a test says so; sockets go on in their own time.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  const hub: Hub = await startHub({ port: 0, engine: 'ws', queues, pingInterval: HOUR_MS }, keptLog().log)
  const client = connect(`ws://127.0.0.1:${hub.port}`)
  const wanted = async () => {
    const asked = queues.map(async ({ name }) => {
      const answer = await fetch(`http://127.0.0.1:${hub.port}/v1/queues/${name}/wanted-consumers`)
      return [name, ((await answer.json()) as { wantedConsumers: number }).wantedConsumers]
    })
    return Object.fromEntries(await Promise.all(asked)) as Record<string, number>
  }
  const second = async () => void (await vi.advanceTimersByTimeAsync(1000))
  try {
    await act({ client, second, wanted })
  } finally {
    await client.close()
    await hub.close()
  }
}
