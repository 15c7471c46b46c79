import { FanfareError } from '../../shared/errors.ts'
import type { Headers, PublishFrame } from '../../shared/frames.ts'
import { Encoded } from './encoded.ts'

/** A message on its way through the hub. Immutable, and encoded once however many subscribers it has. */
export class Message {
  readonly id: string
  readonly topic: string
  readonly words: readonly string[]
  readonly key: string | undefined
  readonly headers: Headers | undefined
  readonly wire: Encoded
  /** Grows with every message of the hub. A recipient tells by it whether it has this message already. */
  readonly stamp: number

  constructor(frame: PublishFrame, id: string, words: readonly string[], stamp: number) {
    this.id = id
    this.topic = frame.topic
    this.words = words
    this.key = frame.key
    this.headers = frame.headers
    this.wire = encode(frame, id)
    this.stamp = stamp
  }
}

function encode(frame: PublishFrame, id: string): Encoded {
  // By hand, because it is the hot path: id and topic hold nothing that JSON escapes, their grammars say so.
  let json = `{"type":"message","id":"${id}","topic":"${frame.topic}"`
  if (frame.key !== undefined) json += `,"key":${JSON.stringify(frame.key)}`
  if (frame.headers !== undefined) json += `,"headers":${JSON.stringify(frame.headers)}`
  const { data } = frame
  if (data === undefined) return new Encoded(`${json}}`, undefined, id)
  if (data instanceof Uint8Array) return new Encoded(`${json}}`, data, id)
  return new Encoded(`${json},"data":${stringify(data)}}`, undefined, id)
}

function stringify(data: unknown): string {
  try {
    return JSON.stringify(data)
  } catch (error) {
    // JSON.parse takes any depth, JSON.stringify overflows the stack at some thousand levels.
    if (error instanceof RangeError) throw new FanfareError('bad_frame', 'The data is nested too deeply')
    throw error
  }
}
