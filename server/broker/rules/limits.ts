import type { Overflow, QueueOptions } from '../../../shared/queues.ts'

type QueueLimits = Pick<QueueOptions, 'maxMessages' | 'maxBytes'>

/** Messages and their bytes. */
export interface Amount {
  readonly messages: number
  readonly bytes: number
}

/** Whether a queue that holds this much is within its limits. */
export function isWithin({ maxMessages, maxBytes }: QueueLimits, messages: number, bytes: number): boolean {
  return messages <= maxMessages && bytes <= maxBytes
}

/** Whether the overflow makes room from the head. What is in flight never makes room. */
export function makesRoom(overflow: Overflow): boolean {
  return overflow === 'drop-oldest' || overflow === 'dead-letter'
}

/**
 * Where a queue finds room for more: it is free, or made by the overflow, or awaited from consumers; or there is none, and
 * what needs it is refused.
 */
export type QueueRoom = 'free' | 'made' | 'awaited' | 'none'

/**
 * Decides on the room for `more`.
 *
 * @param held all that the queue holds, what is in flight included
 * @param waiting of these, what could make room
 */
export function roomFor(
  options: QueueLimits & Pick<QueueOptions, 'overflow'>,
  held: Amount,
  waiting: Amount,
  more: Amount,
): QueueRoom {
  const { overflow, maxBytes } = options
  const messages = held.messages + more.messages
  const bytes = held.bytes + more.bytes
  if (isWithin(options, messages, bytes)) return 'free'
  // All that it holds may leave some day.
  if (overflow === 'block') return more.bytes <= maxBytes ? 'awaited' : 'none'
  const made = makesRoom(overflow) && isWithin(options, messages - waiting.messages, bytes - waiting.bytes)
  return made ? 'made' : 'none'
}
