import { Buffer } from 'node:buffer'
import type { Draft } from '../broker.ts'
import { Identities } from '../rules/identity.ts'
import { valueName } from '../rules/last-value.ts'
import type { Argument } from './link.ts'
import { encodeRecord } from './record.ts'
import type { StreamMirror } from './stream-mirror.ts'
import type { Op } from './writer.ts'

/** Bytes after which a segment ends, and with it a block. */
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
  readonly drafts: EncodedDraft[]
  bytes: number
}

export interface IdLimits {
  readonly windowMs: number
  readonly limit: number
}

/** Makes the op `publish`. */
export class PublishOps {
  private readonly identities = new Identities()
  private readonly ids: IdLimits

  constructor(ids: IdLimits) {
    this.ids = ids
  }

  encode(draft: Draft): EncodedDraft {
    return { draft, record: encodeRecord(draft), identity: draft.ownId ? this.identities.of(draft) : undefined }
  }

  /** The drafts keep their order. `streams`: those that there are. */
  op(drafts: readonly EncodedDraft[], generation: number, streams: ReadonlyMap<string, StreamMirror>): Op {
    const identities: string[] = []
    const places: number[] = []
    const segments = inSegments(drafts, streams)
    for (const [index, { drafts: inIt }] of segments.entries()) {
      for (const [at, { identity }] of inIt.entries()) {
        if (identity === undefined) continue
        identities.push(identity)
        places.push(index + 1, at)
      }
    }
    const { windowMs, limit } = this.ids
    const head = [generation, windowMs, limit, identities.length, ...identities, ...places, segments.length]
    return { name: 'publish', args: [...head, ...segments.flatMap(argsOf)] }
  }
}

function inSegments(drafts: readonly EncodedDraft[], all: ReadonlyMap<string, StreamMirror>): Segment[] {
  const segments: Segment[] = []
  let route: readonly string[] | undefined
  let segment: Segment | undefined
  for (const encoded of drafts) {
    const { streams: names } = encoded.draft.route
    if (!segment || !isSame(names, route) || segment.bytes >= SEGMENT_BYTES) {
      route = names
      segment = { streams: names.flatMap((name) => all.get(name) ?? []), drafts: [], bytes: 0 }
      segments.push(segment)
    }
    segment.drafts.push(encoded)
    segment.bytes += encoded.record.length
  }
  return segments
}

function isSame(a: readonly string[], b: readonly string[] | undefined): boolean {
  return a === b || (a.length === b?.length && a.every((name, at) => name === b[at]))
}

/** How many, their streams, the newest place of each topic, the names of their values if any stream wants them, and their records. */
function argsOf({ streams, drafts }: Segment): Argument[] {
  const topics = new Map<string, number>()
  if (streams.length > 0) for (const [at, { draft }] of drafts.entries()) topics.set(draft.topic, at)
  const wantsValues = streams.some(({ options }) => options.lastValue)
  const values = wantsValues ? drafts.map(({ draft: { topic, key } }) => valueName(topic, key)) : []
  const numbers = streams.map(({ number }) => number)
  const records = Buffer.concat(drafts.map(({ record }) => record))
  return [
    drafts.length,
    numbers.length,
    ...numbers,
    topics.size,
    ...[...topics].flat(),
    values.length,
    ...values,
    records,
  ]
}
