import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { EmbeddedBroker } from '../../server/broker/embedded/embedded-broker.ts'
import { LmdbStore } from '../../server/broker/embedded/store/lmdb-store.ts'
import { QueueConfig } from '../../server/queue/queue-config.ts'
import { StreamConfig } from '../../server/stream/stream-config.ts'

/** A data directory as an earlier hub, which checked less, has left it: see `EarlierHub`. */
export async function dataOfEarlierHub(fill: (hub: EarlierHub) => Promise<void>): Promise<string> {
  const data = await mkdtemp(join(tmpdir(), 'fanfare-earlier-'))
  onTestFinished(() => rm(data, { recursive: true }))
  const store = await LmdbStore.open(data)
  const broker = new EmbeddedBroker(store, { dedupWindowMs: 1000, dedupIds: 100 }, pino({ enabled: false }))
  await fill(new EarlierHub(broker))
  await broker.close()
  return data
}

/** Declares and stores what a hub would refuse now. */
class EarlierHub {
  private readonly broker: EmbeddedBroker

  constructor(broker: EmbeddedBroker) {
    this.broker = broker
  }

  async declareStream(name: string, topics: string[]): Promise<void> {
    await this.broker.declareStream({ ...StreamConfig.parse({ name: 'any', topics }), name }, true)
  }

  async declareQueue(name: string, topics: string[]): Promise<void> {
    const bindings = topics.map((topic) => ({ topic }))
    await this.broker.declareQueue({ ...QueueConfig.parse({ name: 'any', bindings }), name }, true)
  }

  /** Stores a message whose data is this text of JSON. */
  async keep(topic: string, json: string, place: { streams?: string[]; queues?: string[] }): Promise<void> {
    const { streams = [], queues = [] } = place
    await new Promise<void>((resolve, refused) => {
      this.broker.publish({
        id: 'of-earlier',
        ownId: false,
        publisher: undefined,
        topic,
        key: undefined,
        expiresAt: undefined,
        priority: undefined,
        dueAt: undefined,
        streams,
        queues,
        owner: this,
        bytes: json.length,
        bytesIn: () => json.length,
        encode: (publishedAt, offsets) =>
          `{"type":"message","id":"of-earlier","topic":"${topic}","offsets":${JSON.stringify(offsets)},"publishedAt":${publishedAt},"data":${json}}`,
        kept: () => resolve(),
        refused,
      } as Parameters<EmbeddedBroker['publish']>[0])
    })
  }

  /** Takes a message of a queue, and rejects it. */
  async reject(queue: string): Promise<void> {
    const [delivery] = this.broker.lease(queue, 1, 1e9)
    await new Promise<void>((resolve, refused) => {
      const ending = { kind: 'reject', error: 'no' } as const
      this.broker.settle({ queue, delivery: delivery?.id as number, ending, drafts: [], settled: resolve, refused })
    })
  }
}
