import type { RequestFrame } from '../../shared/frames.ts'
import { PatternIndex } from '../../shared/pattern-index.ts'
import type { Nodes } from '../bus/nodes.ts'
import type { OfferChanges, RequestOutcome } from '../bus/questions.ts'
import { leastBusy, Offer, type Responder } from './offer.ts'

/**
 * The answer of another node is awaited this much longer than by the requester, in milliseconds, so that the requester's own timer
 * comes first.
 */
const GRACE_MS = 1000

/** The responders of another node: by pattern, with their number. */
interface OtherNode {
  readonly responder: Responder
  readonly offers: Map<string, { readonly offer: Offer; count: number }>
}

/** Called with the outcome of a request; undefined if its node has left. */
type Answered = (frame: RequestFrame, outcome: RequestOutcome | undefined, responder: Responder) => void

/**
 * Responders at other nodes, as those nodes have announced them. For a requester, a node is a responder just as a connection is. A
 * responder counts as registered once all present nodes have been told about it.
 */
export class OffersElsewhere {
  private readonly index = new PatternIndex<Offer>()
  private readonly byNode = new Map<string, OtherNode>()
  private readonly nodes: Nodes
  private readonly answered: Answered

  constructor(nodes: Nodes, answered: Answered) {
    this.nodes = nodes
    this.answered = answered
    nodes.answer('requests.offers', (changes, from) => this.changed(from, changes))
  }

  leastBusy(words: readonly string[], except?: ReadonlySet<Responder>): Offer | undefined {
    return leastBusy(this.index.match(words), except)
  }

  /** Tells the other nodes. Resolves when all have answered; returns undefined if there are none. */
  tell(changes: OfferChanges): Promise<unknown> | undefined {
    return this.nodes.alone ? undefined : this.nodes.askOthers('requests.offers', changes)
  }

  /** Another node has joined: tells it about the responders here. */
  joined(node: string, patterns: readonly string[]): void {
    if (patterns.length > 0) void this.nodes.ask(node, 'requests.offers', { added: patterns, removed: [] })
  }

  /** The bus answers open requests of a node that has left. */
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
      request: (frame, timeoutMs) => {
        const { type: _, sub: __, request: ___, ...asked } = frame
        const outcome = this.nodes.ask(node, 'requests.ask', { ...asked, timeoutMs }, timeoutMs + GRACE_MS)
        void outcome.then((outcome) => this.answered(frame, outcome, responder))
      },
      // The responder's own node has told it.
      refused: () => {},
    }
    const other = { responder, offers: new Map() }
    this.byNode.set(node, other)
    return other
  }
}
