import type { FanfareError } from '../shared/fanfare-error.ts'
import type { HubFrame, ResultFrame, WelcomeFrame } from '../shared/frames.ts'
import type { DeadLetter } from '../shared/queues.ts'
import { Asking } from './asking.ts'
import type { ConsumeOptions, DeliveryHandler } from './consume-options.ts'
import { Consumer } from './consumer.ts'
import { encodeChecked } from './encode-checked.ts'
import { Line, type Patience, Room } from './line.ts'
import { addTexts } from './message.ts'
import { Publisher } from './publisher.ts'
import { type RequestOptions, request } from './requests.ts'
import { Offer, type RequestHandler, type Responder, type RespondOptions } from './responders.ts'
import { Session, type SessionListener, type SessionOptions } from './session.ts'
import type { ConnectionStateChange } from './state.ts'
import { Subscriptions } from './subscriptions.ts'
import { callBack } from './throw-later.ts'
import type { Tracing } from './tracing.ts'
import { within } from './within.ts'

/** What the client is told. */
interface LinkOwner {
  changed(change: ConnectionStateChange): void
  ended(): void
}

interface LinkOptions extends SessionOptions {
  readonly queueLimit?: number | undefined
  readonly queueLimitBytes?: number | undefined
  readonly trace?: Tracing | undefined
}

/** What a client gave up when it was closed. The promise of each has been rejected. */
export interface Closed {
  /** Publishes, requests and calls that were never sent. */
  readonly unsent: number
  /** Those that were sent and had no answer: they may have been handled or not. */
  readonly unanswered: number
}

/** A session with the hub and the parts that live on it: hands each frame to the one that it is for. */
export class Link implements SessionListener {
  readonly session: Session
  readonly #asking: Asking
  readonly subscriptions: Subscriptions
  readonly publisher: Publisher
  readonly #trace: Tracing | undefined
  readonly #owner: LinkOwner
  /** Publishes and requests share the hub's window; calls have a limit of their own. */
  readonly #line: Line
  readonly #callLine: Line
  readonly #lines: readonly Line[]

  constructor(url: string, options: LinkOptions, owner: LinkOwner) {
    const { queueLimit = 10_000, queueLimitBytes = 64 * 1024 * 1024 } = options
    this.#owner = owner
    this.#trace = options.trace
    this.session = new Session(url, options, this)
    this.#asking = new Asking(this.session)
    this.subscriptions = new Subscriptions(this.#asking)
    const room = new Room(queueLimit, queueLimitBytes)
    this.#line = new Line(this.session, room)
    this.#callLine = new Line(this.session, room)
    this.#lines = [this.#line, this.#callLine]
    this.publisher = new Publisher(this.#line)
  }

  request(topic: string, data: unknown, options: RequestOptions): Promise<unknown> {
    return request(this.#line, topic, data, options, this.session)
  }

  /** A request of an operator. */
  call(method: string, params: unknown, patience: Patience): Promise<unknown> {
    const call = {
      encode: (seq: number) => encodeChecked({ type: 'call', seq, method, params }),
      read: ({ result }: ResultFrame) => {
        if (method === 'deadLetters.list') addTexts(result as readonly DeadLetter[], this.session.raw)
        return result
      },
    }
    return this.#callLine.send(call, patience)
  }

  consume<Data>(queue: string, options: ConsumeOptions, handler: DeliveryHandler<Data> | undefined): Consumer<Data> {
    const consumer = new Consumer(queue, options, handler, this.#asking, this.#trace)
    this.#asking.add(consumer)
    consumer.standing.watch(() => consumer.close())
    return consumer
  }

  respond(pattern: string, handler: RequestHandler<unknown, unknown>, options: RespondOptions): Responder {
    const offer = new Offer(pattern, handler, options, this.#asking)
    this.#asking.add(offer)
    const { ready, ended } = offer.standing
    const close = () => offer.close()
    return { ready, ended, close, [Symbol.asyncDispose]: close }
  }

  opened(): void {
    this.#asking.askAll()
  }

  welcomed({ window, limits }: WelcomeFrame): void {
    this.#line.welcomed(window)
    this.#callLine.welcomed(limits.calls ?? Number.POSITIVE_INFINITY)
  }

  received(frame: HubFrame, only: number | undefined): void {
    if (frame.type === 'message') this.subscriptions.message(frame, only)
    else if ('seq' in frame) for (const line of this.#lines) line.answered(frame)
    else if (frame.type === 'error') this.#asking.refused(frame)
    else if ('sub' in frame || 'consumer' in frame) this.#asking.received(frame)
  }

  // A fault in one part must not keep the others from hearing it.

  lost(): void {
    for (const part of [...this.#lines, this.#asking]) callBack(() => part.lost())
  }

  ended(error: FanfareError | undefined, why: FanfareError): void {
    for (const line of this.#lines) callBack(() => line.ended(why))
    this.#asking.ended(error)
    this.#owner.ended()
  }

  changed(change: ConnectionStateChange): void {
    this.#owner.changed(change)
  }

  /** Waits for what was accepted and what is under way, for so long at most, and closes for good. */
  async close(timeoutMs: number): Promise<Closed> {
    const { session } = this
    const lines = this.#lines
    if (session.state === 'connected' || lines.some(({ waits }) => waits)) {
      await within(session.clock, timeoutMs, this.#idle())
      this.#asking.cancel()
    }
    const open = lines.flatMap((line) => line.open)
    const unanswered = open.filter(Boolean).length
    await session.close()
    return { unsent: open.length - unanswered, unanswered }
  }

  /** Handlers first: what they publish and ask belongs to what was under way. */
  async #idle(): Promise<void> {
    await this.#asking.finish()
    await Promise.all(this.#lines.map((line) => line.idle()))
  }
}
