import { MAX_ERROR } from '../shared/content-frames.ts'
import type { FanfareError } from '../shared/fanfare-error.ts'
import type { ErrorFrame, Headers, RequestFrame, RespondFrame } from '../shared/frames.ts'
import { textOf } from '../shared/thrown.ts'
import { parsePattern } from '../shared/topic.ts'
import type { Asked, Asking, NumberedFrame } from './asking.ts'
import { encodeChecked } from './encode-checked.ts'
import { FUNCTION, type Rules } from './options.ts'
import type { Session } from './session.ts'
import { Standing } from './standing.ts'
import { callBack } from './throw-later.ts'

/** Requests that a responder remembers after their replies: the hub may refuse a reply. */
const REMEMBERED_REQUESTS = 100

/** What a responder gets. */
export interface Request<Data = unknown> {
  readonly topic: string
  readonly data: Data
  readonly headers?: Headers
}

/**
 * Its return is the reply: JSON or bytes, or a promise of that. What it throws reaches the one who asked, as `responder_failed`, and so
 * does the reason why a reply cannot be sent.
 */
export type RequestHandler<Data, Reply> = (request: Request<Data>) => Reply | PromiseLike<Reply>

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
  readonly onError?: (error: unknown, request?: Request) => unknown
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
  readonly onInterrupted?: (error: FanfareError) => void
  /** Called when requests come again, after an interruption or a reconnection. */
  readonly onResumed?: () => void
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
}

interface OfferHost {
  readonly session: Session
  readonly asking: Asking
  /** Handlers that run, until their replies are written. */
  readonly running: Set<Promise<void>>
}

/** A responder at the hub. */
class Offer implements Asked {
  readonly number: number
  readonly frame: RespondFrame
  readonly standing: Standing
  readonly #handler: RequestHandler<unknown, unknown>
  readonly #options: RespondOptions
  readonly #host: OfferHost
  /** The last ones of this connection. */
  #replied: { readonly number: number; readonly request: Request }[] = []

  constructor(
    pattern: string,
    number: number,
    handler: RequestHandler<unknown, unknown>,
    options: RespondOptions,
    host: OfferHost,
  ) {
    parsePattern(pattern)
    this.number = number
    this.frame = { type: 'respond', sub: number, pattern }
    this.standing = new Standing(options, false)
    this.#handler = handler
    this.#options = options
    this.#host = host
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
    return this.#host.asking.stop(this, { type: 'unsubscribe', sub: this.number, finish: true })
  }

  #requested(frame: RequestFrame): void {
    const { running } = this.#host
    const done = this.#answer(frame)
    running.add(done)
    void done.finally(() => running.delete(done))
  }

  async #answer({ request: number, topic, data, headers }: RequestFrame): Promise<void> {
    const { session } = this.#host
    const { connection } = session
    const request = { topic, data, ...(headers && { headers }) }
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

/** What this client answers. */
export class Responders implements OfferHost {
  readonly session: Session
  readonly asking: Asking
  readonly running = new Set<Promise<void>>()

  constructor(asking: Asking) {
    this.session = asking.session
    this.asking = asking
  }

  add(pattern: string, number: number, handler: RequestHandler<unknown, unknown>, options: RespondOptions): Responder {
    const offer = new Offer(pattern, number, handler, options, this)
    const { standing } = offer
    this.asking.add(offer)
    let closing: Promise<void> | undefined
    const close = () => {
      standing.end()
      closing ??= this.asking.withdraw(offer)
      return closing
    }
    return { ready: standing.ready, ended: standing.ended, close }
  }

  /** Resolves when the requests that came have been answered. */
  async idle(): Promise<void> {
    while (this.running.size > 0) await Promise.allSettled(this.running)
  }
}
