import { FORBIDDEN_KEY } from '../../shared/forbidden-keys.ts'
import type { Headers, PublishFrame } from '../../shared/frames.ts'
import { RawJson } from '../../shared/raw-json.ts'
import type { Offsets } from '../../shared/streams.ts'
import { Encoded } from './encoded.ts'

/** Where and when a message was kept. */
export interface Kept {
  readonly offsets: Offsets
  readonly publishedAt: number
  readonly scope?: string | undefined
}

/** A message on its way through the hub. Immutable, and encoded once however many subscribers it has. */
export class Message {
  readonly id: string
  readonly topic: string
  readonly words: readonly string[]
  readonly key: string | undefined
  readonly headers: Headers | undefined
  readonly expiresAt: number | undefined
  /** In the streams that captured it. */
  readonly offsets: Offsets | undefined
  readonly wire: Encoded
  /** Grows with every message of the hub. A recipient tells by it whether it has this message already. */
  readonly stamp: number

  /** `rest` is what `encodeRest` made of the frame. */
  constructor(frame: PublishFrame, id: string, words: readonly string[], stamp: number, rest: string, kept?: Kept) {
    this.id = id
    this.topic = frame.topic
    this.words = words
    this.key = frame.key
    this.headers = frame.headers
    this.expiresAt = frame.expiresAt
    this.offsets = kept?.offsets
    this.stamp = stamp
    const { data, key, headers } = frame
    const json = `${encodeHead(id, frame.topic, kept)}${rest}}`
    const isAscii = data instanceof RawJson && data.isAscii && key === undefined && headers === undefined
    this.wire = new Encoded(json, data instanceof Uint8Array ? data : undefined, id, isAscii)
  }
}

/** The fields that the hub gives a message. By hand, because it is the hot path: id and topic hold nothing that JSON escapes. */
export function encodeHead(id: string, topic: string, kept: Kept | undefined): string {
  let json = `{"type":"message","id":"${id}","topic":"${topic}"`
  if (kept?.scope !== undefined) json += `,"scope":"${kept.scope}"`
  if (kept) json += `${offsetsField(kept.offsets)},"publishedAt":${kept.publishedAt}`
  return json
}

/** Nothing where no stream has it; names of streams hold nothing that JSON escapes. */
function offsetsField(offsets: Offsets): string {
  let json = ''
  for (const name in offsets) {
    // An earlier hub may have declared a stream of that name.
    if (name !== FORBIDDEN_KEY) json += `${json === '' ? ',"offsets":{' : ','}"${name}":${offsets[name]}`
  }
  return json === '' ? '' : `${json}}`
}

/** The fields of a publish that go into the message as they are. */
export function encodeRest({ key, headers, expiresAt, data }: PublishFrame): string {
  let json = ''
  if (key !== undefined) json += `,"key":${JSON.stringify(key)}`
  if (headers !== undefined) json += `,"headers":${JSON.stringify(headers)}`
  if (expiresAt !== undefined) json += `,"expiresAt":${expiresAt}`
  if (data instanceof RawJson) return `${json},"data":${data.text}`
  // What is no publisher's: the hub's own.
  return data === undefined || data instanceof Uint8Array ? json : `${json},"data":${JSON.stringify(data)}`
}
