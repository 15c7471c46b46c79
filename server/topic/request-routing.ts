import type { Clock, Timer } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import { errorFrom } from '../../shared/fanfare-error.ts'
import type { AskFrame, ReplyFrame, RequestFrame } from '../../shared/frames.ts'
import { checkNesting } from '../../shared/nesting.ts'
import { PatternIndex } from '../../shared/pattern-index.ts'
import { parseTopic } from '../../shared/topic.ts'
import type { NodeName } from '../bus/bus.ts'
import type { Nodes } from '../bus/nodes.ts'
import type { RequestOutcome } from '../bus/questions.ts'
import type { Contracts, ExchangeCheck } from './contracts.ts'
import { leastBusy, type Offer, type Responder } from './offer.ts'
import { OffersElsewhere } from './offers-elsewhere.ts'

/** Gets the outcome of its request. */
export interface RequestAsker {
  answered(reply: Pick<ReplyFrame, 'data' | 'error'>): void
  refused(error: FanfareError): void
}

/** The request, independent of the requester. */
type Asked = Omit<AskFrame, 'type' | 'seq'>

interface Open {
  readonly asker: RequestAsker
  offer: Offer
  readonly check: ExchangeCheck | undefined
  readonly timer: Timer
  readonly endsAt: number
  /** Other nodes that had no responder any more when the request arrived. */
  without: Set<Responder> | undefined
}

/**
 * Request/reply: each request goes to one matching responder, the one with the fewest open requests. Responders at this node come
 * first as long as one of them keeps up; then those at other nodes.
 */
export class RequestRouting {
  private readonly index = new PatternIndex<Offer>()
  private readonly elsewhere: OffersElsewhere
  private readonly open = new Map<number, Open>()
  private readonly contracts: Contracts
  private readonly clock: Clock
  private last = 0

  constructor(contracts: Contracts, nodes: Nodes, clock: Clock) {
    this.contracts = contracts
    this.clock = clock
    this.elsewhere = new OffersElsewhere(nodes, (...answer) => this.answered(...answer))
    nodes.answer('requests.ask', (asked) => this.askHere(asked))
  }

  /** `stands` is called when requests from any node reach the responder: immediately, unless other nodes have to be told. */
  offer(offer: Offer, stands: () => void): void {
    this.index.add(offer)
    const told = this.elsewhere.tell({ added: [offer.words.join('.')], removed: [] })
    if (told) void told.then(stands)
    else stands()
  }

  /** The responder gets no more requests; open ones are still answered. */
  retire(offer: Offer): void {
    if (offer.slot < 0) return
    this.index.remove(offer)
    void this.elsewhere.tell({ added: [], removed: [offer.words.join('.')] })
  }

  /** Ends a responder; its requesters learn that it is gone. */
  withdraw(offer: Offer): void {
    this.retire(offer)
    for (const request of offer.open) this.refuse(request, new FanfareError('responder_lost'))
  }

  /** Throws `bad_topic`, `bad_data`, `no_responder`. Returns a function that forgets the request. */
  ask(asked: Asked, asker: RequestAsker): () => void {
    return this.askOneOf(asked, asker, (words) => this.bestOffer(words))
  }

  /** Only the first reply counts, and only from the responder that got the request. A reply that comes too late is dropped. */
  reply({ request, data, error }: Omit<ReplyFrame, 'type'>, responder: Responder): void {
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

  // Events of the bus

  joined({ id }: NodeName): void {
    this.elsewhere.joined(
      id,
      Array.from(this.index.entries(), ({ words }) => words.join('.')),
    )
  }

  left(node: string): void {
    this.elsewhere.left(node)
  }

  private bestOffer(words: readonly string[], except?: ReadonlySet<Responder>): Offer | undefined {
    const here = leastBusy(this.index.match(words))
    return here?.responder.keepsUp ? here : (this.elsewhere.leastBusy(words, except) ?? here)
  }

  private askOneOf(
    { topic, data, headers, timeoutMs }: Asked,
    asker: RequestAsker,
    offerFor: (words: readonly string[]) => Offer | undefined,
  ): () => void {
    const words = parseTopic(topic)
    const check = this.contracts.ofRequest(topic, words)
    check?.request(data)
    const offer = offerFor(words)
    if (!offer)
      throw new FanfareError(
        'no_responder',
        `No responder is available on topic "${topic}". Start one, or try again later.`,
      )
    const request = ++this.last
    const timer = this.clock.setTimeout(() => this.refuse(request, new FanfareError('request_timeout')), timeoutMs)
    this.open.set(request, { asker, offer, check, timer, endsAt: this.clock.now() + timeoutMs, without: undefined })
    offer.open.add(request)
    const optional = { ...(data !== undefined && { data }), ...(headers && { headers }) }
    offer.responder.request({ type: 'request', sub: offer.sub, request, topic, ...optional }, timeoutMs)
    return () => this.take(request)
  }

  /** For another node, which has no responder of its own. */
  private askHere(asked: Asked): Promise<RequestOutcome> {
    return new Promise((resolve) => {
      const refused = ({ code, message, retry }: FanfareError) => resolve({ refused: { code, message, retry } })
      try {
        this.askOneOf(asked, { answered: resolve, refused }, (words) => leastBusy(this.index.match(words)))
      } catch (error) {
        if (!(error instanceof FanfareError)) throw error
        refused(error)
      }
    })
  }

  /** Another node has answered a request, or has left. */
  private answered(frame: RequestFrame, outcome: RequestOutcome | undefined, responder: Responder): void {
    const { request } = frame
    if (outcome === undefined) this.refuse(request, new FanfareError('responder_lost'))
    else if (!('refused' in outcome)) this.reply({ request, ...outcome }, responder)
    else if (outcome.refused.code !== 'no_responder' || !this.askAnother(frame, responder))
      this.refuse(request, errorFrom(outcome.refused))
  }

  /**
   * The last responder of a node has ended while a request was on its way to it. No responder has seen the request, so another one may
   * have it. False if there is none.
   */
  private askAnother(frame: RequestFrame, node: Responder): boolean {
    const { request, topic } = frame
    const open = this.open.get(request)
    if (!open) return false
    open.without ??= new Set()
    const offer = this.bestOffer(parseTopic(topic), open.without.add(node))
    if (!offer) return false
    open.offer.open.delete(request)
    open.offer = offer
    offer.open.add(request)
    offer.responder.request({ ...frame, sub: offer.sub }, Math.max(1, open.endsAt - this.clock.now()))
    return true
  }

  private refuse(request: number, error: FanfareError): void {
    this.take(request)?.asker.refused(error)
  }

  private take(request: number): Open | undefined {
    const open = this.open.get(request)
    this.open.delete(request)
    open?.offer.open.delete(request)
    this.clock.clearTimeout(open?.timer)
    return open
  }
}
