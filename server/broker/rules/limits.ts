import type { Overflow, QueueOptions } from '../../../shared/queues.ts'

type Limits = Pick<QueueOptions, 'maxMessages' | 'maxBytes'>

/** Messages and their bytes. */
export interface Amount {
  readonly messages: number
  readonly bytes: number
}

/** Whether a queue that holds this much is within its limits. */
export function isWithin({ maxMessages, maxBytes }: Limits, messages: number, bytes: number): boolean {
  return messages <= maxMessages && bytes <= maxBytes
}

/** Whether the overflow makes room from the head. What is in flight never makes room. */
export function makesRoom(overflow: Overflow): boolean {
  return overflow === 'drop-oldest' || overflow === 'dead-letter'
}

/**
 * Whether a queue could take `more`: now, or once its overflow has made room, or for `block`, once consumers have.
 *
 * @param held all that it holds, what is in flight included
 * @param waiting of these, what could make room
 */
export function couldTake(
  options: Limits & Pick<QueueOptions, 'overflow'>,
  held: Amount,
  waiting: Amount,
  more: Amount,
): boolean {
  const { overflow, maxBytes } = options
  // All that it holds may leave some day.
  if (overflow === 'block') return more.bytes <= maxBytes
  const stays = makesRoom(overflow) ? waiting : NOTHING
  return isWithin(options, held.messages - stays.messages + more.messages, held.bytes - stays.bytes + more.bytes)
}

const NOTHING: Amount = { messages: 0, bytes: 0 }
