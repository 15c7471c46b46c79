import { encodeFrame } from '../shared/codec.ts'
import { errorFrom, FanfareError } from '../shared/fanfare-error.ts'
import type { AnswerFrame, AskFrame, ErrorFrame, Headers, ReplyFrame, RequestFrame } from '../shared/frames.ts'
import { parseFrame } from '../shared/parse-frame.ts'
import { parsePattern, parseTopic } from '../shared/topic.ts'
import { throwIfAborted } from './abort.ts'
import { errorText } from './delivery.ts'
import type { Session } from './session.ts'
import { throwLater } from './throw-later.ts'
import { exceeds } from './writer.ts'

/** How something is asked. */
export interface RequestOptions {
  /** Longest wait for the reply, in milliseconds from the call, also while there is no connection: 10,000 by default. */
  readonly timeoutMs?: number
  /** 32 at most. */
  readonly headers?: Headers
  /** Waits no longer; the responder may still answer. */
  readonly signal?: AbortSignal
}

/** What a responder gets. */
export interface Request<Data = unknown> {
  readonly topic: string
  readonly data: Data
  readonly headers?: Headers
}

/** Its return is the reply: JSON or bytes. What it throws reaches the one who asked, as `responder_failed`. */
export type RequestHandler<Data, Reply> = (request: Request<Data>) => Reply | Promise<Reply>

/** How something is answered. */
export interface RespondOptions {
  /**
   * Told of a reply that could not be given: `bad_data` (it breaks the contract that the hub checks), `frame_too_large`.
   * Whoever asked gets `responder_failed`. Without it the error is thrown as an uncaught exception.
   */
  readonly onError?: (error: unknown) => void
}

/** An offer to answer; it is renewed by itself after a reconnection. */
export interface Responder {
  /** Resolves once requests come; rejects when the hub refuses. */
  readonly ready: Promise<void>
  /** Gets no more requests; those that are open are answered to their askers as lost. */
  close(): void
}

interface Offer {
  readonly frame: string
  readonly handler: RequestHandler<unknown, unknown>
  readonly onError: (error: unknown) => void
  readonly resolve: () => void
  readonly reject: (error: FanfareError) => void
}

interface Pending {
  readonly resolve: (data: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Request-reply: what this client asks, and what it answers. */
export class Requests {
  private readonly session: Session
  private readonly nextNumber: () => number
  private readonly pending = new Map<number, Pending>()
  private readonly offers = new Map<number, Offer>()
  /** Counts connections: a request ends with its own, and on the next its number may be another's. */
  private connection = 0

  constructor(session: Session, nextNumber: () => number) {
    this.session = session
    this.nextNumber = nextNumber
  }

  /** The connection has to stand. */
  request(topic: string, data: unknown, options: RequestOptions & { readonly timeoutMs: number }): Promise<unknown> {
    const { timeoutMs, headers, signal } = options
    // The event of a signal that was aborted before never comes.
    throwIfAborted(signal)
    parseTopic(topic)
    const seq = this.nextNumber()
    const frame: AskFrame = { type: 'ask', seq, topic, data, timeoutMs, ...(headers && { headers }) }
    parseFrame(frame)
    return new Promise((resolve, reject) => {
      const abort = () => this.take(seq)?.reject(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      const done = () => signal?.removeEventListener('abort', abort)
      this.pending.set(seq, {
        resolve(reply) {
          done()
          resolve(reply)
        },
        reject(error) {
          done()
          reject(error)
        },
      })
      this.write(frame, (error) => this.take(seq)?.reject(error))
    })
  }

  respond(pattern: string, handler: RequestHandler<unknown, unknown>, options: RespondOptions): Responder {
    const { onError = throwLater } = options
    parsePattern(pattern)
    const sub = this.nextNumber()
    const frame = JSON.stringify({ type: 'respond', sub, pattern })
    const ready = new Promise<void>((resolve, reject) => {
      this.offers.set(sub, { frame, handler, onError, resolve, reject })
    })
    if (this.session.isOpen) this.session.write(frame)
    const close = () => {
      const offer = this.offers.get(sub)
      this.offers.delete(sub)
      offer?.resolve()
      if (offer && this.session.isOpen) this.session.write(JSON.stringify({ type: 'unsubscribe', sub }))
    }
    return { ready, close }
  }

  respondAll(): void {
    for (const { frame } of this.offers.values()) this.session.write(frame)
  }

  /** False: this is no offer's number. */
  confirmed(sub: number): boolean {
    const offer = this.offers.get(sub)
    offer?.resolve()
    return offer !== undefined
  }

  requested({ sub, request, topic, data, headers }: RequestFrame): void {
    const offer = this.offers.get(sub)
    if (!offer) return
    const { connection } = this
    const reply = (words: { readonly data?: unknown; readonly error?: string }) => {
      if (connection !== this.connection) return
      this.write({ type: 'reply', request, ...words }, (error) => {
        reply({ error: String(error) })
        fail(offer, error)
      })
    }
    const answer = async () => offer.handler({ topic, data, ...(headers && { headers }) })
    answer().then(
      (data) => reply({ data }),
      (error: unknown) => reply({ error: errorText(error) ?? 'It failed' }),
    )
  }

  answered({ seq, data, error }: AnswerFrame): void {
    const pending = this.take(seq)
    if (error === undefined) pending?.resolve(data)
    else pending?.reject(new FanfareError('responder_failed', error))
  }

  /** False: what was refused was none of these. */
  refused(frame: ErrorFrame): boolean {
    const { seq, sub, request } = frame
    const error = errorFrom(frame)
    if (request !== undefined) {
      // Of one reply: the offer goes on.
      const offer = this.offers.get(sub as number)
      if (offer) fail(offer, error)
      return true
    }
    const pending = seq === undefined ? undefined : this.take(seq)
    pending?.reject(error)
    const offer = sub === undefined ? undefined : this.offers.get(sub)
    if (sub !== undefined) this.offers.delete(sub)
    offer?.reject(error)
    return pending !== undefined || offer !== undefined
  }

  lost(): void {
    this.connection++
    for (const { reject } of this.pending.values()) reject(new FanfareError('connection_lost'))
    this.pending.clear()
  }

  ended(): void {
    for (const { resolve } of this.offers.values()) resolve()
    this.offers.clear()
  }

  private write(frame: AskFrame | ReplyFrame, failed: (error: unknown) => void): void {
    const encoded = encodeFrame(frame)
    if (exceeds(encoded, this.session.writer.limit)) failed(new FanfareError('frame_too_large'))
    else this.session.write(encoded)
  }

  private take(seq: number): Pending | undefined {
    const pending = this.pending.get(seq)
    this.pending.delete(seq)
    return pending
  }
}

function fail({ onError }: Offer, error: unknown): void {
  try {
    onError(error)
  } catch (thrown) {
    throwLater(thrown)
  }
}
