import { errorFrom, type FanfareError } from '../shared/fanfare-error.ts'
import type { ErrorFrame, HubFrame, WelcomeFrame } from '../shared/frames.ts'
import { Asking } from './asking.ts'
import { Calls } from './calls.ts'
import { Consumers } from './consumers.ts'
import { Line, Room } from './line.ts'
import { Publisher } from './publisher.ts'
import { Requests } from './requests.ts'
import { Responders } from './responders.ts'
import { Session, type SessionListener, type SessionOptions, type StateChange } from './session.ts'
import { Subscriptions } from './subscriptions.ts'
import { callBack, throwLater } from './throw-later.ts'
import type { Tracing } from './tracing.ts'
import { within } from './within.ts'

/** What the client is told. */
interface LinkOwner {
  changed(change: StateChange): void
  ended(): void
}

interface LinkOptions extends Omit<SessionOptions, 'nextSeq'> {
  readonly queueLimit: number
  readonly queueLimitBytes: number
  readonly trace: Tracing | undefined
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
  readonly publisher: Publisher
  readonly calls: Calls
  readonly consumers: Consumers
  readonly requests: Requests
  readonly responders: Responders
  readonly subscriptions: Subscriptions
  readonly #asking: Asking
  readonly #owner: LinkOwner
  /** Publishes and requests share the hub's window; calls have a limit of their own. */
  readonly #line: Line
  readonly #callLine: Line
  readonly #parts: readonly { lost(): void }[]

  constructor(url: string, options: LinkOptions, owner: LinkOwner) {
    const { queueLimit, queueLimitBytes, trace, ...rest } = options
    // One count for all that bears a number.
    let last = 0
    const next = () => ++last
    this.#owner = owner
    this.session = new Session(url, { ...rest, nextSeq: next }, this)
    this.#asking = new Asking(this.session)
    const room = new Room(queueLimit, queueLimitBytes)
    this.#line = new Line(this.session, room)
    this.#callLine = new Line(this.session, room)
    this.publisher = new Publisher(this.#line, next)
    this.calls = new Calls(this.#callLine, next)
    this.consumers = new Consumers(this.session, this.#asking, next, trace)
    this.requests = new Requests(this.#line, next)
    this.responders = new Responders(this.session, this.#asking, next)
    this.subscriptions = new Subscriptions(this.session, this.#asking, next)
    this.#parts = [this.#line, this.#callLine, this.consumers, this.responders, this.#asking, this.subscriptions]
  }

  opened(): void {
    this.subscriptions.askAll()
    this.consumers.askAll()
    this.responders.askAll()
  }

  welcomed({ window, limits }: WelcomeFrame): void {
    this.#line.welcomed(window)
    this.#callLine.welcomed(limits.calls ?? Number.POSITIVE_INFINITY)
  }

  received(frame: HubFrame, only: number | undefined): void {
    switch (frame.type) {
      case 'message':
        return this.subscriptions.message(frame, only)
      case 'receipt':
        return this.publisher.receipt(frame)
      case 'gap':
        return this.subscriptions.gap(frame)
      case 'result':
        return this.calls.result(frame)
      case 'subscribed':
        if (!this.responders.confirmed(frame.sub)) this.subscriptions.subscribed(frame)
        return
      case 'consuming':
        return this.consumers.consuming(frame)
      case 'delivery':
        return this.consumers.delivered(frame)
      case 'settled':
        return this.consumers.settled(frame)
      case 'recall':
      case 'lost':
        return this.consumers.takenBack(frame)
      case 'request':
        return this.responders.requested(frame)
      case 'answer':
        return this.requests.answered(frame)
      case 'behind':
      case 'live':
        return this.subscriptions.fed(frame)
      case 'committed':
        return this.subscriptions.committed(frame)
      case 'unsubscribed':
        return this.#asking.withdrawn(frame.sub)
      case 'cancelled':
        return this.#asking.withdrawn(frame.consumer)
      case 'paused':
      case 'resumed':
        return this.subscriptions.answered(frame)
      case 'error':
        return this.#refused(frame)
    }
  }

  // A fault in one part must not keep the others from hearing it.

  lost(): void {
    for (const part of this.#parts) callBack(() => part.lost())
  }

  ended(error: FanfareError | undefined, why: FanfareError): void {
    let untold = 0
    callBack(() => this.#line.ended(why))
    callBack(() => this.#callLine.ended(why))
    callBack(() => (untold += this.subscriptions.endAll(error)))
    callBack(() => (untold += this.responders.endAll(error)))
    callBack(() => (untold += this.consumers.endAll(error)))
    // Once, however many have ended with the client.
    if (untold > 0) throwLater(error)
    this.#owner.ended()
  }

  changed(change: StateChange): void {
    this.#owner.changed(change)
  }

  /** Waits for what was accepted and what is under way, for so long at most, and closes for good. */
  async close(timeoutMs: number): Promise<Closed> {
    const session = this.session
    const line = this.#line
    const callLine = this.#callLine
    const { clock } = session
    if (session.state === 'connected' || line.waits || callLine.waits) {
      await within(clock, timeoutMs, this.#idle())
      this.consumers.cancelAll()
    }
    const unsent = line.unsent + callLine.unsent
    const unanswered = line.unanswered + callLine.unanswered
    await session.close()
    return { unsent, unanswered }
  }

  /** Handlers first: what they publish and ask belongs to what was under way. */
  async #idle(): Promise<void> {
    await Promise.all([this.subscriptions.commitAll(), this.consumers.closeAll(), this.responders.finish()])
    await Promise.all([this.#line.idle(), this.#callLine.idle()])
  }

  #refused(frame: ErrorFrame): void {
    const { sub, seq, consumer, code } = frame
    if (consumer !== undefined) this.consumers.refused(frame)
    // What was unsubscribed, paused, resumed or committed had just ended, and that was told.
    else if (code === 'unknown_subscription') this.#asking.withdrawn(sub as number)
    else if (this.responders.refused(frame)) return
    else if (seq === undefined) this.subscriptions.refused(frame)
    else for (const line of [this.#line, this.#callLine]) line.answered(seq, ({ reject }) => reject(errorFrom(frame)))
  }
}
