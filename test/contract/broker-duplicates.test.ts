import { describe, expect, it } from 'vitest'
import {
  DEDUP_WINDOW_MS,
  dataOf,
  onEveryBroker,
  publishNumbers,
  publishTo,
  streamOptions,
  withStream,
} from '../setup/brokers.ts'
import { range } from '../setup/streams.ts'

onEveryBroker('broker', (brokers) => {
  describe('duplicates', () => {
    const once = { topic: 't', data: 1, id: 'once' }

    it('of one commit and of the next yield the first receipt', async () => {
      const { broker } = await withStream(brokers)
      const [first, second] = await Promise.all([publishTo(broker, once), publishTo(broker, once)])
      const third = await publishTo(broker, once)
      expect(first?.duplicate).toBe(false)
      expect(second).toEqual({ duplicate: true, positions: first?.positions, queues: [] })
      expect(third).toEqual(second)
      expect(await dataOf(broker)).toEqual([1])
    })

    it('are detected only by ids that the publisher chose', async () => {
      const { broker } = await withStream(brokers)
      await publishNumbers(broker, 0, 2)
      expect(await dataOf(broker)).toEqual([0, 1])
    })

    it('among what comes again show that what is unknown before them was refused: it does not come after them', async () => {
      const { broker } = await withStream(brokers)
      const [owner, other] = [{}, {}]
      const again = { id: 'b', topic: 't', data: 'b', owner, isRetry: true }
      await publishTo(broker, { ...again, isRetry: false, owner: {} })
      const outcomes = [
        { ...again, id: 'a', data: 'a' },
        { ...again, id: 'elsewhere', data: 'elsewhere', topic: 'u' },
        { ...again, id: 'other', data: 'other', owner: other },
        { ...again, id: 'new', data: 'new', isRetry: false },
        again,
        { ...again, id: 'c', data: 'c' },
      ].map((publish) =>
        publishTo(broker, publish).then(
          ({ duplicate }) => (duplicate ? 'known' : 'kept'),
          ({ code }) => code,
        ),
      )
      expect(await Promise.all(outcomes)).toEqual(['connection_lost', 'kept', 'kept', 'kept', 'known', 'kept'])
      expect(await dataOf(broker)).toEqual(['b', 'elsewhere', 'other', 'new', 'c'])
    })

    it('are known for the window and no longer', async () => {
      const { broker, clock } = await withStream(brokers)
      await publishTo(broker, once)
      clock.now += DEDUP_WINDOW_MS - 1
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: true })
      clock.now += 1
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: false })
      expect(await publishTo(broker, once)).toMatchObject({
        duplicate: true,
        positions: { s: { offset: 1 } },
        queues: [],
      })
    })

    it('are known only for the newest ids if there are too many', async () => {
      const { broker } = await withStream(brokers, {}, { dedupIds: 3 })
      for (const id of ['a', 'b', 'c', 'd']) await publishTo(broker, { topic: 't', data: id, id })
      expect(await publishTo(broker, { topic: 't', data: 'd', id: 'd' })).toMatchObject({ duplicate: true })
      expect(await publishTo(broker, { topic: 't', data: 'b', id: 'b' })).toMatchObject({ duplicate: true })
      expect(await publishTo(broker, { topic: 't', data: 'a', id: 'a' })).toMatchObject({ duplicate: false })
    })

    it('must have the same publisher and topic, too', async () => {
      const { broker } = await withStream(brokers)
      await publishTo(broker, once)
      expect(await publishTo(broker, { ...once, topic: 'u' })).toMatchObject({ duplicate: false })
      expect(await publishTo(broker, { ...once, publisher: 'q' })).toMatchObject({ duplicate: false })
      expect(await publishTo(broker, { ...once, publisher: 'q' })).toMatchObject({
        duplicate: true,
        positions: { s: { offset: 2 } },
      })
    })

    it('of a stream that has been deleted or trimmed are not duplicates', async () => {
      const { broker } = await withStream(brokers)
      await publishTo(broker, once)
      await broker.deleteStream('s')
      await broker.declareStream(streamOptions(), false)
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: false })
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: true })
      await broker.trimStream('s', 1)
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: false, positions: { s: { offset: 1 } } })
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: true, positions: { s: { offset: 1 } } })
    })

    it('are still known if a deletion could not be stored', async () => {
      const { broker, failWith } = await withStream(brokers)
      await publishTo(broker, once)
      failWith(new Error('EIO'))
      const outcomes = await Promise.allSettled([
        broker.deleteStream('s'),
        broker.declareStream(streamOptions({ name: 'other' }), false),
        publishTo(broker, { ...once, streams: ['s', 'other'] }),
      ])
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
      failWith(undefined)
      expect(await publishTo(broker, once)).toMatchObject({ duplicate: true, positions: { s: { offset: 0 } } })
    })

    it('are known for the newest ids if one commit has more than the limit', async () => {
      const underTest = await withStream(brokers, {}, { dedupIds: 3 })
      const publish = (n: number) => publishTo(underTest.broker, { topic: 't', data: n, id: `m${n}` })
      await Promise.all(range(0, 10).map(publish))
      await underTest.reopen()
      for (const n of [9, 7]) expect(await publish(n)).toMatchObject({ duplicate: true })
      expect(await publish(6)).toMatchObject({ duplicate: false })
      expect(await publish(7)).toMatchObject({ duplicate: false })
      expect(await publish(9)).toMatchObject({ duplicate: true })
    })
  })
})
