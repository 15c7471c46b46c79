import type { ContentFrame } from '../shared/content-frames.ts'
import { errorFrom, FanfareError } from '../shared/fanfare-error.ts'
import type { ErrorFrame, HubFrame } from '../shared/frames.ts'
import { Alarm } from './alarm.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Session } from './session.ts'
import type { Standing } from './standing.ts'
import { callBack, throwLater } from './throw-later.ts'

/** A frame with the number of something that was asked for. */
export type NumberedFrame = Extract<HubFrame, { readonly sub: number } | { readonly consumer: number }>

/** Something that stands at the hub under a number: a subscription, a consumer, or an offer to respond. */
export interface Asked {
  readonly number: number
  /** What asks for it now; undefined while it is about to end. */
  readonly frame: ContentFrame | undefined
  readonly standing: Standing
  /** The hub has sent a frame with its number. */
  received(frame: NumberedFrame): void
  /** The hub has refused something that it said: a settlement, a reply, a commit. It goes on itself. */
  refused(frame: ErrorFrame, error: FanfareError): void
  /** It is not at the hub, for now. */
  lost(): void
  /** Ends it: with an error if it failed, without one if its owner ended it or closed the client. Returns false if the error was not reported. */
  end(error: FanfareError | undefined): boolean
  /** The client closes: resolves when what is under way is done. */
  finish(): Promise<unknown>
  /** The client waits no longer for what is under way. */
  cancel?(): void
}

/** Refusals of what was there before: its stream or queue may be declared again, as after a hub has lost its memory. */
const RETURNING = ['no_stream', 'ambiguous_stream', 'no_queue']

/** Refusals of anything that is asked for, and not of this. */
const TOO_MUCH = ['rate_limited', 'hub_full']

/**
 * Asks the hub for what is to stand there, on each connection again, and for what was refused as long as that may pass. All
 * goes out at once, until that was too much for a limit of the hub: then a little at first, and one more with each that is confirmed.
 */
export class Asking {
  readonly session: Session
  /** One count for all: a number tells what it is. */
  readonly #items = new Map<number, Asked>()
  /** In order. */
  readonly #waiting = new Set<Asked>()
  readonly #unanswered = new Set<Asked>()
  /** Refused for now, and what would be if it were asked for. */
  readonly #later = new Set<Asked>()
  /** Ends that the hub has not confirmed. */
  readonly #ending = new Map<number, () => void>()
  #mostUnanswered = Number.POSITIVE_INFINITY
  /** Requests that are being answered. */
  readonly answering = new Set<Promise<void>>()
  readonly #alarm: Alarm

  constructor(session: Session) {
    this.session = session
    this.#alarm = new Alarm(session.clock)
  }

  /**
   * Asks for it. What can be refused here is, before anything is sent: to the hub a frame of the wrong shape is a reason to close for
   * good. Throws `client_closed`.
   */
  add(item: Asked): void {
    if (this.session.state === 'closed') throw new FanfareError('client_closed')
    this.session.checkSize(encodeChecked(item.frame as ContentFrame))
    this.#items.set(item.number, item)
    // Without a connection nothing happens: the next one asks for everything.
    if (this.session.isOpen) this.#pump([item])
  }

  /** A connection begins. */
  askAll(): void {
    this.#pump(this.#items.values())
  }

  received(frame: NumberedFrame): void {
    const { type } = frame
    const number = 'sub' in frame ? frame.sub : frame.consumer
    const item = this.#items.get(number)
    if (type === 'unsubscribed' || type === 'cancelled') this.#withdrawn(number)
    else item?.received(frame)
    if (item && (type === 'subscribed' || type === 'consuming')) this.#confirmed(item)
  }

