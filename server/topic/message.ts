import type { MessageHeaders, PublishFrame } from '../../shared/frames.ts'
import { RawJson } from '../../shared/raw-json.ts'
import type { Offsets } from '../../shared/streams.ts'
import type { Encoded } from './encoded.ts'

/** The parts of a message that decide who gets it. */
interface Addressed {
  readonly topic: string
  readonly key?: string | undefined
  readonly headers?: MessageHeaders | undefined
  readonly expiresAt?: number | undefined
}

/** A message on its way through the hub. Immutable, and encoded once, however many subscribers it has. */
export class Message {
  readonly id: string
  readonly topic: string
  readonly words: readonly string[]
  readonly key: string | undefined
  readonly headers: MessageHeaders | undefined
  readonly expiresAt: number | undefined
  /** Its offsets in the streams that captured it. */
  readonly offsets: Offsets | undefined
  readonly wire: Encoded
  /** Increases with every message of the hub. Recipients use it to tell whether they have this message already. */
  readonly stamp: number

  constructor(
    addressed: Addressed,
    id: string,
    words: readonly string[],
    stamp: number,
    wire: Encoded,
    offsets?: Offsets,
  ) {
    this.id = id
    this.topic = addressed.topic
    this.words = words
    this.key = addressed.key
    this.headers = addressed.headers
    this.expiresAt = addressed.expiresAt
    this.offsets = offsets
    this.stamp = stamp
    this.wire = wire
  }
}

/** Encodes the fields of a publish that become part of the message unchanged. */
export function encodeRest({ key, headers, expiresAt, data }: PublishFrame): string {
  let json = ''
  if (key !== undefined) json += `,"key":${JSON.stringify(key)}`
  if (headers !== undefined) json += `,"headers":${JSON.stringify(headers)}`
  if (expiresAt !== undefined) json += `,"expiresAt":${expiresAt}`
  if (data instanceof RawJson) return `${json},"data":${data.text}`
  // Data of the hub itself, which is not raw JSON of a publisher.
  return data === undefined || data instanceof Uint8Array ? json : `${json},"data":${JSON.stringify(data)}`
}
