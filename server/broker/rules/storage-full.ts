import type { Ending } from '../broker.ts'

/**
 * The purpose of a change, which decides how much of the last room it may use. `room` deletes something, which takes room before
 * it gives any; `failure` keeps what went wrong with a message; everything else is `message`. Each leaves room for those
 * before it, or failures would take what acks need.
 *
 * So where changes share a commit that finds no room, only those of its purpose are refused with `storage_full`; the others
 * are tried without them. A failure that there is no room to keep does not count: the message is given back.
 */
export type Purpose = 'room' | 'failure' | 'message'

/** What the end of a lease is for, together with what it publishes. */
export function purposeOfEnding({ kind }: Ending, publishes: boolean): Purpose {
  if (publishes) return 'message'
  return kind === 'ack' ? 'room' : 'failure'
}

/** What changes of one commit are for together: what the neediest of them is. */
export function neediest(purposes: Iterable<Purpose>): Purpose {
  let most: Purpose = 'room'
  for (const purpose of purposes) {
    if (purpose === 'message') return purpose
    if (purpose === 'failure') most = purpose
  }
  return most
}
