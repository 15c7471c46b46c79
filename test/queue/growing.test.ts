import { afterEach, expect, it, vi } from 'vitest'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { keptLog } from '../setup/kept-log.ts'

afterEach(() => vi.useRealTimers())

it('a running hub calls out in its log, once, a queue that has grown for 30 seconds, and no longer says so when nothing comes in', async () => {
  // What the hub does once a second comes when this test says so; sockets go on in their own time.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
  const { log, lines } = keptLog()
  const calledOut = () => lines.filter(({ msg }) => msg.startsWith('queue keeps growing')).map(({ queue }) => queue)
  const queues = [{ name: 'growing' }, { name: 'steady' }]
  const hub = await startHub({ port: 0, engine: 'ws', queues, pingInterval: 3_600_000 }, log)
  const client = connect(`ws://127.0.0.1:${hub.port}`)
  try {
    await client.enqueue('steady', 0)
    const second = async () => {
      await client.enqueue('growing', 0)
      await vi.advanceTimersByTimeAsync(1000)
    }
    // The first sample has none before it to be compared with.
    for (let n = 0; n < 30; n++) await second()
    expect(calledOut()).toEqual([])
    for (let n = 0; n < 5; n++) await second()
    expect(calledOut()).toEqual(['growing'])
    const troubles = async () => {
      const { entries } = await client.admin.hub.attention()
      const ofQueue = entries.find(({ about }) => about.kind === 'queue' && about.name === 'growing')
      return ofQueue?.troubles.map(({ level, kind }) => [level, kind])
    }
    expect(await troubles()).toEqual([['problem', 'growing']])
    // Nothing comes in any longer, and what is there is not consumed.
    await vi.advanceTimersByTimeAsync(31_000)
    expect(await troubles()).toEqual([['warning', 'no-consumer']])
  } finally {
    await client.close()
    await hub.close()
  }
})
