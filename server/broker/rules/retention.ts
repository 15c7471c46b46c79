import type { StreamOptions } from '../../../shared/streams.ts'

/** The bounds of a log: the oldest message that counts, the offset that comes next, and the bytes of its blocks. */
interface Extent {
  readonly first: number
  readonly next: number
  readonly bytes: number
}

/** The time of a message that comes after one of `newest`: no message is older than one before it, whatever the clock says. */
export function timeAfter(newest: number, now: number): number {
  return Math.max(newest, now)
}

/** Whether a message is past the age that a stream keeps. */
export function isTooOld(time: number, now: number, { maxAgeMs }: Pick<StreamOptions, 'maxAgeMs'>): boolean {
  return time < now - maxAgeMs
}

/** The first moment at which a message is too old. */
export function tooOldAt(time: number, { maxAgeMs }: Pick<StreamOptions, 'maxAgeMs'>): number {
  return time + maxAgeMs + 1
}

/** The oldest message that `maxMessages` keeps, or that counted before. */
export function firstByCount({ first, next }: Extent, { maxMessages }: Pick<StreamOptions, 'maxMessages'>): number {
  return maxMessages === undefined ? first : Math.max(first, next - maxMessages)
}

/**
 * Whether the oldest block goes, whatever its age: nothing in it counts, or the log is too large. Blocks go whole. The newest
 * one stays, or a stream smaller than a block would lose all that it has at once.
 */
export function isBlockOver(lastOffset: number, log: Extent, { maxBytes }: Pick<StreamOptions, 'maxBytes'>): boolean {
  return lastOffset < log.first || (log.bytes > maxBytes && lastOffset + 1 < log.next)
}