  refused(frame: ErrorFrame): void {
    const { sub = 0, consumer: number = sub, code, offset, delivery, request } = frame
    const item = this.#items.get(number)
    const error = errorFrom(frame)
    // The first: what was unsubscribed, paused, resumed or committed had just ended, and that was told.
    if (code === 'unknown_subscription') this.#withdrawn(number)
    else if ((offset ?? delivery ?? request) !== undefined) item?.refused(frame, error)
    else if (!item) this.#withdrawn(number)
    else if (item.frame && this.#retries(item, frame)) item.lost()
    else {
      this.#items.delete(number)
      if (!item.end(item.frame && error)) throwLater(error)
    }
  }

  /** Forgets it, and ends it at the hub. Resolves when the hub has ended it, or there is no connection. */
  async withdraw(item: Asked, ends?: object): Promise<void> {
    if (this.#items.delete(item.number)) await this.stop(item, ends)
  }

  /** Asks no more, and sends the frame that ends it; until the hub has ended it, what comes is for it. Resolves as `withdraw` does. */
  stop(item: Asked, ends: object = { type: 'unsubscribe', sub: item.number }): Promise<void> {
    for (const each of [this.#waiting, this.#unanswered, this.#later]) each.delete(item)
    this.#pump()
    if (!this.session.isOpen) return Promise.resolve()
    this.session.say(ends)
    return new Promise((resolve) => {
      this.#ending.set(item.number, resolve)
    })
  }

  lost(): void {
    // Asking for so much may be why.
    if (this.#unanswered.size > 0) this.#mostUnanswered = 1
    this.#alarm.clear()
    for (const confirm of this.#ending.values()) confirm()
    for (const each of [this.#waiting, this.#unanswered, this.#later, this.#ending]) each.clear()
    for (const item of this.#items.values()) callBack(() => item.lost())
  }

  /** Resolves when all that is under way is done. */
  async finish(): Promise<void> {
    await Promise.allSettled([...this.#items.values()].map((item) => item.finish()))
    while (this.answering.size > 0) await Promise.allSettled(this.answering)
  }

  /** Ends what can be cancelled and is still under way. */
  cancel(): void {
    for (const item of this.#items.values()) item.cancel?.()
  }

  /** The client is closed for good; without an error it closed itself. An error that some did not report is thrown, once for all of them. */
  ended(error: FanfareError | undefined): void {
    let isUntold = false
    for (const item of this.#items.values()) {
      callBack(() => {
        if (!item.end(error)) isUntold = true
      })
    }
    this.#items.clear()
    if (isUntold) throwLater(error)
  }

  #confirmed(item: Asked): void {
    item.standing.confirmed()
    if (this.#unanswered.delete(item)) this.#mostUnanswered++
    this.#pump()
  }

  /** The hub knows nothing of this number any more. */
  #withdrawn(number: number): void {
    this.#ending.get(number)?.()
    this.#ending.delete(number)
  }

  /** Asks again after a while, if the refusal may pass. False: it does not. */
  #retries(item: Asked, frame: ErrorFrame): boolean {
    const { code, retry } = frame
    const { standing } = item
    this.#unanswered.delete(item)
    const passes = retry || (standing.wasReady && RETURNING.includes(code))
    if (passes) {
      if (TOO_MUCH.includes(code)) {
        this.#mostUnanswered = 1
        for (const each of this.#waiting) this.#later.add(each)
        this.#waiting.clear()
      }
      // Last: one that is refused again and again does not keep the others waiting.
      this.#later.add(item)
      const waitMs = this.session.backoffMs(standing.failures)
      if (!this.#alarm.isSet) this.#alarm.set(waitMs, () => this.#pump(this.#later))
      standing.interrupted(errorFrom(frame))
    }
    this.#pump()
    return passes
  }

  #pump(more: Iterable<Asked> = []): void {
    for (const item of more) {
      this.#later.delete(item)
      this.#waiting.add(item)
    }
    for (const item of this.#waiting) {
      if (this.#unanswered.size >= this.#mostUnanswered) return
      this.#waiting.delete(item)
      // One whose options cannot be said any more keeps none of the others waiting.
      callBack(() => {
        const { frame } = item
        if (!frame) return
        this.session.say(frame)
        this.#unanswered.add(item)
      })
    }
  }
}
