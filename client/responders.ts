import { FanfareError } from '../shared/errors.ts'
import type { ErrorFrame, Headers, ReplyFrame, RequestFrame } from '../shared/frames.ts'
import { parsePattern } from '../shared/topic.ts'
import { errorText } from './delivery.ts'
import { encodeChecked } from './encode-checked.ts'
import { FUNCTION, type Rules } from './options.ts'
import { errorFrom, type Session } from './session.ts'
import { throwLater } from './throw-later.ts'
import { exceeds } from './writer.ts'

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

/** @internal */
export const RESPOND_RULES: Rules<RespondOptions> = { onError: FUNCTION }

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

/** What this client answers. */
export class Responders {
  private readonly session: Session
  private readonly nextNumber: () => number
  private readonly offers = new Map<number, Offer>()
  /** Counts connections: a request ends with its own, and on the next its number may be another's. */
  private connection = 0
  /** Handlers that run, until their replies are written. */
  private readonly running = new Set<Promise<void>>()
  /** Offers of which the hub has been told that they finish, until it confirms that no request follows. */
  private readonly finishing = new Map<number, () => void>()

  constructor(session: Session, nextNumber: () => number) {
    this.session = session
    this.nextNumber = nextNumber
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
    const done = answer().then(
      (data) => reply({ data }),
      (error: unknown) => reply({ error: errorText(error) ?? 'It failed' }),
    )
    this.running.add(done)
    void done.then(() => this.running.delete(done))
  }

  /** Gets no more requests. Resolves when those that came have been answered. */
  async finish(): Promise<void> {
    if (!this.session.isOpen) return
    const confirmed = [...this.offers.keys()].map(
      (sub) =>
        new Promise<void>((resolve) => {
          this.finishing.set(sub, resolve)
          this.session.write(JSON.stringify({ type: 'unsubscribe', sub, finish: true }))
        }),
    )
    await Promise.all(confirmed)
    while (this.running.size > 0) await Promise.all(this.running)
  }

  unsubscribed(sub: number): void {
    this.finishing.get(sub)?.()
    if (this.finishing.delete(sub)) this.offers.delete(sub)
  }

  /** False: what was refused was no offer, and no reply to a request. */
  refused({ sub, request, code, message }: ErrorFrame): boolean {
    const offer = sub === undefined ? undefined : this.offers.get(sub)
    const error = errorFrom(code, message)
    if (request !== undefined) {
      // Of one reply: the offer goes on.
      if (offer) fail(offer, error)
      return true
    }
    if (offer) this.offers.delete(sub as number)
    offer?.reject(error)
    return offer !== undefined
  }

  lost(): void {
    this.connection++
    for (const sub of this.finishing.keys()) this.unsubscribed(sub)
  }

  ended(): void {
    for (const { resolve } of this.offers.values()) resolve()
    this.offers.clear()
  }

  private write(frame: ReplyFrame, failed: (error: unknown) => void): void {
    try {
      const encoded = encodeChecked(frame)
      if (exceeds(encoded, this.session.writer.limit)) throw new FanfareError('frame_too_large')
      this.session.write(encoded)
    } catch (error) {
      failed(error)
    }
  }
}

function fail({ onError }: Offer, error: unknown): void {
  try {
    onError(error)
  } catch (thrown) {
    throwLater(thrown)
  }
}
