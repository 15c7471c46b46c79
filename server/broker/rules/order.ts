/**
 * The order of a queue. Ready messages are ordered by priority, then by their place: the order of arrival. The place never changes:
 * a message that was delayed, tried, given back or waiting for its group has the same place as after a restart.
 *
 * Messages with the same key form a group, of which only the head may go. Order within the group takes precedence over priority and
 * delay, so a head that is delayed or being retried holds up the rest of its group, but no other group.
 */

/** Priorities are 0 to 9; the highest goes first. */
export const PRIORITIES = 10

/** The priority of a message without one. */
export const DEFAULT_PRIORITY = 4

/** Compares places. */
export function byPlace(a: { readonly seq: number }, b: { readonly seq: number }): number {
  return a.seq - b.seq
}

/** Whether a message has to wait until it is due. */
export function isDelayed(dueAt: number, now: number): boolean {
  return dueAt > now
}

/** Whether its group allows a message to go. */
export function isItsTurn<Message>(message: Message, head: Message | undefined, parked: boolean): boolean {
  return !parked && head === message
}

/**
 * When a message is due that at `since` was to wait until `dueAt`. A clock that was set back since then must not make it wait
 * longer than intended.
 */
export function dueAfterRestart(dueAt: number, since: number, now: number): number {
  return Math.min(dueAt, now + Math.max(0, dueAt - since))
}
