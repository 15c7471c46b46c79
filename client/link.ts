import type { Timer } from '../shared/clock.ts'
import { FanfareError } from '../shared/errors.ts'
import type { ErrorFrame, Frame, WelcomeFrame } from '../shared/frames.ts'
import { Calls } from './calls.ts'
import { Consumers } from './consumers.ts'
import { Publisher } from './publisher.ts'
import { Requests } from './requests.ts'
import { Session, type SessionListener, type SessionOptions, type StateChange } from './session.ts'
import { Subscriptions } from './subscriptions.ts'
import { throwLater } from './throw-later.ts'
import type { Tracing } from './tracing.ts'

/** What the client is told. */
interface LinkOwner {
  changed(change: StateChange): void
  ended(): void
}

interface LinkOptions extends Omit<SessionOptions, 'nextSeq'> {
  readonly queueLimit: number
  readonly trace: Tracing | undefined
}

/** Time that `close` gives publishes that are under way, in milliseconds. */
const CLOSE_GRACE_MS = 5_000

/** A session with the hub and the parts that live on it: hands each frame to the one that it is for. */
export class Link implements SessionListener {
  readonly session: Session
  readonly publisher: Publisher
  readonly calls: Calls
  readonly consumers: Consumers
  readonly requests: Requests
  readonly subscriptions: Subscriptions
  private readonly owner: LinkOwner

  constructor(url: string, options: LinkOptions, owner: LinkOwner) {
    const { queueLimit, trace, ...rest } = options
    // One count for all that bears a number.
    let last = 0
    const next = () => ++last
    this.owner = owner
    this.session = new Session(url, { ...rest, nextSeq: next }, this)
    this.publisher = new Publisher(this.session, queueLimit, next)
    this.calls = new Calls(this.session, next)
    this.consumers = new Consumers(this.session, next, trace)
    this.requests = new Requests(this.session, next)
    this.subscriptions = new Subscriptions(this.session, next)
  }

  opened(): void {
    this.subscriptions.subscribeAll()
    this.consumers.consumeAll()
    this.requests.respondAll()
  }

  welcomed({ window, limits }: WelcomeFrame): void {
    this.calls.welcomed(limits.calls)
    this.publisher.welcomed(window)
  }

  received(frame: Frame, only: number | undefined): void {
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
        if (!this.requests.confirmed(frame.sub)) this.subscriptions.subscribed(frame)
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
        return this.requests.requested(frame)
      case 'answer':
        return this.requests.answered(frame)
      case 'behind':
      case 'live':
        return this.subscriptions.fed(frame)
      case 'committed':
        return this.subscriptions.committed(frame)
      case 'unsubscribed':
      case 'paused':
      case 'resumed':
        return this.subscriptions.answered(frame)
      case 'error':
        return this.refused(frame)
    }
  }

  lost(): void {
    this.publisher.lost()
    this.calls.lost()
    this.consumers.lost()
    this.requests.lost()
    this.subscriptions.lost()
  }

  ended(error: FanfareError | undefined): void {
    this.publisher.ended(error ?? new FanfareError('client_closed'))
    this.subscriptions.ended(error)
    if (!this.consumers.endAll(error)) throwLater(error)
    this.requests.ended()
    this.owner.ended()
  }

  changed(change: StateChange): void {
    this.owner.changed(change)
  }

  /** Waits for what is under way, for some seconds at most, and closes for good. */
  async close(): Promise<void> {
    if (this.session.state === 'connected') {
      const stored = Promise.all([this.subscriptions.commitAll(), this.consumers.closeAll()])
      this.session.writer.flush()
      const { clock } = this.session
      let timer: Timer | undefined
      const grace = new Promise<void>((resolve) => {
        timer = clock.setTimeout(resolve, CLOSE_GRACE_MS)
      })
      await Promise.race([Promise.all([this.publisher.idle(), stored]), grace])
      clock.clearTimeout(timer)
      this.consumers.cancelAll()
    }
    await this.session.close()
  }

  private refused(frame: ErrorFrame): void {
    if (frame.consumer !== undefined) this.consumers.refused(frame)
    else if (this.requests.refused(frame)) return
    else if (frame.seq === undefined) this.subscriptions.refused(frame)
    else if (!this.calls.refused(frame)) this.publisher.refused(frame)
  }
}
