import { decodeBinary } from '../shared/codec.ts'
import { HEADERS, ID, KEY, PRIORITY } from '../shared/field-rules.ts'
import type { MessageHeaders, PublishFrame, ReceiptFrame } from '../shared/frames.ts'
import type { Position } from '../shared/streams.ts'
import type { Duration, Instant } from '../shared/time.ts'
import { parseTopic } from '../shared/topic.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Encoded, Line, Question } from './line.ts'
import { DELAY, INSTANT, type Rules, SIGNAL, timeOf, wholeMs } from './options.ts'
import { randomId } from './random-id.ts'

/** Options of `client.publish` and `client.enqueue`. */
export interface PublishOptions {
  /** Conflation, last values and the groups of a queue use it. At most 255 characters. */
  readonly key?: string | undefined
  /** At most 32. Filters and bindings match them. */
  readonly headers?: MessageHeaders | undefined
  /** The message is not delivered after this time: a `Date`, or milliseconds since 1970. */
  readonly expiresAt?: Instant | undefined
  /**
   * For queues: 0 to 9, higher priorities first.
   *
   * @default 4
   */
  readonly priority?: number | undefined
  /** For queues: the message is not delivered before this time has passed. At most a year. */
  readonly delay?: Duration | undefined
  /** For queues: the message is not delivered before this time: a `Date`, or milliseconds since 1970. `delay` takes precedence. */
  readonly deliverAt?: Instant | undefined
  /**
   * 1 to 64 letters, digits and `_ . : ~ -`; generated if it is missing. Streams and queues store one message per id,
   * within two minutes by default. An id belongs to one publisher (the authenticated subject; all anonymous clients are one
   * publisher) and one destination (the topic published to, or the queue enqueued to): the same id of another subject, on
   * another topic or queue, or after everything it went to has been deleted or purged, is another message.
   */
  readonly id?: string | undefined
  /** Withdraws the publish while it waits to be sent, and stops waiting for the receipt. */
  readonly signal?: AbortSignal | undefined
}

/** @internal */
export const PUBLISH_RULES: Rules<PublishOptions> = {
  key: KEY,
  headers: HEADERS,
  expiresAt: INSTANT,
  priority: PRIORITY,
  delay: DELAY,
  deliverAt: INSTANT,
  id: ID,
  signal: SIGNAL,
}

/** What a publish resolves to. */
export interface Receipt {
  /** The id of the message. */
  readonly id: string
  /** A message with this id was stored before; the rest of the receipt is about that one. */
  readonly duplicate: boolean
  /** Its position in each stream that stores it. */
  readonly positions: Readonly<Record<string, Position>>
  /** Queues that it reached. Without a queue and a stream, the message only went to the current subscribers and is not stored. */
  readonly queues: readonly string[]
}

/** The options of a publish that has been checked, as its frame has them. Undefined fields vanish in JSON. */
export function framed<Options extends PublishOptions>({ delay, expiresAt, deliverAt, signal: _, ...fields }: Options) {
  return { ...fields, delayMs: wholeMs(delay), expiresAt: timeOf(expiresAt), deliverAt: timeOf(deliverAt) }
}

/** Publishes within the window that the hub grants. */
export class Publisher {
  readonly #line: Line
  // An id is a random prefix and a count: unique like a nanoid, at a fraction of its cost.
  readonly #idPrefix = `${randomId()}.`

  constructor(line: Line) {
    this.#line = line
  }

  publish(topic: string, data: unknown, options: PublishOptions): Promise<Receipt> {
    parseTopic(topic)
    const { signal } = options
    const fields = framed(options)
    const publish: Question<Receipt> = {
      encode: (seq) => {
        const { id = this.#idPrefix + seq.toString(36) } = fields
        // Encoded now: the caller may change the data afterwards. Undefined fields vanish in JSON.
        return encodeChecked({ type: 'publish', seq, topic, ...fields, id, data } as PublishFrame)
      },
      read: ({ id, duplicate = false, positions = {}, queues = [] }: ReceiptFrame) => ({
        id,
        duplicate,
        positions,
        queues,
      }),
      again: asRetry,
    }
    return this.#line.send(publish, { signal })
  }
}

function asRetry(frame: Encoded): Encoded {
  if (typeof frame === 'string') return `{"retry":true,${frame.slice(1)}`
  const [decoded] = decodeBinary(frame)
  return encodeChecked({ ...(decoded as PublishFrame), retry: true })
}
