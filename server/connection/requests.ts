import { FanfareError } from '../../shared/errors.ts'
import type { AskFrame, ReplyFrame, RequestFrame, RespondFrame } from '../../shared/frames.ts'
import { parsePattern } from '../../shared/topic.ts'
import type { SubscriptionBudget } from '../limit/subscription-budget.ts'
import { Offer, type Responder } from '../topic/offer.ts'
import type { RequestRouting } from '../topic/request-routing.ts'
import type { Outbox } from './outbox.ts'
import { tooMany } from './subscriptions.ts'

/** What the requests of all connections share. */
export interface RequestParts {
  readonly requests: RequestRouting
  readonly budget: SubscriptionBudget
  /** Maximum responders per connection. */
  readonly most: number
}

/** The requests of one connection, and its responders. */
export class Requests implements Responder {
  private readonly parts: RequestParts
  private readonly outbox: Outbox
  private readonly refuse: (error: unknown, frame: unknown) => void
  private readonly offered = new Map<number, Offer>()
  /** Responders that get no more requests but still have open ones. */
  private readonly finishing = new Set<Offer>()
  /** Functions that forget unanswered requests. */
  private readonly asked = new Set<() => void>()

  constructor(parts: RequestParts, outbox: Outbox, refuse: (error: unknown, frame: unknown) => void) {
    this.parts = parts
    this.outbox = outbox
    this.refuse = refuse
  }

  get keepsUp(): boolean {
    return this.outbox.keepsUp
  }

  respond({ sub, pattern }: RespondFrame): void {
    if (this.offered.has(sub))
      throw new FanfareError(
        'subscription_exists',
        `The connection already has a responder ${sub}. Choose another number, or unsubscribe first.`,
      )
    if (this.offered.size >= this.parts.most) throw tooMany(this.parts.most)
    const offer = new Offer(this, sub, parsePattern(pattern))
    this.parts.budget.take(offer.bytes)
    this.offered.set(sub, offer)
    this.parts.requests.offer(offer, () => {
      if (this.offered.get(sub) === offer) this.outbox.send({ type: 'subscribed', sub })
    })
  }

  offers(sub: number): boolean {
    return this.offered.has(sub)
  }

  /** Returns false if there is no responder with this number. */
  withdraw(sub: number, finish = false): boolean {
    const offer = this.offered.get(sub)
    if (!offer) return false
    if (finish) this.finish(offer)
    else this.end(offer)
    this.outbox.send({ type: 'unsubscribed', sub })
    return true
  }

  private finish(offer: Offer): void {
    this.forget(offer)
    this.parts.requests.retire(offer)
    for (const other of this.finishing) if (other.open.size === 0) this.finishing.delete(other)
    this.finishing.add(offer)
  }

  /** Ends the responders that `check` refuses. */
  recheck(check: (frame: RespondFrame) => void, refuse: (error: unknown, about: object) => void): void {
    for (const offer of this.offered.values()) {
      const { sub } = offer
      try {
        check({ type: 'respond', sub, pattern: offer.words.join('.') })
      } catch (error) {
        this.end(offer)
        refuse(error, { sub })
      }
    }
  }

  /** `done` is called when the reply, or the reason why there is none, has been sent. */
  ask(frame: AskFrame, done: () => void): void {
    const { seq } = frame
    const finish = () => {
      this.asked.delete(forget)
      done()
    }
    // By identity rather than number, because a client may use one number twice.
    const forget = this.parts.requests.ask(frame, {
      answered: (reply) => {
        finish()
        this.outbox.send({ type: 'answer', seq, ...reply })
      },
      refused: (error) => {
        finish()
        // The frame itself would stay in memory, with its data, until there is an answer.
        this.refuse(error, { seq })
      },
    })
    this.asked.add(forget)
  }

  request(frame: RequestFrame): void {
    this.outbox.send(frame)
  }

  refused(error: unknown, sub: number, request: number): void {
    this.refuse(error, { sub, request })
  }

  reply(frame: ReplyFrame): void {
    this.parts.requests.reply(frame, this)
  }

  /** The responders get no more requests. The client is not notified, because it continues at the node that it moves to. */
  windDown(): void {
    for (const offer of this.offered.values()) this.parts.requests.retire(offer)
  }

  /** Whether the client has requests that it has not replied to. */
  get isBusy(): boolean {
    for (const offers of [this.offered.values(), this.finishing]) {
      for (const { open } of offers) if (open.size > 0) return true
    }
    return false
  }

  release(): void {
    for (const forget of this.asked) forget()
    this.asked.clear()
    for (const offer of this.offered.values()) this.end(offer)
    for (const offer of this.finishing) this.parts.requests.withdraw(offer)
    this.finishing.clear()
  }

  private end(offer: Offer): void {
    this.forget(offer)
    this.parts.requests.withdraw(offer)
  }

  private forget(offer: Offer): void {
    this.offered.delete(offer.sub)
    this.parts.budget.giveBack(offer.bytes)
  }
}
