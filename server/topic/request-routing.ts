import type { Clock, Timer } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { AskFrame, ReplyFrame, RequestFrame } from '../../shared/frames.ts'
import { checkNesting } from '../../shared/nesting.ts'
import { PatternIndex } from '../../shared/pattern-index.ts'
import { parseTopic } from '../../shared/topic.ts'
import type { Contracts, ExchangeCheck } from './contracts.ts'
import type { Message } from './message.ts'
import { type Recipient, Subscription } from './subscription.ts'

/** What becomes of what somebody asked. */
export interface RequestAsker {
  answered(reply: Pick<ReplyFrame, 'data' | 'error'>): void
  refused(error: FanfareError): void
}

/** Who answers, on one connection. */
export interface Responder {
  /** Nothing waits to be written. */
  readonly keepsUp: boolean
  request(frame: RequestFrame): void
  /** Its reply to a request was refused: whoever asked has been told that there is none. */
  refused(error: unknown, sub: number, request: number): void
}

interface Open {
  readonly asker: RequestAsker
  readonly offer: Offer
  readonly check: ExchangeCheck | undefined
  readonly timer: Timer
}

/** An offer to answer. It is a subscription of the index whose messages are requests. */
export class Offer extends Subscription {
  readonly responder: Responder
  /** Requests that it has not replied to. */
  readonly open = new Set<number>()

  constructor(responder: Responder, sub: number, words: readonly string[]) {
    super(NOBODY, sub, words, undefined, 'drop-newest')
    this.responder = responder
  }
}

/** The index of offers is asked for who matches, and never delivers. */
const NOBODY: Recipient = { deliver(_: Message) {} }

/** Request-reply: each request goes to one of those that offered, the one with the fewest open requests. */
export class RequestRouting {
  private readonly index = new PatternIndex<Offer>()
  private readonly open = new Map<number, Open>()
  private readonly contracts: Contracts
  private readonly clock: Clock
  private last = 0

  constructor(contracts: Contracts, clock: Clock) {
    this.contracts = contracts
    this.clock = clock
  }

  offer(offer: Offer): void {
    this.index.add(offer)
  }

  /** An offer gets no more requests; those that are open are still answered. */
  retire(offer: Offer): void {
    this.index.remove(offer)
  }

  /** Ends an offer; who waits for it learns that it is gone. */
  withdraw(offer: Offer): void {
    this.index.remove(offer)
    for (const request of offer.open) this.take(request)?.asker.refused(new FanfareError('responder_lost'))
  }

  /** Throws `bad_topic`, `bad_data`, `no_responder`. Returns how to forget the request. */
  ask({ topic, data, headers, timeoutMs }: AskFrame, asker: RequestAsker): () => void {
    const words = parseTopic(topic)
    const check = this.contracts.ofRequest(topic, words)
    check?.request(data)
    const offer = this.leastBusy(words)
    if (!offer) throw new FanfareError('no_responder', JSON.stringify(topic))
    const request = ++this.last
    const late = () => this.take(request)?.asker.refused(new FanfareError('request_timeout'))
    const timer = this.clock.setTimeout(late, timeoutMs)
    this.open.set(request, { asker, offer, check, timer })
    offer.open.add(request)
    const optional = { ...(data !== undefined && { data }), ...(headers && { headers }) }
    offer.responder.request({ type: 'request', sub: offer.sub, request, topic, ...optional })
    return () => this.take(request)
  }

  /** A reply counts once, from whoever got the request. One that comes too late is nobody's any more. */
  reply({ request, data, error }: ReplyFrame, responder: Responder): void {
    const open = this.open.get(request)
    if (open?.offer.responder !== responder) return
    this.take(request)
    if (error === undefined) {
      try {
        checkNesting(data)
        open.check?.reply(data)
      } catch (violation) {
        open.asker.answered({ error: (violation as Error).message })
        responder.refused(violation, open.offer.sub, request)
        return
      }
    }
    open.asker.answered({ ...(data !== undefined && { data }), ...(error !== undefined && { error }) })
  }

  private leastBusy(words: readonly string[]): Offer | undefined {
    let best: Offer | undefined
    for (const offers of this.index.match(words)) {
      for (const offer of offers) {
        if (!best || weight(offer) < weight(best)) best = offer
      }
    }
    return best
  }

  private take(request: number): Open | undefined {
    const open = this.open.get(request)
    this.open.delete(request)
    open?.offer.open.delete(request)
    this.clock.clearTimeout(open?.timer)
    return open
  }
}

/** Who does not read comes after all that do. */
function weight({ open, responder }: Offer): number {
  return open.size + (responder.keepsUp ? 0 : 1_000_000)
}
