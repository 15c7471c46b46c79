import type { Overflow, QueueOptions } from '../../../shared/queues.ts'

type QueueLimits = Pick<QueueOptions, 'maxMessages' | 'maxBytes'>

/** A number of messages and their bytes. */
export interface Amount {
  readonly messages: number
  readonly bytes: number
}

/** Whether a queue that holds this much is within its limits. */
export function isWithin({ maxMessages, maxBytes }: QueueLimits, messages: number, bytes: number): boolean {
  return messages <= maxMessages && bytes <= maxBytes
}

/** Whether the overflow policy makes space at the head. Messages in flight never make space. */
export function makesRoom(overflow: Overflow): boolean {
  return overflow === 'drop-oldest' || overflow === 'dead-letter'
}

/**
 * How a queue gets space: it is free, or made by the overflow policy, or awaited from consumers. With `none`, the publish is
 * refused.
 */
export type QueueRoom = 'free' | 'made' | 'awaited' | 'none'

/**
 * Decides how to get space for `more`.
 *
 * @param held everything in the queue, messages in flight included
 * @param waiting the part of it that could make space
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
  // Everything in the queue may leave some day.
  if (overflow === 'block') return more.bytes <= maxBytes ? 'awaited' : 'none'
  const made = makesRoom(overflow) && isWithin(options, messages - waiting.messages, bytes - waiting.bytes)
  return made ? 'made' : 'none'
}
