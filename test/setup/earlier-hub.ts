import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { Delivery } from '../../server/broker/broker.ts'
import { EmbeddedBroker } from '../../server/broker/embedded/embedded-broker.ts'
import { LmdbStore } from '../../server/broker/embedded/store/lmdb-store.ts'
import { DEFAULT_MAX_BYTES } from '../../server/broker/rules/declarations.ts'
import { QueueConfig } from '../../server/queue/queue-config.ts'
import { StreamConfig } from '../../server/stream/stream-config.ts'
import { bareDraft } from './drafts.ts'

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

/** Declares and stores what a hub would refuse today. */
const maxBytes = DEFAULT_MAX_BYTES.disk

class EarlierHub {
  private readonly broker: EmbeddedBroker

  constructor(broker: EmbeddedBroker) {
    this.broker = broker
  }

  async declareStream(name: string, topics: string[]): Promise<void> {
    await this.broker.declareStream({ ...StreamConfig.parse({ name: 'any', topics }), maxBytes, name }, true)
  }

  async declareQueue(name: string, topics: string[]): Promise<void> {
    const bindings = topics.map((topic) => ({ topic }))
    await this.broker.declareQueue({ ...QueueConfig.parse({ name: 'any', bindings }), maxBytes, name }, true)
  }

  /** Stores a message whose data is this text of JSON. */
  async keep(topic: string, json: string, place: { streams?: string[]; queues?: string[] }): Promise<void> {
    const { streams = [], queues = [] } = place
    await new Promise<void>((resolve, refused) => {
      const draft = { id: 'of-earlier', topic, route: { streams, queues }, rest: `,"data":${json}` }
      this.broker.publish(bareDraft({ ...draft, kept: () => resolve(), refused }))
    })
  }

  /** Takes a message of a queue, and rejects it. */
  async reject(queue: string): Promise<void> {
    const [delivery] = (await this.broker.lease(queue, 1, 1e9)) as [Delivery]
    await new Promise<void>((resolve, refused) => {
      const ending = { kind: 'reject', error: 'no' } as const
      const { id, seq } = delivery
      const answers = { settled: resolve, refused, unknown: refused }
      this.broker.settle({ queue, delivery: id, seq, ending, drafts: [], ...answers })
    })
  }
}
