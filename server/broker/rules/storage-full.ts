import type { Ending } from '../broker.ts'

/**
 * The purpose of a change, which decides how much of the last space it may use. `room` deletes something, which takes space before
 * it frees any; `failure` records what went wrong with a message; everything else is `message`. Each leaves space for the purposes
 * before it, otherwise failures would take what acks need.
 *
 * If changes share a commit that finds no space, only those with its purpose are refused with `storage_full`; the others are tried
 * without them. A failure that cannot be stored for lack of space does not count: the message is given back.
 */
export type Purpose = 'room' | 'failure' | 'message'

/** The purpose of a settlement together with what it publishes. */
export function purposeOfEnding({ kind }: Ending, publishes: boolean): Purpose {
  if (publishes) return 'message'
  return kind === 'ack' ? 'room' : 'failure'
}

/** The purpose of the changes of one commit together: the most demanding one. */
export function neediest(purposes: Iterable<Purpose>): Purpose {
  let most: Purpose = 'room'
  for (const purpose of purposes) {
    if (purpose === 'message') return purpose
    if (purpose === 'failure') most = purpose
  }
  return most
}
