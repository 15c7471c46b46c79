import { type Clock, wallTime } from '../../shared/clock.ts'
import type { HeaderFilter, MessageHeaders } from '../../shared/frames.ts'
import { passesFilter } from '../../shared/header-filter.ts'
import { matchesPattern } from '../../shared/topic.ts'
import type { Block } from '../broker/broker.ts'
import { isExpired } from '../broker/rules/expiry.ts'
import { splitRecord } from '../broker/rules/record.ts'

/** Stored messages in wire format: each the content of a WebSocket message. */
export interface Stretch {
  readonly wires: Uint8Array
  readonly binary: boolean
  /** Number of messages. */
  readonly count: number
}

/** Maximum bytes per WebSocket message; see `PART_BYTES` of the engines, minus room for the frame `only`. */
const STRETCH_BYTES = 14_000

/** Selects the messages of a stream that a subscription wants. */
export class Selection {
  private readonly words: readonly string[]
  private readonly filter: HeaderFilter | undefined
  private readonly clock: Clock

  constructor(words: readonly string[], filter: HeaderFilter | undefined, clock: Clock) {
    this.words = words
    this.filter = filter
    this.clock = clock
  }

  /**
   * The wanted messages of a block from a place on, until there are about `bytes`; `picks` restricts them to those offsets. Returns
   * where the next call continues.
   */
  take(block: Block, from: number, bytes: number, picks: ReadonlySet<number> | undefined): [Stretch[], number] {
    const now = wallTime(this.clock)
    const topics = block.topics.map((topic) => matchesPattern(this.words, topic.split('.')))
    const wanted = (at: number) =>
      topics[block.topicAt(at)] === true &&
      !block.isHidden(at) &&
      !isExpired(block.expiresAt(at), now) &&
      (picks === undefined || picks.has(block.offset(at))) &&
      (this.filter === undefined || passesFilter(this.filter, headersOf(block, at)))
    const stretches: Stretch[] = []
    let taken = 0
    let at = from
    while (at < block.count && taken < bytes) {
      if (!wanted(at)) {
        at++
        continue
      }
      const start = at++
      const binary = block.isBinary(start)
      while (at < block.count && block.isBinary(at) === binary && wanted(at)) {
        if (block.wireBytes(start, at + 1) > Math.min(STRETCH_BYTES, bytes - taken)) break
        at++
      }
      stretches.push({ wires: block.wires(start, at), binary, count: at - start })
      taken += block.wireBytes(start, at)
    }
    return [stretches, at]
  }
}

/** Only subscriptions with a filter pay for parsing. */
function headersOf(block: Block, at: number): MessageHeaders | undefined {
  const wire = block.wires(at, at + 1)
  const text = block.isBinary(at) ? splitRecord(wire).header : wire.toString()
  return (JSON.parse(text) as { headers?: MessageHeaders }).headers
}
