import { FanfareError } from '../shared/fanfare-error.ts'
import type { AckFrame, DeliveryFrame, MessageHeaders, NackFrame, RejectFrame } from '../shared/frames.ts'
import { MAX_ERROR } from '../shared/queue-rules.ts'
import { LIST, TEXT } from '../shared/rules.ts'
import type { Offsets } from '../shared/streams.ts'
import { textOf } from '../shared/thrown.ts'
import type { Duration } from '../shared/time.ts'
import type { Message } from './message.ts'
import { ANY, checkArgument, checkOptions, DELAY, msOf, type Rules, wholeMs } from './options.ts'
import { framed, PUBLISH_RULES, type PublishOptions } from './publisher.ts'

/** A publish in the same step as an ack: both happen, or neither. */
export interface AckPublish extends Omit<PublishOptions, 'signal'> {
  readonly topic: string
  /** Anything that JSON can express. Bytes are refused with `bad_data`: publish them on their own, before the ack. */
  readonly data?: unknown | undefined
}

/** Options of `delivery.ack`. */
interface AckOptions {
  readonly publish?: readonly AckPublish[] | undefined
}

/** Options of `delivery.nack`. */
interface NackOptions {
  readonly delay?: Duration | undefined
  readonly error?: unknown | undefined
}

const ACK_RULES: Rules<AckOptions> = { publish: LIST }
const NACK_RULES: Rules<NackOptions> = { delay: DELAY, error: ANY }
const { signal: _, ...DRAFT_OPTIONS } = PUBLISH_RULES
const DRAFT_RULES: Rules<AckPublish> = { topic: TEXT, data: ANY, ...DRAFT_OPTIONS }

type Numbers = 'consumer' | 'delivery'
/** How a delivery ends, without the numbers that its consumer adds. */
export type End = Omit<AckFrame, Numbers> | Omit<NackFrame, Numbers> | Omit<RejectFrame, Numbers>

/** What a delivery needs from its consumer. */
export interface DeliveryHost {
  readonly queue: string
  /** The headers of a publish that goes with an ack, if they differ. */
  headers(headers: MessageHeaders | undefined): { readonly headers?: MessageHeaders | undefined } | undefined
  /** Resolves when the hub has confirmed it. `cuts`: those before it came. */
  settle(delivery: number, cuts: number, end: End): Promise<void>
  extend(delivery: number, cuts: number, ms: number): void
}

/**
 * A message of a queue, leased to this consumer. End it with `ack`, `nack` or `reject`; otherwise its lease expires and the
 * message goes to another consumer. All three resolve when the hub has the result on disk. They reject with `lease_lost` if
 * the lease had expired, the delivery was already settled or its connection was lost, and with `connection_lost` if the
 * connection was lost before the hub confirmed it: it may or may not have happened. After `storage_full` and
 * `storage_failed` it has not happened, and may be tried again; after `outcome_unknown` the hub cannot tell.
 */
export class Delivery<Data = unknown> {
  readonly message: Message<Data>
  /** 1 for the first. */
  readonly attempt: number
  /** Why the previous attempt failed. */
  readonly lastError: string | undefined
  /** @internal */
  readonly number: number
  readonly #host: DeliveryHost
  readonly #cuts: number
  #settling: Promise<void> | undefined
  #aborting: AbortController | undefined
  #reason: FanfareError | undefined

  /** @internal */
  constructor({ delivery, attempt, error }: DeliveryFrame, message: Message<Data>, host: DeliveryHost, cuts: number) {
    this.number = delivery
    this.attempt = attempt
    this.lastError = error
    this.message = message
    this.#host = host
    this.#cuts = cuts
  }

  /** The id of the message; the same at each attempt. */
  get id(): string {
    return this.message.id
  }

  /** The topic that it was published on; `$queue.<name>` if it was enqueued directly. */
  get topic(): string {
    return this.message.topic
  }

  /** The queue that it came from. */
  get queue(): string {
    return this.#host.queue
  }

  /** The message's scope, if it has one: it distinguishes messages of one topic and id from different publishers. */
  get scope(): string | undefined {
    return this.message.scope
  }

  /** What conflation, last values and a queue's groups go by. */
  get key(): string | undefined {
    return this.message.key
  }

