import { PatternIndex } from '../../shared/pattern-index.ts'
import type { Nodes } from '../bus/nodes.ts'
import type { OfferChanges, RequestOutcome } from '../bus/questions.ts'
import { leastBusy, Offer, type Responder } from './offer.ts'

/** How much longer than its asker waits an answer is waited for, in milliseconds: the asker's own timer comes first. */
const GRACE_MS = 1000

/** What another node has offered: by pattern, with the number of its responders. */
interface OtherNode {
  readonly responder: Responder
  readonly offers: Map<string, { readonly offer: Offer; count: number }>
}

/**
 * Offers of other nodes, as they have said them. To those that ask, a node is a responder as a connection is one. Nodes that are there
 * have been told all offers of this one: that is when an offer stands.
 */
export class OffersElsewhere {
  private readonly index = new PatternIndex<Offer>()
  private readonly byNode = new Map<string, OtherNode>()
  private readonly nodes: Nodes
  private readonly answered: (request: number, outcome: RequestOutcome | undefined, responder: Responder) => void

  /** `answered` is called with what has become of a request; undefined: its node has left. */
  constructor(
    nodes: Nodes,
    answered: (request: number, outcome: RequestOutcome | undefined, responder: Responder) => void,
  ) {
    this.nodes = nodes
    this.answered = answered
    nodes.answer('requests.offers', (changes, from) => this.changed(from, changes))
  }

  leastBusy(words: readonly string[]): Offer | undefined {
    return leastBusy(this.index.match(words))
  }

  /** Tells the other nodes. Resolves when all have answered; returns undefined if there is none. */
  tell(changes: OfferChanges): Promise<unknown> | undefined {
    return this.nodes.alone ? undefined : this.nodes.askOthers('requests.offers', changes)
  }

  /** Another node is there: tells it what is offered here. */
  joined(node: string, patterns: readonly string[]): void {
    if (patterns.length > 0) void this.nodes.ask(node, 'requests.offers', { added: patterns, removed: [] })
  }

  /** Requests that the node had are answered by the bus: it has left. */
  left(node: string): void {
    for (const { offer } of this.byNode.get(node)?.offers.values() ?? []) this.index.remove(offer)
    this.byNode.delete(node)
  }

  private changed(node: string, { added, removed }: OfferChanges): true {
    const { responder, offers } = this.byNode.get(node) ?? this.add(node)
    for (const pattern of added) {
      let known = offers.get(pattern)
      if (!known) {
        known = { offer: new Offer(responder, 0, pattern.split('.')), count: 0 }
        offers.set(pattern, known)
        this.index.add(known.offer)
      }
      known.count++
    }
    for (const pattern of removed) {
      const known = offers.get(pattern)
      if (!known || --known.count > 0) continue
      offers.delete(pattern)
      this.index.remove(known.offer)
    }
    return true
  }

  private add(node: string): OtherNode {
    const responder: Responder = {
      keepsUp: true,
      request: ({ type: _, sub: __, request, ...asked }, timeoutMs) => {
        const outcome = this.nodes.ask(node, 'requests.ask', { ...asked, timeoutMs }, timeoutMs + GRACE_MS)
        void outcome.then((outcome) => this.answered(request, outcome, responder))
      },
      // Its own node has told it.
      refused: () => {},
    }
    const other = { responder, offers: new Map() }
    this.byNode.set(node, other)
    return other
  }
}
