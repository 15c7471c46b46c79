import { FanfareError } from '../shared/errors.ts'
import type { DeliveryFrame } from '../shared/frames.ts'
import type { Message } from './message.ts'
import type { PublishOptions } from './publisher.ts'

/** A publish that goes into the same step as an ack: all of it happens, or nothing. */
export interface AckPublish extends Omit<PublishOptions, 'signal'> {
  readonly topic: string
  readonly data?: unknown
}

/** What a delivery asks of the consumer that it came to. */
export interface DeliveryHost {
  /** Resolves when the hub has confirmed it. */
  settle(delivery: number, frame: object): Promise<void>
  extend(delivery: number, ms: number): void
}

/**
 * A message of a queue, on lease to this consumer. It ends in one of `ack`, `nack` and `reject`; without them its time
 * runs out and it goes to another consumer. All three reject with `lease_lost` where its time had run out already, and
 * with `connection_lost` where the connection went before the hub had confirmed it.
 */
export class Delivery<Data = unknown> {
  readonly message: Message<Data>
  /** 1 for the first. */
  readonly attempt: number
  /** What went wrong the last time. */
  readonly lastError: string | undefined
  /** @internal */
  readonly number: number
  private readonly host: DeliveryHost
  private settling: Promise<void> | undefined

  /** @internal */
  constructor({ delivery, attempt, error }: DeliveryFrame, message: Message<Data>, host: DeliveryHost) {
    this.number = delivery
    this.attempt = attempt
    this.lastError = error
    this.message = message
    this.host = host
  }

  get id(): string {
    return this.message.id
  }
  get topic(): string {
    return this.message.topic
  }
  get data(): Data {
    return this.message.data
  }

  /** Whether an end has been asked for. */
  get settled(): boolean {
    return this.settling !== undefined
  }

  /**
   * Done. With `publish`, those messages are published in the same step: all of it happens, or nothing; their data is
   * what JSON can say. Where the hub refuses a publish, the delivery is still held, and can be settled again.
   */
  ack(options: { readonly publish?: readonly AckPublish[] } = {}): Promise<void> {
    const { publish } = options
    if (publish?.some(({ data }) => data instanceof ArrayBuffer || ArrayBuffer.isView(data))) {
      return Promise.reject(new FanfareError('bad_frame', 'An ack cannot publish bytes'))
    }
    return this.settle({ type: 'ack', ...(publish && { publish }) })
  }

  /** Not done: comes again after `delayMs`, or after the queue's own wait, until its attempts are used up. */
  nack(options: { readonly delayMs?: number; readonly error?: unknown } = {}): Promise<void> {
    const { delayMs, error } = options
    return this.settle({ type: 'nack', delayMs, error: errorText(error) })
  }

  /** Not to be done: goes to the dead letters at once. */
  reject(error?: unknown): Promise<void> {
    return this.settle({ type: 'reject', error: errorText(error) })
  }

  /** Asks for more time, in milliseconds from now. A handler gets it by itself. */
  extend(ms: number): void {
    // Too late behind an end, and its refusal would be taken for the end's.
    if (!this.settled) this.host.extend(this.number, ms)
  }

  private settle(frame: object): Promise<void> {
    if (this.settling) return Promise.reject(new FanfareError('lease_lost', 'This delivery has been settled before'))
    const settling = this.host.settle(this.number, frame)
    this.settling = settling
    settling.catch((error: unknown) => {
      if (!isLost(error)) this.settling = undefined
    })
    return settling
  }
}

/** Whether the delivery is no longer this consumer's. */
export function isLost(error: unknown): boolean {
  return error instanceof FanfareError && (error.code === 'lease_lost' || error.code === 'connection_lost')
}

/** Longest error that the hub takes, in characters. */
const ERROR_LENGTH = 10_000

export function errorText(error: unknown): string | undefined {
  if (error === undefined) return undefined
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return text.slice(0, ERROR_LENGTH)
}
