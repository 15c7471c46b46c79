import { type Clock, wallTime } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { JsonMessage, StreamPage } from '../../shared/json-message.ts'
import type { Broker, StreamState } from '../broker/broker.ts'
import { jsonMessage } from '../broker/json-message.ts'
import { isExpired } from '../broker/rules/expiry.ts'

/** Approximate maximum size of a page, in bytes. */
const PAGE_BYTES = 1024 * 1024
/** Approximate maximum read for a page, in bytes: messages that are not shown, because they expired or were replaced, cost too. */
const READ_BYTES = 4 * PAGE_BYTES

/**
 * Messages of a stream from an offset on, up to `limit`, whose topic `mayRead` permits. The topic is checked because the stream may
 * still hold messages that it captured before its topics were narrowed. Rejects with `no_stream`.
 */
export async function readPage(
  broker: Broker,
  stream: string,
  { from, limit }: { readonly from: number; readonly limit: number },
  mayRead: (topic: string) => boolean,
  clock: Clock,
): Promise<StreamPage> {
  const isAhead = from > (broker.stream(stream)?.next ?? from)
  // A page of another hub may have ended where this one has not been yet.
  if (isAhead) await broker.catchUp()
  const state = broker.stream(stream)
  if (!state) throw new FanfareError('no_stream', `There is no stream "${stream}". Declare it, or correct its name.`)
  const { epoch, first, next: end } = state
  const start = Math.min(Math.max(from, first), end)
  const messages: JsonMessage[] = []
  let next = start
  let [bytes, read] = [0, 0]
  const isFull = () => messages.length >= limit || bytes >= PAGE_BYTES
  while (next < end && !isFull() && read < READ_BYTES) {
    // Messages that were deleted in the meantime begin the next page, so that this one has no hole.
    if (next > start && isGone(broker.stream(stream), epoch, next)) break
    const block = await broker.read(stream, next)
    // Nothing may be left if newer messages have replaced all others.
    if (!block || block.firstOffset >= end) {
      next = end
      break
    }
    read += block.bytes
    const readable = block.topics.map(mayRead)
    for (let at = block.find(next); at < block.count && block.offset(at) < end && !isFull(); at++) {
      next = block.offset(at) + 1
      if (!readable[block.topicAt(at)] || block.isHidden(at)) continue
      if (isExpired(block.expiresAt(at), wallTime(clock))) continue
      messages.push(jsonMessage(block.wire(at)))
      bytes += block.wireBytes(at, at + 1)
    }
    if (block.lastOffset >= end && !isFull()) next = end
  }
  return { epoch, from: start, messages, next, end: next >= end }
}

function isGone(state: StreamState | undefined, epoch: string, offset: number): boolean {
  return state?.epoch !== epoch || state.first > offset
}
