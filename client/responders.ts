import { MAX_ERROR } from '../shared/content-frames.ts'
import { errorFrom, type FanfareError } from '../shared/fanfare-error.ts'
import type { ErrorFrame, Headers, RequestFrame } from '../shared/frames.ts'
import { RecentMap } from '../shared/recent-map.ts'
import { textOf } from '../shared/thrown.ts'
import { parsePattern } from '../shared/topic.ts'
import type { Asked, Asking } from './asking.ts'
import { encodeChecked } from './encode-checked.ts'
import { withRaw } from './message.ts'
import { FUNCTION, type Rules } from './options.ts'
import type { Raw } from './received.ts'
import type { Session } from './session.ts'
import { Standing } from './standing.ts'
import { callBack, throwLater } from './throw-later.ts'

/** Requests that are remembered after their replies, at most twice as many: the hub may refuse a reply. */
const REMEMBERED_REQUESTS = 100

/** What a responder gets. */
export interface Request<Data = unknown> {
  readonly topic: string
  readonly data: Data
  /** `data` as the JSON text that was sent, if it is JSON: see {@link Message.raw}. */
  readonly raw?: string | undefined
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

interface Offer extends Asked {
  readonly handler: RequestHandler<unknown, unknown>
  readonly options: RespondOptions
}

/** What this client answers. */
export class Responders {
  readonly #session: Session
  readonly #asking: Asking
  readonly #nextNumber: () => number
  readonly #offers = new Map<number, Offer>()
  /** Of this connection. */
  #replied = new RecentMap<number, Request>(REMEMBERED_REQUESTS)
  /** Counts connections: a request ends with its own, and on the next its number may be another's. */
  #connection = 0
  /** Handlers that run, until their replies are written. */
  readonly #running = new Set<Promise<void>>()

  constructor(session: Session, asking: Asking, nextNumber: () => number) {
    this.#session = session
    this.#asking = asking
    this.#nextNumber = nextNumber
  }

  respond(pattern: string, handler: RequestHandler<unknown, unknown>, options: RespondOptions): Responder {
    parsePattern(pattern)
    const number = this.#nextNumber()
    const standing = new Standing(options, false)
    const offer: Offer = { number, frame: { type: 'respond', sub: number, pattern }, standing, handler, options }
    this.#offers.set(number, offer)
    this.#asking.ask(offer)
    const { ready, ended } = standing
    let closing: Promise<void> | undefined
    const close = () => {
      standing.end()
      closing ??= this.#offers.delete(number) ? this.#asking.withdraw(offer) : Promise.resolve()
      return closing
    }
    return { ready, ended, close }
  }

  askAll(): void {
    for (const offer of this.#offers.values()) this.#asking.ask(offer)
  }

  /** False: this is no offer's number. */
  confirmed(sub: number): boolean {
    const offer = this.#offers.get(sub)
    if (!offer) return false
    const { standing, options } = offer
    if (standing.wasReady) callBack(() => options.onResumed?.())
    this.#asking.confirmed(offer)
    return true
  }

  requested(frame: RequestFrame, raw: Raw): void {
    const done = this.#answer(frame, raw)
    this.#running.add(done)
    void done.finally(() => this.#running.delete(done))
  }

  /** Gets no more requests. Resolves when those that came have been answered. */
  async finish(): Promise<void> {
    const finished = [...this.#offers.values()].map((offer) =>
      this.#asking.withdraw(offer, { type: 'unsubscribe', sub: offer.number, finish: true }),
    )
    await Promise.all(finished)
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }

  async #answer({ sub, request, topic, data, headers }: RequestFrame, raw: Raw): Promise<void> {
    const offer = this.#offers.get(sub)
    if (!offer) return
    const connection = this.#connection
    const asked: Request = withRaw({ topic, data, ...(headers && { headers }) }, () => raw('data'))
    const reply = (words: { readonly data?: unknown; readonly error?: string }) => {
      const encoded = encodeChecked({ type: 'reply', request, ...words })
      this.#session.checkSize(encoded)
      if (connection !== this.#connection) return
      this.#replied.set(request, asked)
      this.#session.write(encoded)
    }
    try {
      reply({ data: await offer.handler(asked) })
    } catch (error) {
      // A character takes six bytes at most, and the frame has little else.
      // Without its stack: where it failed is for the responder's own eyes.
      const words = error === undefined ? 'It failed' : textOf(error)
      reply({ error: words.slice(0, Math.min(MAX_ERROR, this.#session.writer.limit / 8)) })
      callBack(() => offer.options.onError?.(error, asked))
    }
  }

  /** False: what was refused was no offer, and no reply to a request. */
  refused(frame: ErrorFrame): boolean {
    const { sub, request } = frame
    const offer = sub === undefined ? undefined : this.#offers.get(sub)
    const error = errorFrom(frame)
    // Of one reply: the offer goes on.
    if (request !== undefined) callBack(() => offer?.options.onError?.(error, this.#replied.get(request)))
    else if (offer && !this.#asking.retries(offer, frame)) {
      this.#offers.delete(offer.number)
      if (!offer.standing.over(error)) throwLater(error)
    }
    return request !== undefined || offer !== undefined
  }

  lost(): void {
    this.#connection++
    this.#replied = new RecentMap(REMEMBERED_REQUESTS)
  }

  /** The client is closed for good; without an error it closed itself. Returns those that nobody was told of. */
  endAll(error: FanfareError | undefined): number {
    const untold = [...this.#offers.values()].filter(({ standing }) => !standing.over(error))
    this.#offers.clear()
    return untold.length
  }
}
