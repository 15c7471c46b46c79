import { afterAll, describe } from 'vitest'
import type { Broker, Delivery, Draft, Ending, Kept } from '../../server/broker/broker.ts'
import { composedBytes } from '../../server/broker/compose.ts'
import { splitRecord } from '../../server/broker/rules/record.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { StreamOptions } from '../../shared/streams.ts'
import { BROKERS, type BrokerKind, brokerSuite } from './broker-kinds.ts'
import type { BrokerMaker, BrokerSettings, BrokerUnderTest } from './broker-under-test.ts'
import { bareDraft } from './drafts.ts'
import { inMemory, onLmdb } from './embedded.ts'
import { endRedis, onRedis } from './on-redis.ts'
import { range } from './streams.ts'

/** How each broker is opened: one more entry here, and in `broker-kinds.ts`, puts another one under all suites. */
const MAKERS: Readonly<Record<BrokerKind, BrokerMaker>> = {
  'in memory': inMemory,
  'on LMDB': onLmdb,
  'on Redis': onRedis,
}

export interface BrokerFactory {
  readonly isFast: boolean
  /** Runs of a model: many, or fewer if each commit takes its time. */
  runs(many: number): number
  /** Opens one that is closed after the suite, at the latest. */
  open(settings?: Partial<BrokerSettings>): Promise<BrokerUnderTest>
}

export const DEDUP_WINDOW_MS = 60_000

/** Share of a model's runs on a broker whose commits take their time. */
const SLOW_SHARE = 0.1

/** Runs a suite on every broker. */
export function onEveryBroker(name: string, suite: (brokers: BrokerFactory) => void): void {
  for (const broker of BROKERS) {
    describe(brokerSuite(broker, name), () => {
      afterAll(endRedis)
      suite(factory(MAKERS[broker]))
    })
  }
}

function factory({ isFast, open }: BrokerMaker): BrokerFactory {
  const opened = new Set<BrokerUnderTest>()
  afterAll(() => Promise.all([...opened].map((each) => each.close())))
  return {
    isFast,
    runs: (many) => (isFast ? many : Math.ceil(many * SLOW_SHARE)),
    async open(more = {}) {
      const underTest = await open({ dedupWindowMs: DEDUP_WINDOW_MS, dedupIds: 1000, ...more })
      opened.add(underTest)
      const { close } = underTest
      underTest.close = () => {
        opened.delete(underTest)
        return close.call(underTest)
      }
      return underTest
    },
  }
}

// Drafts and leases

/** Leases from a queue; by default, all that is ready. */
export async function leaseFrom(broker: Broker, queue = 'q', count = 100): Promise<readonly Delivery[]> {
  return broker.lease(queue, count, 1e9)
}

/** Ends a lease, and publishes with it; rejects if that is refused. */
export function settleAt(
  broker: Broker,
  { id, seq }: { readonly id: Delivery['id'] | undefined; readonly seq: number },
  ending: Ending,
  { queue = 'q', drafts = [] }: { readonly queue?: string; readonly drafts?: readonly Draft[] } = {},
): Promise<void> {
  return new Promise((settled, refused: (error: FanfareError) => void) => {
    broker.settle({ queue, delivery: id, seq, ending, drafts, settled, refused, unknown: refused })
  })
}

export interface Publish {
  readonly topic: string
  readonly data?: unknown
  readonly streams?: readonly string[]
  readonly queues?: readonly string[]
  readonly priority?: number | undefined
  readonly dueAt?: number | undefined
  readonly owner?: object
  readonly publisher?: string | undefined
  readonly id?: string
  readonly key?: string | undefined
  readonly expiresAt?: number | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** An id that the hub has made: no second message with it is a duplicate. */
  readonly hubId?: string
  /** It was published before. */
  readonly isRetry?: boolean
}

export function streamOptions(more: Partial<StreamOptions> = {}): StreamOptions {
  return {
    name: 's',
    topics: ['#'],
    maxAgeMs: 1_000_000_000,
    maxBytes: 1_000_000_000,
    lastValue: false,
    durability: 'os',
    ...more,
  }
}

/** The result that a publisher gets. */
type Answers = Pick<Draft, 'kept' | 'refused'>

/** A draft as the hub would make it: bytes as a record, everything else as text. */
export function draftOf(broker: Broker, publish: Publish, { kept, refused }: Answers): Draft {
  const { publisher = 'p', owner = broker, topic, data, streams = ['s'], queues = [], id, hubId, headers } = publish
  const { key, expiresAt, priority, dueAt, isRetry = false } = publish
  const rest = headers ? `,"headers":${JSON.stringify(headers)}` : ''
  return bareDraft({
    owner,
    publisher,
    id: id ?? hubId ?? 'made-by-the-hub',
    ownId: id !== undefined,
    isRetry,
    topic,
    key,
    expiresAt,
    route: { generation: broker.generation, streams, queues },
    priority,
    dueAt,
    ...(data instanceof Uint8Array ? { rest, payload: data } : { rest: `${rest},"data":${JSON.stringify(data)}` }),
    kept,
    refused,
  })
}

/** What a draft takes in a queue, at a time and with offsets of as many digits as these. */
export function bytesInQueue(draft: Draft): number {
  const offsets = Object.fromEntries(draft.route.streams.map((name) => [name, 100]))
  return composedBytes(draft, { publishedAt: 1_000_000, offsets, scope: undefined })
}

export function publishTo(broker: Broker, publish: Publish): Promise<Kept> {
  return new Promise((kept, refused: (error: FanfareError) => void) => {
    broker.publish(draftOf(broker, publish, { kept, refused }))
  })
}

/** A message as a reader finds it. */
export interface Stored {
  readonly offset: number
  readonly topic: string
  readonly data: unknown
}

/** Everything that a stream shows from an offset on. */
export async function readAll(broker: Broker, stream: string, from?: number): Promise<Stored[]> {
  const stored: Stored[] = []
  let offset = from ?? broker.stream(stream)?.first ?? 0
  for (;;) {
    const block = await broker.read(stream, offset)
    if (!block) return stored
    for (let at = block.find(offset); at < block.count; at++) {
      if (block.isHidden(at)) continue
      const [found, topic, wire] = [block.offset(at), block.topics[block.topicAt(at)] as string, block.wire(at)]
      stored.push({
        offset: found,
        topic,
        data: typeof wire === 'string' ? JSON.parse(wire).data : splitRecord(wire).payload,
      })
    }
    offset = block.lastOffset + 1
  }
}

/** What a stream shows, without offsets and topics. */
export async function dataOf(broker: Broker, stream = 's'): Promise<unknown[]> {
  return (await readAll(broker, stream)).map(({ data }) => data)
}

/** A broker with the stream `s`, which captures all topics. */
export async function withStream(
  brokers: BrokerFactory,
  options: Partial<StreamOptions> = {},
  more: Partial<BrokerSettings> = {},
): Promise<BrokerUnderTest> {
  const underTest = await brokers.open(more)
  await underTest.broker.declareStream(streamOptions(options), false)
  return underTest
}

/** Publishes numbers on one topic, all in one turn and so in one group. */
export function publishNumbers(broker: Broker, from: number, to: number, topic = 't'): Promise<Kept[]> {
  return Promise.all(range(from, to).map((n) => publishTo(broker, { topic, data: n })))
}
