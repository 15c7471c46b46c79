import { pino } from 'pino'
import { expect, it } from 'vitest'
import { EmbeddedBroker } from '../../server/broker/embedded/embedded-broker.ts'
import { legacyIds } from '../../server/broker/embedded/store/keys.ts'
import { MemoryStore } from '../../server/broker/embedded/store/memory-store.ts'
import { publishTo, streamOptions } from '../setup/brokers.ts'

it('forgets ids that an earlier version stored without publisher and topic, and says so', async () => {
  const store = new MemoryStore()
  const chapter = { time: Date.now(), ids: ['one'], routes: [{ streams: [1], queues: [] }], routeAt: [0], offsets: [0] }
  await store.commit([{ key: ['i', 7], value: Buffer.from(JSON.stringify(chapter)) }])
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(line) })
  const broker = new EmbeddedBroker(store, { dedupWindowMs: 60_000, dedupIds: 1000 }, log)
  expect(lines.join()).toContain('ids of an earlier version were discarded')
  await broker.declareStream(streamOptions(), false)
  expect(await publishTo(broker, { topic: 't', data: 1, id: 'one' })).toMatchObject({ duplicate: false })
  expect(await publishTo(broker, { topic: 't', data: 1, id: 'one' })).toMatchObject({ duplicate: true })
  expect([...store.keys(legacyIds)]).toEqual([])
  await broker.close()
})
