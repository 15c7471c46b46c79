import type { FanfareError } from '../shared/fanfare-error.ts'
import { PREFETCH } from '../shared/queue-rules.ts'
import { DURATION_WORDS, type Duration, durationMs } from '../shared/time.ts'
import type { Delivery } from './delivery.ts'
import { COUNT, FUNCTION, msOf, type Rules, SIGNAL, WAIT } from './options.ts'

/** How a queue is consumed. */
export interface ConsumeOptions {
  /**
   * Asynchronous handlers that run at once. More than one gives up the order of messages without a key.
   *
   * @default 1
   */
  readonly concurrency?: number | undefined
  /**
   * Deliveries that may be unsettled, running ones included. Those that wait here cost no attempt: they go to other consumers that have
   * nothing to do, and back to the queue when this one ends.
   *
   * @default twice the concurrency, and at least 16
   */
  readonly prefetch?: number | undefined
  /**
   * Time from the begin of a delivery until it goes to another consumer. It is extended while a handler runs.
   *
   * @default the queue's own
   */
  readonly ackDeadline?: Duration | undefined
  /**
   * Maximum time that an asynchronous handler may take. Then the delivery's `signal` aborts, the delivery is nacked with
   * `handler_timeout`, and its place is free. `Infinity` for no limit.
   *
   * @default '1h'
   */
  readonly maxRunTime?: Duration | undefined
  /**
   * Called with everything that a handler throws, with a delivery that could not be settled after its handler (`lease_lost`: it may be
   * handled again), and without a delivery when the consumer ends without your doing. Without it a lost lease is a warning on the console,
   * and everything else that nothing else reports is thrown.
   */
  readonly onError?: ((error: unknown, delivery?: Delivery) => void) | undefined
  /** Called when the hub has no deliveries for the consumer for now (`no_queue`, `rate_limited`): it is tried again until that passes. */
  readonly onInterrupted?: ((error: FanfareError) => void) | undefined
  /** Called when an interruption is over. */
  readonly onResumed?: (() => void) | undefined
  /** Ends the consumer. */
  readonly signal?: AbortSignal | undefined
}

/** @internal */
export const CONSUME_RULES: Rules<ConsumeOptions> = {
  concurrency: COUNT,
  prefetch: PREFETCH,
  ackDeadline: WAIT,
  maxRunTime: [
    `a duration above 0, or Infinity: ${DURATION_WORDS}`,
    (value) => value === Number.POSITIVE_INFINITY || (durationMs(value) ?? 0) > 0,
  ],
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
  const { concurrency = 1, maxRunTime = MAX_RUN_TIME_MS } = options
  const maxRunTimeMs = maxRunTime === Number.POSITIVE_INFINITY ? maxRunTime : msOf(maxRunTime)
  return { ...options, concurrency, maxRunTimeMs, prefetch: options.prefetch ?? Math.max(16, 2 * concurrency) }
}
