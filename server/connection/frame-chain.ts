import { type Batch, BatchBuilder } from '../engine/batch.ts'
import type { Encoded } from '../topic/encoded.ts'
import { isReceipt, type Outgoing } from './outgoing.ts'

/**
 * The frames appended to an outbox in this turn, as a chain shared by all outboxes that hold the same ones. Whoever
 * stands at the same chain and appends the same frame gets the same next chain: a delivery costs one comparison, and the
 * chain is joined once for all.
 */
export class FrameChain {
  readonly bytes: number
  readonly count: number
  private readonly messages: number
  private readonly receipts: number
  readonly first: Encoded | undefined
  readonly last: Encoded | undefined
  private previous: FrameChain | undefined
  private next: FrameChain | undefined = undefined
  private outgoing: Outgoing | undefined = undefined

  constructor(previous?: FrameChain, frame?: Encoded) {
    this.previous = previous
    this.first = previous?.first ?? frame
    this.last = frame
    this.count = (previous?.count ?? -1) + 1
    this.bytes = (previous?.bytes ?? 0) + (frame?.bytes ?? 0)
    this.messages = (previous?.messages ?? 0) + (frame?.id === undefined ? 0 : 1)
    this.receipts = (previous?.receipts ?? 0) + (frame && isReceipt(frame) ? 1 : 0)
  }

  extend(frame: Encoded): FrameChain {
    // Only the newest is remembered: a message reaches all of its subscribers before the next message comes.
    if (this.next?.last === frame) return this.next
    this.next = new FrameChain(this, frame)
    return this.next
  }

  toOutgoing(): Outgoing {
    this.outgoing ??= { batch: this.join(), messages: this.messages, receipts: this.receipts }
    return this.outgoing
  }

  private join(): Batch {
    const frames: Encoded[] = []
    let chain: FrameChain | undefined = this
    for (; chain?.last !== undefined && !chain.outgoing; chain = chain.previous) frames.push(chain.last)
    // The joined bytes are all that is needed now, also where this chain waits for long.
    this.previous = undefined
    const builder = new BatchBuilder()
    for (let at = frames.length - 1; at >= 0; at--) builder.add(frames[at] as Encoded)
    const batch = builder.build()
    // Whoever wrote before the turn ended has joined the beginning, and cut off what led to it.
    return chain?.outgoing ? chain.outgoing.batch.followedBy(batch) : batch
  }
}