  /** Headers of the message. */
  get headers(): MessageHeaders | undefined {
    return this.message.headers
  }

  /** Its offset in each stream that captured it. */
  get offsets(): Offsets | undefined {
    return this.message.offsets
  }

  /** When it was published, in milliseconds since 1970. */
  get publishedAt(): number | undefined {
    return this.message.publishedAt
  }

  /** From then on it is not delivered, in milliseconds since 1970. */
  get expiresAt(): number | undefined {
    return this.message.expiresAt
  }

  /** The payload: JSON as it was parsed, or a `Uint8Array`. */
  get data(): Data {
    return this.message.data
  }

  /** The payload as the JSON text that its publisher sent, if it is JSON: see {@link Message.raw}. */
  get raw(): string | undefined {
    return this.message.raw
  }

  /**
   * Aborts when going on is pointless: the lease or the connection was lost, `maxRunTime` is over, or the client has closed
   * without waiting any longer. Pass it to whatever the handler awaits.
   */
  get signal(): AbortSignal {
    // Created on demand: most handlers never read it.
    this.#aborting ??= new AbortController()
    if (this.#reason) this.#aborting.abort(this.#reason)
    return this.#aborting.signal
  }

  /** @internal */
  abort(reason: FanfareError): void {
    this.#reason ??= reason
    this.#aborting?.abort(this.#reason)
  }

  /** Whether `ack`, `nack` or `reject` was called. */
  get settled(): boolean {
    return this.#settling !== undefined
  }

  /**
   * Completes the delivery. With `publish`, up to a thousand messages are published in the same step: all of it happens, or
   * nothing. Also rejects with the errors of a publish: `bad_topic`, `no_queue`, `queue_limit`, `frame_too_large`, and with `bad_option`.
   */
  ack(options: AckOptions = {}): Promise<void> {
    return this.#settle(() => {
      checkOptions('ack', options, ACK_RULES)
      const publish = options.publish?.map((each) => {
        checkOptions('ack, publish', each, DRAFT_RULES)
        return { ...framed(each), ...this.#host.headers(each.headers) }
      })
      // Undefined fields vanish in JSON.
      return { type: 'ack', publish } as End
    })
  }

  /**
   * Fails the attempt: the message is redelivered after `delay`, or after the queue's own backoff, until its attempts are used up. Also
   * rejects with `bad_option`.
   */
  nack(options: NackOptions = {}): Promise<void> {
    return this.#settle(() => {
      checkOptions('nack', options, NACK_RULES)
      const { delay, error } = options
      return { type: 'nack', delayMs: wholeMs(delay), error: errorText(error) } as End
    })
  }

  /** Moves the message to the dead letters at once. */
  reject(error?: unknown): Promise<void> {
    return this.#settle(() => ({ type: 'reject', error: errorText(error) }) as End)
  }

  /**
   * Extends the lease, counted from now. A running handler gets this automatically.
   *
   * @throws {FanfareError} bad_option: it is not a duration
   */
  extend(duration: Duration): void {
    checkArgument('extend', 'duration', duration, DELAY)
    // Too late after an end, and its refusal would be taken for the end's.
    if (!this.settled) this.#host.extend(this.number, this.#cuts, Math.ceil(msOf(duration)))
  }

  /** `end` throws what is wrong with the options: then nothing has been asked for. */
  #settle(end: () => End): Promise<void> {
    if (this.#settling) return Promise.reject(new FanfareError('lease_lost', 'This delivery is already settled.'))
    let settling: Promise<void>
    try {
      settling = this.#host.settle(this.number, this.#cuts, end())
    } catch (error) {
      return Promise.reject(error)
    }
    this.#settling = settling.catch((error: unknown) => {
      // Refused for another reason, such as a full queue: the lease goes on, and may be ended otherwise.
      if (!isLost(error)) this.#settling = undefined
      throw error
    })
    return this.#settling
  }
}

/** Whether a lease is gone, so that the message is redelivered. */
export function isLost(error: unknown): boolean {
  return error instanceof FanfareError && (error.code === 'lease_lost' || error.code === 'connection_lost')
}

/** The beginning of a stack has the message and the place: the end is cut. */
function errorText(error: unknown): string | undefined {
  return error === undefined ? undefined : textOf(error, 'stack').slice(0, MAX_ERROR)
}
