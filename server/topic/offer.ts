import type { RequestFrame } from '../../shared/frames.ts'
import { type Recipient, Subscription } from './subscription.ts'

/** Who answers: a connection, or another node. */
export interface Responder {
  /** Nothing waits to be written. */
  readonly keepsUp: boolean
  /** The asker waits this long for the answer. */
  request(frame: RequestFrame, timeoutMs: number): void
  /** Its reply to a request was refused: whoever asked has been told that there is none. */
  refused(error: unknown, sub: number, request: number): void
}

/** The index of offers is asked for who matches, and never delivers. */
const NOBODY: Recipient = { deliver() {}, missed() {} }

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

/** Of the offers that match, the one with the fewest open requests. */
export function leastBusy(matching: readonly (readonly Offer[])[]): Offer | undefined {
  let best: Offer | undefined
  for (const offers of matching) {
    for (const offer of offers) {
      if (!best || weight(offer) < weight(best)) best = offer
    }
  }
  return best
}

/** Who does not read comes after all that do. */
function weight({ open, responder }: Offer): number {
  return open.size + (responder.keepsUp ? 0 : 1_000_000)
}
