import type { DeadReason, QueueOptions } from '../../../shared/queues.ts'
import type { Ending } from '../broker.ts'

/** What happens to a message when its lease ends. */
export type Fate = { readonly kind: 'done' } | Retry | Death

/** The message waits for another attempt. */
export interface Retry {
  readonly kind: 'retry'
  /** Number of failed attempts so far. */
  readonly attempts: number
  readonly error: string | undefined
  readonly delayMs: number
}

/** The message becomes a dead letter. */
export interface Death {
  readonly kind: 'dead'
  readonly reason: DeadReason
  /** Number of attempts made. */
  readonly attempts: number
  /** The error of this attempt; undefined for the error of the last failed attempt. */
  readonly error: string | undefined
}

type Retries = Pick<QueueOptions, 'maxAttempts' | 'backoffBaseMs' | 'backoffCapMs'>
type Chance = { jitter(): number }

const DONE: Fate = { kind: 'done' }

/**
 * What happens when a lease ends. An ack removes the message. A nack is a failed attempt, and the last one dead-letters the
 * message. A reject does so however many attempts are left. A suspect message waits as after a failed attempt, but is not charged
 * for it.
 *
 * @param attempts number of failed attempts before this one
 */
export function fateOf(ending: Ending, attempts: number, options: Retries, chance: Chance): Fate {
  if (ending.kind === 'ack') return DONE
  const { kind, error } = ending
  if (kind === 'reject') return { kind: 'dead', reason: 'rejected', attempts: attempts + 1, error }
  if (kind === 'suspect') return { kind: 'retry', attempts, error, delayMs: backoffMs(attempts, options, chance) }
  if (attempts + 1 >= options.maxAttempts) return { kind: 'dead', reason: 'attempts', attempts: attempts + 1, error }
  const delayMs = ending.delayMs ?? backoffMs(attempts, options, chance)
  return { kind: 'retry', attempts: attempts + 1, error, delayMs }
}

/** What happens to an expired message; undefined if it is dropped. */
export function whenExpired({ onExpiry }: Pick<QueueOptions, 'onExpiry'>, attempts: number): Death | undefined {
  return onExpiry === 'dead-letter' ? { kind: 'dead', reason: 'expired', attempts, error: undefined } : undefined
}

/** What happens to a message that has to make space; undefined if it is dropped. */
export function whenOverflowing({ overflow }: Pick<QueueOptions, 'overflow'>, attempts: number): Death | undefined {
  return overflow === 'dead-letter' ? { kind: 'dead', reason: 'overflow', attempts, error: undefined } : undefined
}

/** The wait before the next attempt: it doubles from the base up to the cap, and half of it is random. */
function backoffMs(attempts: number, { backoffBaseMs, backoffCapMs }: Retries, chance: Chance): number {
  return Math.min(backoffCapMs, backoffBaseMs * 2 ** attempts) * (0.5 + chance.jitter() / 2)
}
