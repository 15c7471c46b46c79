import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, describe } from 'vitest'
import { bytesInBody } from '../../server/broker/block.ts'
import type { Broker, Draft, Kept } from '../../server/broker/broker.ts'
import { EmbeddedBroker, type EmbeddedOptions } from '../../server/broker/embedded/embedded-broker.ts'
import { under } from '../../server/broker/embedded/store/keys.ts'
import { LmdbStore } from '../../server/broker/embedded/store/lmdb-store.ts'
import { MemoryStore } from '../../server/broker/embedded/store/memory-store.ts'
import type { Change, Key, Purpose, Range, Snapshot, Store } from '../../server/broker/embedded/store/store.ts'
import { realClock } from '../../shared/clock.ts'
import type { FanfareError } from '../../shared/errors.ts'
import type { Offsets, StreamOptions } from '../../shared/streams.ts'
import { range } from './streams.ts'

/** A broker, and the world around it. */
export interface BrokerUnderTest {
  readonly broker: Broker
  /** What it takes for the time, in milliseconds since 1970. */
  readonly clock: { now: number }
  /** From now on nothing can be stored, for this reason; or again can. */
  failWith(error: Error | undefined): void
  /** How many records are stored. */
  records(): number
  /** Closes it, and opens another one on the same data. Only where data outlive a broker. */
  reopen(): Promise<void>
}

export interface BrokerFactory {
  /** Whether data outlive a broker. */
  readonly keeps: boolean
  open(options?: Partial<EmbeddedOptions>): Promise<BrokerUnderTest>
}

export const DEDUP_WINDOW_MS = 60_000

/** Runs the contract suite on every broker; each that was opened is closed after it. */
export function onEveryBroker(name: string, suite: (brokers: BrokerFactory) => void): void {
  describe(`${name} in memory`, () => suite(factory(false, async () => new MemoryStore())))
  describe(`${name} on LMDB`, () => {
    const directories: string[] = []
    const keeping = factory(true, (directory) => LmdbStore.open(directory), directories)
    suite(keeping)
    afterAll(() => Promise.all(directories.map((directory) => rm(directory, { recursive: true }))))
  })
}

function factory(
  keeps: boolean,
  openStore: (directory: string) => Promise<Store>,
  directories: string[] = [],
): BrokerFactory {
  const opened: BrokerUnderTest[] = []
  afterAll(() => Promise.all(opened.map(({ broker }) => broker.close())))
  return {
    keeps,
    async open(more = {}) {
      const directory = keeps ? await mkdtemp(join(tmpdir(), 'fanfare-broker-')) : ''
      if (keeps) directories.push(directory)
      const clock = { now: 1_000_000 }
      const start = async () => {
        const store = new FragileStore(await openStore(directory))
        const options = {
          dedupWindowMs: DEDUP_WINDOW_MS,
          dedupIds: 1000,
          clock: { ...realClock, now: () => clock.now },
          ...more,
        }
        return { store, broker: new EmbeddedBroker(store, options, pino({ enabled: false })) }
      }
      let { store, broker } = await start()
      const underTest = {
        clock,
        get broker() {
          return broker
        },
        failWith(error: Error | undefined) {
          store.failsWith = error
        },
        records: () => [...store.range(under())].length,
        async reopen() {
          await broker.close()
          ;({ store, broker } = await start())
        },
      }
      opened.push(underTest)
      return underTest
    },
  }
}

/** A store that can be made to fail. */
class FragileStore implements Store {
  failsWith: Error | undefined = undefined
  private readonly store: Store

  constructor(store: Store) {
    this.store = store
  }

  get failure(): string | undefined {
    return this.store.failure
  }

  get commitBytes(): number {
    return this.store.commitBytes
  }

  get(key: Key): Uint8Array | undefined {
    return this.store.get(key)
  }

  range(range: Range): Iterable<readonly [Key, Uint8Array]> {
    return this.store.range(range)
  }

  snapshot(): Snapshot {
    return this.store.snapshot()
  }

  keys(range: Omit<Range, 'reverse'>): Iterable<Key> {
    return this.store.keys(range)
  }

  commit(changes: readonly Change[], purpose: Purpose): Promise<void> {
    return this.failsWith ? Promise.reject(this.failsWith) : this.store.commit(changes, purpose)
  }

  close(): Promise<void> {
    return this.store.close()
  }
}

export interface Publish {
  readonly topic: string
  readonly data: unknown
  readonly streams?: readonly string[]
  readonly queues?: readonly string[]
  readonly priority?: number
  readonly dueAt?: number
  readonly owner?: object
  readonly publisher?: string
  readonly id?: string
  readonly key?: string
  readonly expiresAt?: number
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

/** Publishes to a broker as the hub would: bytes as a record, everything else as text. */
export function publishTo(
  broker: Broker,
  {
    publisher = 'p',
    owner = broker,
    topic,
    data,
    streams = ['s'],
    queues = [],
    id,
    key,
    expiresAt,
    priority,
    dueAt,
  }: Publish,
): Promise<Kept> {
  return new Promise((resolve, reject: (error: FanfareError) => void) => {
    const encode = (publishedAt: number, offsets: Offsets) =>
      data instanceof Uint8Array ? data : JSON.stringify({ topic, offsets, publishedAt, data })
    const draft: Draft = {
      owner,
      publisher,
      bytes: 100,
      id: id ?? 'made-by-the-hub',
      ownId: id !== undefined,
      topic,
      key,
      expiresAt,
      streams,
      queues,
      priority,
      dueAt,
      bytesIn: (publishedAt, offsets) => bytesInBody(encode(publishedAt, offsets)),
      encode,
      kept: resolve,
      refused: reject,
    }
    broker.publish(draft)
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
      const { offset: found, topic, wire } = block.entry(at)
      stored.push({ offset: found, topic, data: typeof wire === 'string' ? JSON.parse(wire).data : wire })
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
  more: Partial<EmbeddedOptions> = {},
): Promise<BrokerUnderTest> {
  const underTest = await brokers.open(more)
  await underTest.broker.declareStream(streamOptions(options), false)
  return underTest
}

/** Publishes numbers on one topic, all in one turn and so in one group. */
export function publishNumbers(broker: Broker, from: number, to: number, topic = 't'): Promise<Kept[]> {
  return Promise.all(range(from, to).map((n) => publishTo(broker, { topic, data: n })))
}
