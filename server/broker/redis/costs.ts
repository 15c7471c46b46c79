import type { LetterSteps } from '../letter-pages.ts'

// About what Redis needs for each of these, in microseconds: a turn has to end within a few milliseconds.

/** Maximum of a batch of messages in a queue, and the bytes after which it ends: a lease that wants fewer messages writes it once more, in pieces. */
export const BATCH_MESSAGES = 64
export const BATCH_BYTES = 16 * 1024

export const TASK_MICROS = 8
/** Messages of a batch, see `lua/queue-batches.ts`, and others. */
export const LEASE_MICROS = { packed: 2, inParts: 13 }
export const ACK_MICROS = { packed: 2, inParts: 12 }
export const QUEUED_MICROS = { packed: 5, inParts: 20 }
export const ENDING_MICROS = 50
export const GIVING_BACK_MICROS = 36
/** Of a dead letter. */
export const LETTER_MICROS = { deleted: 15, moved: 30 }
/** Dead letters that one op deletes or moves: not more than that takes as long as other long ops. */
export const LETTER_STEPS: LetterSteps = { deleted: 140, moved: 50, bytes: 256 * 1024 }
/** Leases that one op gives back, if their node does not know of them. */
export const BACK_AT_ONCE = 60
/** Bytes after which one op gives back no more. */
export const BACK_BYTES = 128 * 1024
/** Waiting messages that one op purges, if they are in no batch. */
export const PURGED_AT_ONCE = 100
/** An op that goes through many messages takes as many of them as this. */
export const LONG_MICROS = 2_200
export const STREAM_MICROS = 6
/** Another message goes first. */
export const MAKING_ROOM_MICROS = { 'drop-oldest': 26, 'dead-letter': 38 }
/** Of a byte. */
export const BYTE_MICROS = 0.008
