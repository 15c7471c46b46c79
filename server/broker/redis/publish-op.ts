import { Buffer } from 'node:buffer'
import type { FanfareError } from '../../../shared/errors.ts'
import type { Draft, Route, Settlement } from '../broker.ts'
import { Identities } from '../rules/identity.ts'
import { valueName } from '../rules/last-value.ts'
import type { ClusterTime } from './cluster-time.ts'
import type { CommitLog } from './commit-log.ts'
import { BATCH_BYTES, BATCH_MESSAGES } from './costs.ts'
import type { Argument } from './link.ts'
import type { QueueMirror } from './queue-mirror.ts'
import { attributesOf, bytesInQueue, isPlain } from './queue-record.ts'
import { encodeRecord } from './record.ts'
import type { StreamMirror } from './stream-mirror.ts'
import type { Op } from './writer.ts'

/** Bytes after which a segment ends, and with it a block, if it makes no batch in a queue. */
const SEGMENT_BYTES = 64 * 1024

/** A draft in the form in which it is sent. */
export interface EncodedDraft {
  readonly draft: Draft
  readonly record: Buffer
  /** Undefined: the id is the hub's own. */
  readonly identity: string | undefined
}

/** Consecutive drafts that the same streams capture. */
interface Segment {
  readonly streams: readonly StreamMirror[]
  readonly queues: readonly QueueMirror[]
  readonly drafts: EncodedDraft[]
  bytes: number
  /** All of them are plain, and make a batch in each queue. */
  isPlain: boolean
}

/** An ack that publishes: its ending, the place of its first draft among those of the op, and how many it has. */
export interface EncodedAck {
  readonly fields: readonly Argument[]
  readonly first: number
  readonly count: number
}

/** An ending that publishes as well, for the op `publish`. */
export interface PublishingAck {
  readonly settlement: Settlement
  /** As `q.ending` in `lua/queues.ts` takes it. */
  readonly fields: readonly Argument[]
  settled(): void
  refused(error: FanfareError): void
}

export interface IdLimits {
  readonly windowMs: number
  readonly limit: number
}

/** Makes the op `publish`. */
export class PublishOps {
  private readonly identities = new Identities()
  private readonly ids: IdLimits
  private readonly time: ClusterTime

  constructor(ids: IdLimits, time: ClusterTime) {
    this.ids = ids
    this.time = time
  }

  encode(draft: Draft): EncodedDraft {
    return { draft, record: encodeRecord(draft), identity: draft.ownId ? this.identities.of(draft) : undefined }
  }

  /** The drafts keep their order. `streams`: those that there are. */
  op(
    drafts: readonly EncodedDraft[],
    acks: readonly EncodedAck[],
    generation: number,
    { streams, queues }: Pick<CommitLog, 'streams' | 'queues'>,
  ): Op {
    const segments = inSegments(drafts, streams, queues)
    const { windowMs, limit } = this.ids
    const head = [generation, windowMs, limit, segments.length]
    const ends = acks.flatMap(({ fields, first, count }) => [...fields, first, count])
    return { name: 'publish', args: [...head, ...segments.flatMap((each) => this.argsOf(each)), acks.length, ...ends] }
  }

  /** What a draft takes in a queue. */
  bytesInQueue(draft: Draft, streams: ReadonlyMap<string, StreamMirror>): number {
    const identity = draft.ownId ? this.identities.of(draft) : undefined
    return bytesInQueue(draft, identity, offsetsOf(those(draft.route.streams, streams)), this.time.now())
  }

  /**
   * How many, their streams, the newest place of each topic, the names of their values if any stream wants them; their queues, and if there are any, how much
   * they take there in all, whether all of them are plain, so that they make a batch, and the attributes of all; their ids; and their records.
   */
  private argsOf({ streams, queues, drafts, isPlain }: Segment): Argument[] {
    const topics = new Map<string, number>()
    if (streams.length > 0) for (const [at, { draft }] of drafts.entries()) topics.set(draft.topic, at)
    const wantsValues = streams.some(({ options }) => options.lastValue)
    const values = wantsValues ? drafts.map(({ draft: { topic, key } }) => valueName(topic, key)) : []
    const numbers = streams.map(({ number }) => number)
    const head = [
      drafts.length,
      numbers.length,
      ...numbers,
      topics.size,
      ...[...topics].flat(),
      values.length,
      ...values,
    ]
    const records = Buffer.concat(drafts.map(({ record }) => record))
    return [...head, ...this.queueArgs(streams, queues, drafts, isPlain), identitiesOf(drafts), records]
  }

  private queueArgs(
    streams: readonly StreamMirror[],
    queues: readonly QueueMirror[],
    drafts: readonly EncodedDraft[],
    isPlain: boolean,
  ): Argument[] {
    if (queues.length === 0) return [0]
    const offsets = offsetsOf(streams)
    const now = this.time.now()
    let sum = 0
    const attributes = drafts.map(({ draft, record, identity }) => {
      const bytes = bytesInQueue(draft, identity, offsets, now)
      sum += bytes
      return attributesOf(draft, bytes, record.length, this.time)
    })
    return [queues.length, ...queues.map(({ number }) => number), sum, isPlain ? 1 : 0, Buffer.concat(attributes)]
  }
}

/** A line each, which is empty for an id of the hub; nothing if all are. As arguments of their own they would cost Redis more than what it does with them. */
function identitiesOf(drafts: readonly EncodedDraft[]): string {
  if (drafts.every(({ identity }) => identity === undefined)) return ''
  return drafts.map(({ identity = '' }) => `${identity}\n`).join('')
}

/** About those that the next message gets. */
function offsetsOf(streams: readonly StreamMirror[]): Record<string, number> {
  // By names that others chose: without a prototype.
  const offsets: Record<string, number> = Object.create(null)
  for (const { options, next } of streams) offsets[options.name] = next
  return offsets
}

function inSegments(
  drafts: readonly EncodedDraft[],
  all: ReadonlyMap<string, StreamMirror>,
  allQueues: ReadonlyMap<string, QueueMirror>,
): Segment[] {
  const segments: Segment[] = []
  let route: Route | undefined
  let segment: Segment | undefined
  for (const encoded of drafts) {
    const { streams, queues } = encoded.draft.route
    const isSame = areSame(streams, route?.streams) && areSame(queues, route?.queues)
    if (!segment || !isSame || isFull(segment)) {
      route = encoded.draft.route
      segment = { streams: those(streams, all), queues: those(queues, allQueues), drafts: [], bytes: 0, isPlain: true }
      segments.push(segment)
    }
    segment.drafts.push(encoded)
    segment.bytes += encoded.record.length
    segment.isPlain &&= isPlain(encoded.draft)
  }
  return segments
}

function isFull({ queues, drafts, bytes, isPlain }: Segment): boolean {
  if (queues.length === 0 || !isPlain) return bytes >= SEGMENT_BYTES
  return bytes >= BATCH_BYTES || drafts.length >= BATCH_MESSAGES
}

function those<Mirror>(names: readonly string[], all: ReadonlyMap<string, Mirror>): Mirror[] {
  return names.flatMap((name) => all.get(name) ?? [])
}

function areSame(a: readonly string[], b: readonly string[] | undefined): boolean {
  return a === b || (a.length === b?.length && a.every((name, at) => name === b[at]))
}
