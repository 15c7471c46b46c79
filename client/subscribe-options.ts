import type { FanfareError } from '../shared/fanfare-error.ts'
import { CURSOR, FILTER, FROM, NAME, POLICY } from '../shared/field-rules.ts'
import type { HeaderFilter, SlowPolicy } from '../shared/frames.ts'
import { isFields } from '../shared/rules.ts'
import type { StartAt } from '../shared/streams.ts'
import type { Instant } from '../shared/time.ts'
import type { Message, SubscriptionGap } from './message.ts'
import { COUNT, FUNCTION, type Rules, SIGNAL } from './options.ts'

/** How a topic or pattern is subscribed. */
export interface SubscribeOptions {
  /** What the hub does when messages come faster than they are read: `drop-oldest` by default, `pause` on a stream. */
  readonly policy?: SlowPolicy | undefined
  /** Only messages whose headers pass. */
  readonly filter?: HeaderFilter | undefined
  /**
   * Messages that may wait here before the hub is asked to hold back: 1000 by default. With `conflate` only the newest of each topic
   * and key waits.
   */
  readonly bufferLimit?: number | undefined
  /** Called in order, right before the first message after the gap. */
  readonly onGap?: ((gap: SubscriptionGap) => void) | undefined
  /** Where it starts, on the stream that captures the pattern; from then on nothing is missed or comes twice. */
  readonly from?: StartAt | { readonly time: Instant } | undefined
  /** The stream, if several capture the pattern. */
  readonly stream?: string | undefined
  /**
   * Name under which the hub keeps the position: the next subscription with this name continues there. What has been
   * handled is committed once a second and on close, so that after a crash some messages come again.
   *
   * With a handler a message is handled when it has returned, or what it returned has been awaited, or `onError` has skipped it.
   * A handler that fails without `onError` ends the subscription before its message: it and all later messages come to the next one.
   * With `for await` a message is handled when the loop asks for the next one; the one at which it ends by `break`,
   * `return` or `throw`, which look alike from here, comes again.
   */
  readonly cursor?: string | undefined
  /**
   * Told what went wrong: a handler that failed, with its message, and the end of the subscription if it was not asked for (such as
   * `forbidden`, after the token was renewed with fewer permissions), without a message.
   *
   * Of a message that failed it decides what happens, and is awaited: `'retry'` has it handled again after a wait (the client's
   * `backoff`), before any later one; everything else skips it. To set a message aside, publish it to another topic or queue here.
   * If it throws itself, its error is treated as the handler's is without `onError`; see {@link MessageHandler}.
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
   * Called when the hub refuses the subscription for now, once until it is back: a rate limit, or a stream that was deleted or that a
   * hub without its memory does not have. The client asks again and again; `onResubscribed` is called when it succeeds.
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
   * Called after a reconnection or an interruption: with `recovered`, nothing is missing; without, a gap follows if that is known.
   * If its stream was declared again, it goes on at the start of the new log, after a gap with the reason `epoch`.
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

/** What becomes of a message whose handler has failed: handled again, or skipped. */
export type OnSubscriptionError = (
  error: unknown,
  message?: Message,
  event?: { /** 1 for the first. */ readonly attempt: number },
) => unknown

/**
 * Gets each message in order. What it returns is awaited, if it is a promise or anything else with a `then`, before the next one.
 *
 * An error that it throws or rejects with goes to `onError`. Without that it is thrown as an uncaught exception; then the next message
 * follows, but with a `cursor` the subscription ends, and commits first what was handled before.
 */
export type MessageHandler<Data> = (message: Message<Data>) => unknown

/** A copy: they are used at every connection, and the caller may do what it likes with its own. */
export function ownSubscribeOptions(options: SubscribeOptions): SubscribeOptions {
  const { from, filter } = options
  return {
    ...options,
    from: startOf(from) as StartAt,
    filter: copied(filter, (headers) => copied(headers)) as HeaderFilter,
  }
}

/** As frames have it: a time is milliseconds since 1970. */
function startOf(from: unknown): unknown {
  const copy = copied(from)
  return isFields(copy) && copy['time'] instanceof Date ? { ...copy, time: copy['time'].getTime() } : copy
}

function copied(value: unknown, each: (field: unknown) => unknown = (field) => field): unknown {
  if (!isFields(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, each(field)]))
}
