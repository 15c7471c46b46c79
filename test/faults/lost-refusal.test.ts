import { expect, it, onTestFinished } from 'vitest'
import { connect } from '../../client/node.ts'
import { startHub } from '../../server/index.ts'
import { redisOf } from '../setup/cluster.ts'
import { FlakyNetwork } from '../setup/flaky-network.ts'

it.each(['a single hub', 'a hub of a cluster'])(
  'a publish that was refused at %s does not come after a later one, although its client never heard of it',
  async (kind) => {
    const isSingle = kind === 'a single hub'
    const place = isSingle
      ? { data: 'memory' }
      : { cluster: (await redisOf()).url, clusterDurability: 'relaxed' as const }
    const hub = await startHub({ ...place, port: 0, engine: 'ws', drainTimeout: 100 })
    const way = await FlakyNetwork.to(hub.port as number)
    const publisher = connect(way.url, { backoff: { base: 10, cap: 100 } })
    const other = connect(`ws://127.0.0.1:${hub.port}/`)
    onTestFinished(async () => {
      for (const client of [publisher, other]) await client.close({ timeout: 100 })
      await way.close()
      await hub.close()
    })
    await other.admin.streams.declare({ name: 's', topics: ['t'] })
    const full = { maxMessages: 1, overflow: 'reject' } as const
    await other.admin.queues.declare({ name: 'q', bindings: [{ topic: 't' }], ...full })
    await publisher.publish('t', 0)
    const errors = async () =>
      (await (await fetch(`http://127.0.0.1:${hub.port}/metrics`)).text()).includes('code="queue_limit"')

    way.holdReplies()
    const refused = publisher.publish('t', 1).then(
      () => 'kept',
      ({ code }) => code,
    )
    await expect.poll(errors).toBe(true)
    await other.admin.queues.purge('q')
    const later = publisher.publish('t', 2)
    await expect.poll(async () => (await other.admin.streams.show('s')).next).toBe(2)
    await other.admin.queues.purge('q')
    way.cut()
    expect((await later).duplicate).toBe(true)
    expect(await refused).toBe('connection_lost')
    const seen: number[] = []
    for await (const { data, offsets } of other.subscribe<number>('t', { stream: 's', from: 'earliest' })) {
      seen.push(data)
      if (offsets?.['s'] === 1) break
    }
    expect(seen).toEqual([0, 2])
    expect((await other.admin.streams.show('s')).next).toBe(2)
  },
)
