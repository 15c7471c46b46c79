import type { StreamOptions } from '../../../shared/streams.ts'

/** The extent of a log: the oldest counting message, the next offset, and the bytes of its blocks. */
interface Extent {
  readonly first: number
  readonly next: number
  readonly bytes: number
}

/** The time of a message that comes after one of time `newest`: no message is older than one before it, whatever the clock says. */
export function timeAfter(newest: number, now: number): number {
  return Math.max(newest, now)
}

/** Whether a message is older than a stream's maximum age. */
export function isTooOld(time: number, now: number, { maxAgeMs }: Pick<StreamOptions, 'maxAgeMs'>): boolean {
  return time < now - maxAgeMs
}

/** The first moment at which a message is too old. */
export function tooOldAt(time: number, { maxAgeMs }: Pick<StreamOptions, 'maxAgeMs'>): number {
  return time + maxAgeMs + 1
}

/** The oldest message that `maxMessages` allows, or the previous one if it is later. */
export function firstByCount({ first, next }: Extent, { maxMessages }: Pick<StreamOptions, 'maxMessages'>): number {
  return maxMessages === undefined ? first : Math.max(first, next - maxMessages)
}

/**
 * Whether the oldest block is removed, whatever its age: nothing in it counts any more, or the log is too large. Blocks are removed
 * as a whole. The newest one stays, otherwise a stream smaller than a block would lose everything at once.
 */
export function isBlockOver(lastOffset: number, log: Extent, { maxBytes }: Pick<StreamOptions, 'maxBytes'>): boolean {
  return lastOffset < log.first || (log.bytes > maxBytes && lastOffset + 1 < log.next)
}
