import { BatchBuilder } from '../engine/batch.ts'
import type { Encoded } from '../topic/encoded.ts'
import type { Outgoing } from './outgoing.ts'

/** Receipts merged into one frame have at most this many bytes plus one receipt, because WebSocket messages are split between frames. */
const RECEIPTS_BYTES = 4096

/**
 * The frames appended to an outbox in this turn, as a chain shared by all outboxes that hold the same ones. Outboxes at the same
 * chain that append the same frame get the same next chain: a delivery costs one comparison, and the chain is joined once for all.
 */
export class FrameChain {
  bytes: number
  readonly count: number
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
  }

  extend(frame: Encoded): FrameChain {
    // Only the newest is remembered, because a message reaches all its subscribers before the next message arrives.
    if (this.next?.last === frame) return this.next
    this.next = new FrameChain(this, frame)
    return this.next
  }

  /**
   * Adds a receipt to the receipts at the end of the chain. Returns false if there are none, or enough. A chain that ends with
   * receipts is not shared, because they belong to one connection.
   */
  addReceipt(json: string): boolean {
    const { last } = this
    if (last === undefined || last.receipts === 0 || last.bytes > RECEIPTS_BYTES || this.outgoing) return false
    last.addReceipt(json)
    this.bytes += json.length + 1
    return true
  }

  toOutgoing(): Outgoing {
    this.outgoing ??= this.join()
    return this.outgoing
  }

  private join(): Outgoing {
    const frames: Encoded[] = []
    let chain: FrameChain | undefined = this
    for (; chain?.last !== undefined && !chain.outgoing; chain = chain.previous) frames.push(chain.last)
    // From now on only the joined bytes are needed, even if this chain waits for long.
    this.previous = undefined
    const builder = new BatchBuilder()
    let messages = 0
    let receipts = 0
    for (let at = frames.length - 1; at >= 0; at--) {
      const frame = frames[at] as Encoded
      builder.add(frame)
      if (frame.id !== undefined) messages++
      receipts += frame.receipts
    }
    const batch = builder.build()
    const before = chain?.outgoing
    if (!before) return { batch, messages, receipts }
    // An outbox that wrote before the turn ended has joined the beginning and cut off what led to it.
    return {
      batch: before.batch.followedBy(batch),
      messages: before.messages + messages,
      receipts: before.receipts + receipts,
    }
  }
}
