import { describe, expect, it } from 'vitest'
import { DEFAULT_MAX_BYTES } from '../../server/broker/rules/declarations.ts'
import { QUEUE_DEFAULTS } from '../../server/queue/queue-config.ts'
import type { QueueOptions } from '../../shared/queues.ts'
import { publishTo } from '../setup/brokers.ts'
import { redisOf } from '../setup/cluster.ts'
import { brokerAt } from '../setup/redis-node.ts'
import { range } from '../setup/streams.ts'

// What several nodes with one Redis do with queues

function queueOptions(more: Partial<QueueOptions> = {}): QueueOptions {
  return { name: 'q', bindings: [], ...QUEUE_DEFAULTS, maxBytes: DEFAULT_MAX_BYTES.disk, ...more }
}

describe('nodes with one Redis', () => {
  it('store a message in hundreds of queues, and few such messages in one step', async () => {
    const redis = await redisOf()
    const operations: number[] = []
    const a = await brokerAt(redis.url, { events: { committed: (commit) => operations.push(commit.operations) } })
    const queues = Array.from({ length: 400 }, (_, n) => `q${n}`)
    await Promise.all(queues.map((name) => a.declareQueue(queueOptions({ name }), false)))
    operations.length = 0
    const kept = await Promise.all(range(0, 20).map((n) => publishTo(a, { topic: 't', data: n, streams: [], queues })))
    expect(kept.map((each) => each.queues.length)).toEqual(kept.map(() => 400))
    // Redis does nothing else during a step, so that a step may not grow with the number of queues.
    expect(Math.max(...operations)).toBeLessThanOrEqual(2)
    expect((await a.queues(['q0', 'q399'])).map(({ depth }) => depth)).toEqual([20, 20])
  })
})
