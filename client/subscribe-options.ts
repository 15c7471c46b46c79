import type { FanfareError } from '../shared/fanfare-error.ts'
import { CURSOR, FILTER, FROM, NAME, POLICY } from '../shared/field-rules.ts'
import type { HeaderFilter, SlowPolicy } from '../shared/frames.ts'
import { isFields } from '../shared/rules.ts'
import type { StartAt } from '../shared/streams.ts'
import type { Instant } from '../shared/time.ts'
import type { Message, SubscriptionGap } from './message.ts'
import { COUNT, FUNCTION, INSTANT, type Rules, SIGNAL, timeOf } from './options.ts'

/** Options of `client.subscribe`. */
export interface SubscribeOptions {
  /** What the hub does when messages arrive faster than they are read: `drop-oldest` by default, `pause` on a stream. */
  readonly policy?: SlowPolicy | undefined
  /** Only messages whose headers match are delivered. */
  readonly filter?: HeaderFilter | undefined
  /**
   * Messages that may wait here before the hub is asked to pause. With `conflate` only the newest message of each topic
   * and key waits.
   *
   * @default 1000
   */
  readonly bufferLimit?: number | undefined
  /** Called in order, right before the first message after the gap. */
  readonly onGap?: ((gap: SubscriptionGap) => void) | undefined
  /** Where it starts, on the stream that captures the pattern. From there on nothing is missed or delivered twice. */
  readonly from?: StartAt | { readonly time: Instant } | undefined
  /** The stream, if several capture the pattern. */
  readonly stream?: string | undefined
  /**
   * Name under which the hub stores the position: the next subscription with this name continues there. The position of the last handled
   * message is committed once a second and on close, so that after a crash some messages are delivered again.
   *
   * With a handler, a message is handled when the handler has returned and its promise has resolved, or when `onError` has skipped it.
   * A handler that fails without `onError` ends the subscription before its message: the next subscription gets that message and all later ones.
   * With `for await`, a message is handled when the loop asks for the next one. The message at which it ends by `break`,
   * `return` or `throw`, which the client cannot tell apart, is delivered again.
   */
  readonly cursor?: string | undefined
  /**
   * Called with errors: of a handler, with its message, and without a message when the subscription has ended and not by your program (such as
   * `forbidden`, after the token was renewed with fewer permissions).
   *
   * It is awaited, and its result decides what happens to a message that failed: `'retry'` handles it again after a wait (the client's
   * `backoff`), before any later one; anything else skips it. To set a message aside, publish it to another topic or queue here.
   * If `onError` throws, its error is treated like an error of a handler without `onError`; see {@link MessageHandler}.
   *
   * @example
   * ```ts
   * client.subscribe('orders.#', bill, {
   *   cursor: 'bills',
   *   async onError(error, message, { attempt = 0 } = {}) {
   *     if (!message) return console.error('The subscription has ended.', error)
   *     if (attempt < 3) return 'retry'
   *     await client.enqueue('failed-bills', message.data)
   *   },
   * })
   * ```
   */
  readonly onError?: OnSubscriptionError | undefined
  /**
   * Called when the hub refuses the subscription for now, once until it is back: because of a rate limit, or because its stream was deleted
   * or is missing on a hub that has lost its memory. The client keeps trying; `onResubscribed` is called when it succeeds.
   *
   * @example
   * ```ts
   * client.subscribe('orders.#', show, {
   *   from: 'earliest',
   *   onInterrupted: ({ code }) => console.warn('No orders for now:', code),
   *   onResubscribed: () => console.warn('Orders again'),
   * })
   * ```
   */
  readonly onInterrupted?: ((error: FanfareError) => void) | undefined
  /**
   * Called after a reconnection or an interruption. With `recovered`, nothing is missing; otherwise a gap follows if one is known.
   * If its stream was declared again, the subscription continues at the start of the new log, after a gap with the reason `epoch`.
   */
  readonly onResubscribed?: ((event: { readonly recovered: boolean }) => void) | undefined
  /** Ends the subscription. */
  readonly signal?: AbortSignal | undefined
}

const [startWords, isStart] = FROM

/** @internal */
export const SUBSCRIBE_RULES: Rules<SubscribeOptions> = {
  policy: POLICY,
  filter: FILTER,
  bufferLimit: COUNT,
  onGap: FUNCTION,
  from: [startWords, (value) => isStart(startOf(value))],
  stream: NAME,
  cursor: CURSOR,
  onResubscribed: FUNCTION,
  onInterrupted: FUNCTION,
  onError: FUNCTION,
  signal: SIGNAL,
}

/** Decides what happens to a message whose handler has failed: `'retry'` handles it again, anything else skips it. */
export type OnSubscriptionError = (
  error: unknown,
  message?: Message,
  event?: { /** 1 for the first. */ readonly attempt: number },
) => unknown

/**
 * Gets each message in order. A promise (or anything else with a `then`) that it returns is awaited before the next message.
 *
 * An error that it throws or rejects with goes to `onError`. Without `onError` it becomes an uncaught exception. Then the next message
 * follows, but with a `cursor` the subscription ends after committing what was handled before.
 */
export type MessageHandler<Data> = (message: Message<Data>) => unknown

/** A copy: the options are used at every connection, and the caller may change its own object. */
export function ownSubscribeOptions(options: SubscribeOptions): SubscribeOptions {
  const { from, filter } = options
  return {
    ...options,
    from: startOf(from) as StartAt,
    filter: copied(filter, (headers) => copied(headers)) as HeaderFilter,
  }
}

/** A start in the form of frames: a time is whole milliseconds since 1970. */
function startOf(from: unknown): unknown {
  const copy = copied(from)
  return isFields(copy) && INSTANT[1](copy['time']) ? { ...copy, time: timeOf(copy['time'] as Instant) } : copy
}

function copied(value: unknown, each: (field: unknown) => unknown = (field) => field): unknown {
  if (!isFields(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, each(field)]))
}
