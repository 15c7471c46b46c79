/**
 * The order of a queue. What is ready goes by priority, and among equals by its place: the order in which it came. Nothing
 * changes a place: a message that was delayed, tried, given back or waiting for its group has the place that it would have
 * after a restart.
 *
 * Messages with one key are a group, of which only the head may go: order in the group takes precedence over priority and
 * delay, so that a head that is delayed, or is being retried, holds up what is behind it and no other group.
 */

/** Priorities are 0 to 9; the highest goes first. */
export const PRIORITIES = 10

/** Of a message without a priority. */
export const DEFAULT_PRIORITY = 4

/** Compares places. */
export function byPlace(a: { readonly seq: number }, b: { readonly seq: number }): number {
  return a.seq - b.seq
}

/** Whether a message has to wait for its time. */
export function isDelayed(dueAt: number, now: number): boolean {
  return dueAt > now
}

/** Whether its group lets a message go. */
export function isItsTurn<Message>(message: Message, head: Message | undefined, parked: boolean): boolean {
  return !parked && head === message
}

/**
 * When a message may be delivered that was told at `since` to wait until `dueAt`. A clock that was set back since then
 * must not make it wait for longer than was asked.
 */
export function dueAfterRestart(dueAt: number, since: number, now: number): number {
  return Math.min(dueAt, now + Math.max(0, dueAt - since))
}
