import { CONTENT_FRAMES } from '../shared/content-frames.ts'
import type { FanfareError } from '../shared/fanfare-error.ts'
import type { Delivery } from './delivery.ts'
import { COUNT, FUNCTION, type Rules, SIGNAL } from './options.ts'

/** How a queue is consumed. */
export interface ConsumeOptions {
  /**
   * Asynchronous handlers that run at once. More than one gives up the order of messages without a key.
   *
   * @default 1
   */
  readonly concurrency?: number
  /**
   * Deliveries that may be unsettled, running ones included. Those that wait here cost no attempt: they go to other consumers that have
   * nothing to do, and back to the queue when this one ends.
   *
   * @default twice the concurrency, and at least 16
   */
  readonly prefetch?: number
  /** Time from the begin of a delivery until it goes to another consumer, in milliseconds; the queue's own by default. It is extended while a handler runs. */
  readonly ackDeadlineMs?: number
  /**
   * Maximum time that an asynchronous handler may take, in milliseconds. Then the delivery's `signal` aborts, the delivery is nacked with
   * `handler_timeout`, and its place is free. `Infinity` for no limit.
   *
   * @default an hour
   */
  readonly maxRunTimeMs?: number
  /**
   * Called with everything that a handler throws, with a delivery that could not be settled after its handler (`lease_lost`: it may be
   * handled again), and without a delivery when the consumer ends without your doing. Without it a lost lease is a warning on the console,
   * and everything else that nothing else reports is thrown.
   */
  readonly onError?: (error: unknown, delivery?: Delivery) => void
  /** Called when the hub has no deliveries for the consumer for now (`no_queue`, `rate_limited`): it is tried again until that passes. */
  readonly onInterrupted?: (error: FanfareError) => void
  /** Called when an interruption is over. */
  readonly onResumed?: () => void
  /** Ends the consumer. */
  readonly signal?: AbortSignal
}

/** @internal */
export const CONSUME_RULES: Rules<ConsumeOptions> = {
  concurrency: COUNT,
  prefetch: CONTENT_FRAMES.consume.prefetch,
  ackDeadlineMs: CONTENT_FRAMES.consume.ackDeadlineMs,
  maxRunTimeMs: ['a number of milliseconds above 0', (value) => typeof value === 'number' && value > 0],
  onError: FUNCTION,
  onInterrupted: FUNCTION,
  onResumed: FUNCTION,
  signal: SIGNAL,
}

/** Handles a delivery: its return acks, a throw nacks with the error, unless it has settled the delivery itself. */
export type DeliveryHandler<Data> = (delivery: Delivery<Data>) => unknown

const MAX_RUN_TIME_MS = 3_600_000

/** The options with their defaults. */
export function completed(options: ConsumeOptions) {
  const { concurrency = 1, maxRunTimeMs = MAX_RUN_TIME_MS } = options
  return { ...options, concurrency, maxRunTimeMs, prefetch: options.prefetch ?? Math.max(16, 2 * concurrency) }
}
