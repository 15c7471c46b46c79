import type { FanfareError } from '../shared/fanfare-error.ts'
import type { ErrorFrame, MessageHeaders, RequestFrame, RespondFrame } from '../shared/frames.ts'
import { MAX_ERROR } from '../shared/queue-rules.ts'
import { textOf } from '../shared/thrown.ts'
import { patternWords } from '../shared/topic.ts'
import type { Asked, Asking, NumberedFrame } from './asking.ts'
import { encodeChecked } from './encode-checked.ts'
import { withRaw } from './message.ts'
import { FUNCTION, type Rules } from './options.ts'
import { Standing } from './standing.ts'
import { callBack } from './throw-later.ts'

/** Requests that a responder remembers after their replies: the hub may refuse a reply. */
const REMEMBERED_REQUESTS = 100

/** What a responder gets. */
export interface IncomingRequest<Data = unknown> {
  readonly topic: string
  readonly data: Data
  /** `data` as the JSON text that was sent, if it is JSON: see {@link Message.raw}. */
  readonly raw?: string | undefined
  readonly headers?: MessageHeaders
}

/**
 * Its return is the reply: JSON or bytes, or a promise of that. What it throws reaches the one who asked, as `responder_failed`, and so
 * does the reason why a reply cannot be sent.
 */
export type RequestHandler<Data, Reply> = (request: IncomingRequest<Data>) => Reply | PromiseLike<Reply>

/** How something is answered. */
export interface RespondOptions {
  /**
   * Told what went wrong: with its request, what the handler has thrown and a reply that could not be given (`bad_data`,
   * `nested_too_deeply`, `frame_too_large`, what JSON cannot encode), of which the one who asked has been told in any case; without a
   * request, the end of the responder if it was not asked for. Without it such an end is an uncaught exception.
   *
   * @example
   * ```ts
   * client.respond('sums', ({ data }) => add(data), {
   *   onError: (error, request) => console.error(request ? `No answer on ${request.topic}` : 'No more answers', error),
   * })
   * ```
   */
  readonly onError?: ((error: unknown, request?: IncomingRequest) => unknown) | undefined
  /**
   * Called when the hub refuses it for now, such as by a rate limit, once until it is back. The client asks again and again;
   * `onResumed` is called when it succeeds.
   *
   * @example
   * ```ts
   * client.respond('sums', add, {
   *   onInterrupted: ({ code }) => console.warn('No requests for now:', code),
   *   onResumed: () => console.warn('Requests again'),
   * })
   * ```
   */
  readonly onInterrupted?: ((error: FanfareError) => void) | undefined
  /** Called when requests come again, after an interruption or a reconnection. */
  readonly onResumed?: (() => void) | undefined
}

/** @internal */
export const RESPOND_RULES: Rules<RespondOptions> = { onError: FUNCTION, onInterrupted: FUNCTION, onResumed: FUNCTION }

/** An offer to answer; it is renewed by itself after a reconnection. */
export interface Responder {
  /** Resolves once requests come, or it is closed; rejects when the hub refuses it for good. */
  readonly ready: Promise<void>
  /**
   * Resolves when it was closed by `close()` or with the client. Rejects with the error that ended it otherwise; if nothing else listens
   * (`onError`, `ready` before it resolved), that is an uncaught exception as well.
   */
  readonly ended: Promise<void>
  /**
   * Gets no more requests; those that are open are answered to their askers as lost. Resolves when the hub has ended it, for each call.
   */
  close(): Promise<void>
  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** A responder at the hub. */
export class Offer implements Asked {
  readonly number: number
  readonly frame: RespondFrame
  readonly standing: Standing
  readonly #handler: RequestHandler<unknown, unknown>
  readonly #options: RespondOptions
  readonly #asking: Asking
  #closing: Promise<void> | undefined
  /** The last ones of this connection. */
  #replied: { readonly number: number; readonly request: IncomingRequest }[] = []

  constructor(pattern: string, handler: RequestHandler<unknown, unknown>, options: RespondOptions, asking: Asking) {
    patternWords(pattern)
    this.number = asking.session.nextNumber()
    this.frame = { type: 'respond', sub: this.number, pattern }
    this.standing = new Standing(options, false)
    this.#handler = handler
    this.#options = options
    this.#asking = asking
  }

  close(): Promise<void> {
    this.standing.end()
    this.#closing ??= this.#asking.withdraw(this)
    return this.#closing
  }

  received(frame: NumberedFrame): void {
    if (frame.type === 'request') this.#requested(frame)
    else if (frame.type === 'subscribed' && this.standing.wasReady) callBack(() => this.#options.onResumed?.())
  }

  /** Of one reply. */
  refused({ request }: ErrorFrame, error: FanfareError): void {
    const replied = this.#replied.find(({ number }) => number === request)
    callBack(() => this.#options.onError?.(error, replied?.request))
  }

  lost(): void {
    this.#replied = []
  }

  end(error: FanfareError | undefined): boolean {
    return this.standing.over(error)
  }

  /** Gets no more requests; those that have come are still to be answered. */
  finish(): Promise<void> {
    return this.#asking.stop(this, { type: 'unsubscribe', sub: this.number, finish: true })
  }

  #requested(frame: RequestFrame): void {
    const { answering } = this.#asking
    const done = this.#answer(frame)
    answering.add(done)
    void done.finally(() => answering.delete(done))
  }

  async #answer({ request: number, topic, data, headers }: RequestFrame): Promise<void> {
    const { session } = this.#asking
    const { connection, raw } = session
    const request: IncomingRequest = withRaw({ topic, data, ...(headers && { headers }) }, () => raw('data'))
    const reply = (words: { readonly data?: unknown; readonly error?: string }) => {
      const encoded = encodeChecked({ type: 'reply', request: number, ...words })
      session.checkSize(encoded)
      // A request ends with its connection, and on the next one its number may be another's.
      if (connection !== session.connection) return
      this.#replied.push({ number, request })
      if (this.#replied.length > REMEMBERED_REQUESTS) this.#replied.shift()
      session.write(encoded)
    }
    try {
      reply({ data: await this.#handler(request) })
    } catch (error) {
      // A character takes six bytes at most, and the frame has little else.
      // Without its stack: where it failed is for the responder's own eyes.
      const words = error === undefined ? 'It failed' : textOf(error)
      reply({ error: words.slice(0, Math.min(MAX_ERROR, session.writer.limit / 8)) })
      callBack(() => this.#options.onError?.(error, request))
    }
  }
}
