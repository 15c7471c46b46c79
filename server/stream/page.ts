import { type Clock, wallTime } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { JsonMessage, StreamPage } from '../../shared/json-message.ts'
import type { Broker } from '../broker/broker.ts'
import { jsonMessage } from '../broker/json-message.ts'

/** About the most that a page holds, in bytes. */
const PAGE_BYTES = 1024 * 1024
/** About the most that is read for one: what is not shown, because it has expired or a newer value replaced it, costs too. */
const READ_BYTES = 4 * PAGE_BYTES

/** Messages of a stream from an offset on, `limit` at most. Rejects with `no_stream`. */
export async function readPage(
  broker: Broker,
  stream: string,
  from: number,
  limit: number,
  clock: Clock,
): Promise<StreamPage> {
  const state = broker.stream(stream)
  if (!state) throw new FanfareError('no_stream', `There is no stream "${stream}"`)
  const { epoch, next: end } = state
  const messages: JsonMessage[] = []
  let next = Math.max(from, state.first)
  for (let bytes = 0, read = 0; next < end && messages.length < limit && bytes < PAGE_BYTES && read < READ_BYTES; ) {
    const block = await broker.read(stream, next)
    let at = block?.find(next) ?? 0
    // What begins at the end is not safe yet; and nothing may be left where newer messages replaced all others.
    if (!block || at === block.count || block.offset(at) >= end) {
      next = end
      break
    }
    read += block.bytes
    for (; at < block.count && messages.length < limit && bytes < PAGE_BYTES; at++) {
      next = block.offset(at) + 1
      if (block.isHidden(at) || (block.expiresAt(at) ?? Number.POSITIVE_INFINITY) <= wallTime(clock)) continue
      const { wire } = block.entry(at)
      messages.push(jsonMessage(wire))
      bytes += block.wireBytes(at, at + 1)
    }
  }
  return { epoch, messages, next, end: next >= end }
}
