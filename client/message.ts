import type { GapReason, MessageFrame, MessageHeaders } from '../shared/frames.ts'
import { fieldOf, itemsOf } from '../shared/json-text.ts'
import type { DeadLetter } from '../shared/queues.ts'
import type { Offsets } from '../shared/streams.ts'
import type { Raw } from './received.ts'

/** A message as the application gets it. `data` is JSON as it was parsed, or a `Uint8Array`. */
export interface Message<Data = unknown> {
  /** The publisher's own id, or a generated one. */
  readonly id: string
  readonly topic: string
  /** Opaque; present in queues, for publishers with a subject. Messages of one topic with the same id and different scopes are different messages. */
  readonly scope?: string
  readonly data: Data
  /**
   * `data` as the JSON text that its publisher sent, if it is JSON: for numbers that a double cannot hold, and for signatures. It is extracted
   * on demand, and is not enumerable.
   *
   * @example
   * ```
   * client.subscribe('payments.#', ({ raw, headers }) => verify(raw, headers?.signature))
   * ```
   */
  readonly raw?: string | undefined
  /** Conflation, last values and the groups of a queue use it. */
  readonly key?: string
  readonly headers?: MessageHeaders
  /** Its offset in each stream that captured it. */
  readonly offsets?: Offsets
  /** Milliseconds since 1970, if a stream or a queue keeps the message. */
  readonly publishedAt?: number
  /** Milliseconds since 1970. From then on the message is not delivered. */
  readonly expiresAt?: number
}

/** Messages that did not reach a subscription, reported in the place where they are missing. */
export interface SubscriptionGap {
  /** How many, if that is known: not for the time without a connection. On a stream it is an upper bound. */
  readonly count: number | undefined
  /** Ids of the first and the last missing message. */
  readonly from?: string | undefined
  readonly to?: string | undefined
  /** On a stream, offsets of the first and the last missing message. */
  readonly offsets?: { readonly from: number; readonly to: number } | undefined
  /** The hub's reason; `client-buffer`: the buffer of this client was full; `disconnected`: the connection was lost. */
  readonly reason: GapReason | 'client-buffer' | 'disconnected'
}

/** A received message, with only the fields that it has. Copies of it have no `raw`. */
export class ReceivedMessage implements Message {
  declare readonly id: string
  declare readonly topic: string
  declare readonly scope?: string
  declare readonly data: unknown
  declare readonly key?: string
  declare readonly headers?: MessageHeaders
  declare readonly offsets?: Offsets
  declare readonly publishedAt?: number
  declare readonly expiresAt?: number
  readonly #raw: () => string | undefined

  /** Written by hand, because it is the hot path. */
  constructor(frame: Omit<MessageFrame, 'type'>, raw: () => string | undefined) {
    const { scope, key, headers, offsets, publishedAt, expiresAt } = frame
    this.id = frame.id
    this.topic = frame.topic
    if (scope !== undefined) this.scope = scope
    this.data = frame.data
    if (key !== undefined) this.key = key
    if (headers !== undefined) this.headers = headers
    if (offsets !== undefined) this.offsets = offsets
    if (publishedAt !== undefined) this.publishedAt = publishedAt
    if (expiresAt !== undefined) this.expiresAt = expiresAt
    this.#raw = raw
  }

  get raw(): string | undefined {
    return this.#raw()
  }

  /** Another one that may be changed without changing this. */
  copy(): ReceivedMessage {
    return new ReceivedMessage(copyOf({ ...this }), this.#raw)
  }
}

/** The object with a property `raw` that is computed on demand. Copies of the object do not have it. */
export function withRaw<Value extends object>(value: Value, raw: () => string | undefined): Value {
  return Object.defineProperty(value, 'raw', { get: raw })
}

/** Gives the messages of dead letters the text of their data. `raw` returns the text of their frame. */
export function addTexts(letters: readonly DeadLetter[], raw: Raw): void {
  let texts: readonly string[] | undefined
  for (const [n, { message }] of letters.entries()) {
    withRaw(message, () => {
      texts ??= itemsOf(raw('result') ?? '')
      return fieldOf(fieldOf(texts[n] ?? '', 'message') ?? '', 'data')
    })
  }
}

/** JSON or bytes that may be changed without changing what they were copied from. */
function copyOf<Value>(value: Value): Value {
  return copy(value) as Value
}

function copy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return value.slice()
  if (Array.isArray(value)) return value.map(copy)
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, copy(each)]))
}
