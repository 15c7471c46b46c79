import type { GapReason, Headers, MessageFrame } from '../shared/frames.ts'
import type { Offsets } from '../shared/streams.ts'

/** A message as the application gets it. `data` is JSON as it was parsed, or a `Uint8Array`. */
export interface Message<Data = unknown> {
  /** The publisher's own, or one that was made for it. */
  readonly id: string
  readonly topic: string
  /** In a queue, of publishers with a subject: opaque. Messages of one topic with the same id and other scopes are others. */
  readonly scope?: string
  readonly data: Data
  /** What conflation, last values and a queue's groups go by. */
  readonly key?: string
  readonly headers?: Headers
  /** In each stream that captured it. */
  readonly offsets?: Offsets
  /** Milliseconds since 1970, where a stream or a queue keeps it. */
  readonly publishedAt?: number
  /** Milliseconds since 1970; from then on it is delivered to nobody. */
  readonly expiresAt?: number
}

/** Messages that did not reach a subscription, at the very place where they are missing. */
export interface Gap {
  /** How many, where that is known: nobody counts while the connection is cut. On a stream an upper bound. */
  readonly count: number | undefined
  /** Ids of the first and the last that are missing. */
  readonly from?: string | undefined
  readonly to?: string | undefined
  /** Offsets of the first and the last that are missing, of a stream. */
  readonly offsets?: { readonly from: number; readonly to: number } | undefined
  /** The hub's reason; or `client-buffer`: this client's own; or `disconnected`: the connection was cut. */
  readonly reason: GapReason | 'client-buffer' | 'disconnected'
}

/** The message without the frame's type. */
export function messageOf({ type: _, ...message }: MessageFrame): Message {
  return 'data' in message ? (message as Message) : { ...message, data: undefined }
}

/** JSON or bytes that may be changed without changing what they were copied from. */
export function copyOf<Value>(value: Value): Value {
  return copy(value) as Value
}

function copy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return value.slice()
  if (Array.isArray(value)) return value.map(copy)
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, copy(each)]))
}
