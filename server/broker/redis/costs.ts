import type { LetterSteps } from '../letter-pages.ts'

// About what Redis needs for each of these, in microseconds: a turn has to end within a few milliseconds.

export const TASK_MICROS = 8
export const ENDING_MICROS = 25
export const GIVING_BACK_MICROS = 20
/** Of a dead letter. */
export const LETTER_MICROS = { deleted: 15, moved: 30 }
/** Dead letters that one op deletes or moves: not more than that takes as long as other long ops. */
export const LETTER_STEPS: LetterSteps = { deleted: 140, moved: 50, bytes: 256 * 1024 }
/** Leases that one op gives back, if their node does not know of them. */
export const BACK_AT_ONCE = 100
/** Waiting messages that one op purges, if they are stored in parts. */
export const PURGED_AT_ONCE = 100
/** An op that goes through many messages takes as many of them as this. */
export const LONG_MICROS = 2_200
/** Whole messages, see `lua/queues.ts`, and others. */
export const LEASE_MICROS = { whole: 4, inParts: 13 }
export const ACK_MICROS = { whole: 2, inParts: 12 }
export const STREAM_MICROS = 6
export const QUEUED_MICROS = { whole: 7, inParts: 30 }
/** Another message goes first. */
export const MAKING_ROOM_MICROS = { 'drop-oldest': 26, 'dead-letter': 38 }
/** Of a byte. */
export const BYTE_MICROS = 0.008
