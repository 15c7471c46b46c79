import type { RequestFrame } from '../../shared/frames.ts'
import { type Recipient, Subscription } from './subscription.ts'

/** The side that answers: a connection, or another node. */
export interface Responder {
  /** Whether nothing waits to be written. */
  readonly keepsUp: boolean
  /** The requester waits this long for the reply. */
  request(frame: RequestFrame, timeoutMs: number): void
  /** Its reply to a request was refused; the requester has been told that there is none. */
  refused(error: unknown, sub: number, request: number): void
}

/** The index of responders is only used for matching and never delivers. */
const NO_RECIPIENT: Recipient = { deliver() {}, missed() {} }

/** A registered responder: a subscription of the index whose messages are requests. */
export class Offer extends Subscription {
  readonly responder: Responder
  /** Requests that it has not replied to. */
  readonly open = new Set<number>()

  constructor(responder: Responder, sub: number, words: readonly string[]) {
    super(NO_RECIPIENT, sub, words, undefined, 'drop-newest')
    this.responder = responder
  }
}

/** The matching responder with the fewest open requests, other than `except`. */
export function leastBusy(matching: readonly (readonly Offer[])[], except?: ReadonlySet<Responder>): Offer | undefined {
  let best: Offer | undefined
  for (const offers of matching) {
    for (const offer of offers) {
      if (except?.has(offer.responder)) continue
      if (!best || weight(offer) < weight(best)) best = offer
    }
  }
  return best
}

/** Responders that are behind are chosen last. */
function weight({ open, responder }: Offer): number {
  return open.size + (responder.keepsUp ? 0 : 1_000_000)
}
