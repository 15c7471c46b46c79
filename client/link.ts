import type { FanfareError } from '../shared/fanfare-error.ts'
import type { HubFrame, WelcomeFrame } from '../shared/frames.ts'
import { Asking } from './asking.ts'
import { Line, Room } from './line.ts'
import { Publisher } from './publisher.ts'
import { type RequestOptions, request } from './requests.ts'
import { Session, type SessionListener, type SessionOptions } from './session.ts'
import type { ConnectionStateChange } from './state.ts'
import { Subscriptions } from './subscriptions.ts'
import { callBack } from './throw-later.ts'
import { within } from './within.ts'

/** The client that owns the link. */
interface LinkOwner {
  changed(change: ConnectionStateChange): void
  ended(): void
}

interface LinkOptions extends SessionOptions {
  readonly queueLimit?: number | undefined
  readonly queueLimitBytes?: number | undefined
}

/** What a client gave up when it was closed. All of their promises have been rejected. */
export interface Closed {
  /** Publishes, requests and calls that were never sent. */
  readonly unsent: number
  /** Those that were sent and had no answer: they may or may not have been handled. */
  readonly unanswered: number
}

/** A session with the hub and the parts that use it: passes each frame to the part that it is for. */
export class Link implements SessionListener {
  readonly session: Session
  readonly asking: Asking
  readonly subscriptions: Subscriptions
  readonly publisher: Publisher
  readonly #owner: LinkOwner
  readonly #room: Room
  /** Publishes and requests share the hub's window. */
  readonly #line: Line
  readonly #lines = new Map<Line, (welcome: WelcomeFrame) => number>()

  constructor(url: string, options: LinkOptions, owner: LinkOwner) {
    const { queueLimit = 10_000, queueLimitBytes = 64 * 1024 * 1024 } = options
    this.#owner = owner
    this.session = new Session(url, options, this)
    this.asking = new Asking(this.session)
    this.subscriptions = new Subscriptions(this.asking)
    this.#room = new Room(queueLimit, queueLimitBytes)
    this.#line = this.addLine(({ window }) => window)
    this.publisher = new Publisher(this.#line)
  }

  request(topic: string, data: unknown, options: RequestOptions): Promise<unknown> {
    return request(this.#line, topic, data, options, this.session)
  }

  /** A line for another kind of question. It shares its room with the others. `limitOf`: how many may be unanswered. */
  addLine(limitOf: (welcome: WelcomeFrame) => number): Line {
    const line = new Line(this.session, this.#room)
    this.#lines.set(line, limitOf)
    return line
  }

  opened(): void {
    this.asking.askAll()
  }

  welcomed(welcome: WelcomeFrame): void {
    for (const [line, limitOf] of this.#lines) line.welcomed(limitOf(welcome))
  }

  received(frame: HubFrame, only: number | undefined): void {
    if (frame.type === 'message') this.subscriptions.message(frame, only)
    else if ('seq' in frame) for (const line of this.#lines.keys()) line.answered(frame)
    else if (frame.type === 'error') this.asking.refused(frame)
    else if ('sub' in frame || 'consumer' in frame) this.asking.received(frame)
  }

  // A fault in one part must not hide this from the others.

  lost(): void {
    for (const part of [...this.#lines.keys(), this.asking]) callBack(() => part.lost())
  }

  ended(error: FanfareError | undefined, why: FanfareError): void {
    for (const line of this.#lines.keys()) callBack(() => line.ended(why))
    this.asking.ended(error)
    this.#owner.ended()
  }

  changed(change: ConnectionStateChange): void {
    this.#owner.changed(change)
  }

  /** Waits for accepted work and work in progress, at most this long, and closes for good. */
  async close(timeoutMs: number): Promise<Closed> {
    const { session } = this
    const lines = [...this.#lines.keys()]
    if (session.state === 'connected' || lines.some(({ waits }) => waits)) {
      await within(session.clock, timeoutMs, this.#idle())
      this.asking.cancel()
    }
    const open = lines.flatMap((line) => line.open)
    const unanswered = open.filter(Boolean).length
    await session.close()
    return { unsent: open.length - unanswered, unanswered }
  }

  /** Handlers first: their publishes and requests are work in progress too. */
  async #idle(): Promise<void> {
    await this.asking.finish()
    await Promise.all([...this.#lines.keys()].map((line) => line.idle()))
  }
}
