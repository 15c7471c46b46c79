import { pino } from 'pino'
import { expect, it } from 'vitest'
import { EmbeddedBroker } from '../../server/broker/embedded/embedded-broker.ts'
import { blockKey } from '../../server/broker/embedded/store/keys.ts'
import { publishTo } from '../setup/brokers.ts'
import { LastingStore, streamOptions } from '../setup/lasting-store.ts'

it('a damaged block is reported to its readers, and stops neither retention nor other streams', async () => {
  const store = new LastingStore()
  const options = { dedupWindowMs: 1000, dedupIds: 1000 }
  const before = new EmbeddedBroker(store, options, pino({ enabled: false }))
  await before.declareStream(streamOptions('hurt', { maxMessages: 4 }), false)
  await before.declareStream(streamOptions('well'), false)
  for (let n = 0; n < 4; n++) await publishTo(before, { topic: 'a', data: n, streams: ['hurt', 'well'] })
  await before.close()
  const key = blockKey(1, 1)
  const block = store.get(key) as Uint8Array
  await store.commit([{ key, value: block.with(block.length - 3, 0) }])
  // Another one on the same store, which remembers no block.
  const broker = new EmbeddedBroker(store, options, pino({ enabled: false }))
  await expect(broker.read('hurt', 1)).rejects.toMatchObject({ code: 'data_damaged' })
  for (let n = 4; n < 10; n++) {
    const { positions } = await publishTo(broker, { topic: 'a', data: n, streams: ['hurt', 'well'] })
    expect(positions['hurt']?.offset).toBe(n)
  }
  expect(broker.stream('hurt')).toMatchObject({ first: 6, next: 10 })
  expect((await broker.read('hurt', 6))?.firstOffset).toBe(6)
  await broker.close()
})
