import type { ContentFrame } from '../shared/content-frames.ts'
import { errorFrom, FanfareError } from '../shared/fanfare-error.ts'
import type { ErrorFrame, HubFrame } from '../shared/frames.ts'
import { Alarm } from './alarm.ts'
import { encodeChecked } from './encode-checked.ts'
import type { Session } from './session.ts'
import type { Standing } from './standing.ts'
import { callBack, throwLater } from './throw-later.ts'

/** A frame with the number of an item. */
export type NumberedFrame = Extract<HubFrame, { readonly sub: number } | { readonly consumer: number }>

/** Something that the hub keeps for this client under a number: a subscription, a consumer, or an offer to respond. */
export interface Asked {
  readonly number: number
  /** The frame that asks for it now; undefined while it is about to end. */
  readonly frame: ContentFrame | undefined
  readonly standing: Standing
  /** The hub has sent a frame with its number. */
  received(frame: NumberedFrame): void
  /** The hub has refused one of its frames: a settlement, a reply, a commit. The item itself goes on. */
  refused(frame: ErrorFrame, error: FanfareError): void
  /** It is not at the hub, for now. */
  lost(): void
  /** Ends it: with an error if it failed, without one if its owner ended it or closed the client. Returns false if the error was not reported. */
  end(error: FanfareError | undefined): boolean
  /** The client closes: resolves when work in progress is done. */
  finish(): Promise<unknown>
  /** The client no longer waits for work in progress. */
  cancel?(): void
}

/** Refusals that may pass for an item that was confirmed before: its stream or queue may be declared again, as after a hub has lost its memory. */
const RETURNING = ['no_stream', 'ambiguous_stream', 'no_queue']

/** Refusals because of a limit, which would hit any other item too. */
const TOO_MUCH = ['rate_limited', 'hub_full']

/**
 * Asks the hub for all items again on each connection, and asks again for those whose refusal may pass. All frames go out at once,
 * until that exceeds a limit of the hub: then one at a time, and one more with each that is confirmed.
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
   * Asks for it. Whatever can be refused here is refused before anything is sent: the hub closes for good on a frame of the wrong shape.
   * Throws `client_closed`.
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
    // The first: the subscription had just ended, and that was reported.
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
    // Asking for too much at once may be the reason.
    if (this.#unanswered.size > 0) this.#mostUnanswered = 1
    this.#alarm.clear()
    for (const confirm of this.#ending.values()) confirm()
    for (const each of [this.#waiting, this.#unanswered, this.#later, this.#ending]) each.clear()
    for (const item of this.#items.values()) callBack(() => item.lost())
  }

  /** Resolves when all work in progress is done. */
  async finish(): Promise<void> {
    await Promise.allSettled([...this.#items.values()].map((item) => item.finish()))
    while (this.answering.size > 0) await Promise.allSettled(this.answering)
  }

  /** Ends work in progress that can be cancelled. */
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

  /** The hub no longer knows this number. */
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
      // Last: one that is refused again and again must not block the others.
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
      // One whose options can no longer be encoded must not block the others.
      callBack(() => {
        const { frame } = item
        if (!frame) return
        this.session.say(frame)
        this.#unanswered.add(item)
      })
    }
  }
}
