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

/** A request as a responder gets it. */
export interface IncomingRequest<Data = unknown> {
  readonly topic: string
  readonly data: Data
  /** `data` as the JSON text that was sent, if it is JSON: see {@link Message.raw}. */
  readonly raw?: string | undefined
  readonly headers?: MessageHeaders
}

/**
 * Returns the reply: JSON or bytes, or a promise of that. What it throws reaches the requester as `responder_failed`, and so
 * does the reason why a reply cannot be sent.
 */
export type RequestHandler<Data, Reply> = (request: IncomingRequest<Data>) => Reply | PromiseLike<Reply>

/** Options of `client.respond`. */
export interface RespondOptions {
  /**
   * Called with errors. With a request: what the handler has thrown, or a reply that could not be sent (`bad_data`,
   * `nested_too_deeply`, `frame_too_large`); the requester has been notified in any case. Without a
   * request: the responder has ended, and not by your program. Without `onError` such an end is an uncaught exception.
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
   * Called when the hub refuses it for now, such as by a rate limit, once until it is back. The client keeps trying;
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

/** A registered responder. It is registered again after a reconnection. */
export interface Responder {
  /** Resolves once the hub sends requests, or the responder is closed. Rejects when the hub refuses it for good. */
  readonly ready: Promise<void>
  /**
   * Resolves when it was closed by `close()` or with the client. Rejects with the error that ended it otherwise. If nothing else listens
   * (`onError`, `ready` before it resolved), the error is also an uncaught exception.
   */
  readonly ended: Promise<void>
  /**
   * Ends it. The requesters of open requests get `responder_lost`. Each call resolves when the hub has ended it.
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
  /** The latest ones on this connection. */
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

  /** The hub has refused one reply. */
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

  /** Gets no more requests, and answers those that have arrived. */
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
      // A request ends with its connection, and on the next one its number may belong to another request.
      if (connection !== session.connection) return
      this.#replied.push({ number, request })
      if (this.#replied.length > REMEMBERED_REQUESTS) this.#replied.shift()
      session.write(encoded)
    }
    try {
      reply({ data: await this.#handler(request) })
    } catch (error) {
      // A character takes six bytes at most, and the frame has little else.
      // Without its stack, which is the business of the responder only.
      const words = error === undefined ? 'It failed' : textOf(error)
      reply({ error: words.slice(0, Math.min(MAX_ERROR, session.writer.limit / 8)) })
      callBack(() => this.#options.onError?.(error, request))
    }
  }
}
