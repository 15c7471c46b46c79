import type { FanfareError } from '../shared/fanfare-error.ts'
import type { HubFrame, ResultFrame, WelcomeFrame } from '../shared/frames.ts'
import { Asking } from './asking.ts'
import type { ConsumeOptions, DeliveryHandler } from './consume-options.ts'
import { Consumer } from './consumer.ts'
import { encodeChecked } from './encode-checked.ts'
import { Line, type Patience, Room } from './line.ts'
import { Publisher, type PublishOptions, type Receipt } from './publisher.ts'
import { type RequestOptions, request } from './requests.ts'
import { type RequestHandler, type Responder, Responders, type RespondOptions } from './responders.ts'
import { Session, type SessionListener, type SessionOptions, type StateChange } from './session.ts'
import type { Handler, SubscribeOptions } from './subscribe-options.ts'
import type { Subscription } from './subscription.ts'
import { Subscriptions } from './subscriptions.ts'
import { callBack } from './throw-later.ts'
import type { Tracing } from './tracing.ts'
import { within } from './within.ts'

/** What the client is told. */
interface LinkOwner {
  changed(change: StateChange): void
  ended(): void
}

interface LinkOptions extends Omit<SessionOptions, 'nextNumber'> {
  readonly queueLimit: number
  readonly queueLimitBytes: number
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
  readonly #subscriptions: Subscriptions
  readonly #responders: Responders
  readonly #publisher: Publisher
  readonly #trace: Tracing | undefined
  readonly #owner: LinkOwner
  /** Publishes and requests share the hub's window; calls have a limit of their own. */
  readonly #line: Line
  readonly #callLine: Line
  readonly #lines: readonly Line[]
  /** One count for all that bears a number. */
  readonly #nextNumber: () => number

  constructor(url: string, options: LinkOptions, owner: LinkOwner) {
    const { queueLimit, queueLimitBytes } = options
    this.#owner = owner
    this.#trace = options.trace
    let last = 0
    const nextNumber = () => ++last
    this.#nextNumber = nextNumber
    this.session = new Session(url, { ...options, nextNumber }, this)
    this.#asking = new Asking(this.session)
    this.#subscriptions = new Subscriptions(this.#asking)
    this.#responders = new Responders(this.#asking)
    const room = new Room(queueLimit, queueLimitBytes)
    this.#line = new Line(this.session, room, nextNumber)
    this.#callLine = new Line(this.session, room, nextNumber)
    this.#lines = [this.#line, this.#callLine]
    this.#publisher = new Publisher(this.#line)
  }

  publish(topic: string, data: unknown, options: PublishOptions): Promise<Receipt> {
    return this.#publisher.publish(topic, data, options)
  }

  request(topic: string, data: unknown, options: RequestOptions): Promise<unknown> {
    return request(this.#line, topic, data, options)
  }

  /** A request of an operator. */
  call(method: string, params: unknown, patience: Patience): Promise<unknown> {
    const call = {
      encode: (seq: number) => encodeChecked({ type: 'call', seq, method, params }),
      read: ({ result }: ResultFrame) => result,
    }
    return this.#callLine.send(call, patience)
  }

  subscribe<Data>(pattern: string, options: SubscribeOptions, handler: Handler<Data> | undefined): Subscription<Data> {
    return this.#subscriptions.add(pattern, this.#nextNumber(), options, handler)
  }

  consume<Data>(queue: string, options: ConsumeOptions, handler: DeliveryHandler<Data> | undefined): Consumer<Data> {
    const consumer = new Consumer(queue, this.#nextNumber(), options, handler, this.#asking, this.#trace)
    this.#asking.add(consumer)
    consumer.standing.watch(() => consumer.close())
    return consumer
  }

  respond(pattern: string, handler: RequestHandler<unknown, unknown>, options: RespondOptions): Responder {
    return this.#responders.add(pattern, this.#nextNumber(), handler, options)
  }

  opened(): void {
    this.#asking.askAll()
  }

  welcomed({ window, limits }: WelcomeFrame): void {
    this.#line.welcomed(window)
    this.#callLine.welcomed(limits.calls ?? Number.POSITIVE_INFINITY)
  }

  received(frame: HubFrame, only: number | undefined): void {
    if (frame.type === 'message') this.#subscriptions.message(frame, only)
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

  changed(change: StateChange): void {
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
    const sum = (count: (line: Line) => number) => lines.map(count).reduce((a, b) => a + b)
    const unsent = sum((line) => line.unsent)
    const unanswered = sum((line) => line.unanswered)
    await session.close()
    return { unsent, unanswered }
  }

  /** Handlers first: what they publish and ask belongs to what was under way. */
  async #idle(): Promise<void> {
    await this.#asking.finish()
    await this.#responders.idle()
    await Promise.all(this.#lines.map((line) => line.idle()))
  }
}
