import type { HeaderFilter, Policy } from '../shared/frames.ts'
import type { From } from '../shared/streams.ts'
import type { Gap, Message } from './message.ts'

/** How a topic or pattern is subscribed. */
export interface SubscribeOptions {
  /** What the hub does when messages come faster than they are read: `drop-oldest` by default, `pause` on a stream. */
  readonly policy?: Policy
  /** Only messages whose headers pass. */
  readonly filter?: HeaderFilter
  /**
   * Messages that may wait here before the hub is asked to hold back: 1000 by default. With `conflate` only the newest of each topic
   * and key waits.
   */
  readonly bufferLimit?: number
  /** Called in order, right before the first message after the gap. */
  readonly onGap?: (gap: Gap) => void
  /** Where it starts, on the stream that captures the pattern; from then on nothing is missed or comes twice. */
  readonly from?: From
  /** The stream, if several capture the pattern. */
  readonly stream?: string
  /**
   * Name under which the hub keeps the position: the next subscription with this name continues there. What has been
   * handled is committed once a second and on close, so that after a crash some messages come again.
   *
   * With a handler a message is handled when it has returned, or its promise has resolved; a handler that fails stops the
   * cursor before its message, for as long as this subscription lasts: it and all later messages come again to the next one.
   * With `for await` a message is handled when the loop asks for the next one; the one at which it ends by `break`,
   * `return` or `throw`, which look alike from here, comes again.
   */
  readonly cursor?: string
  /** Called after a reconnection: with `recovered`, nothing is missing; without, a gap follows if that is known. */
  readonly onResubscribed?: (event: { readonly recovered: boolean }) => void
  /** Ends the subscription. */
  readonly signal?: AbortSignal
}

/**
 * Gets each message in order; while a returned promise is pending the next ones wait. What it throws or rejects with is
 * thrown as an uncaught exception, and the next message follows; see `cursor` for what comes again.
 */
export type Handler<Data> = (message: Message<Data>) => void | Promise<void>
