import { type Clock, realClock } from './clock.ts'

const START = Date.now() - performance.now()

/**
 * The time of this machine when the process began, counted on from there: it never jumps. By a clock that jumps an hour ahead
 * the hub would forget the ids of that hour and end every lease, and by one that jumps back hold what is delayed for as long.
 * Tokens go by `realClock`, as their issuers do.
 */
export const steadyClock: Clock = {
  ...realClock,
  now: () => Math.floor(START + performance.now()),
  wall: () => Date.now(),
}
