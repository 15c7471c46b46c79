import type { StreamOptions } from '../../../shared/streams.ts'
import type { StreamState } from '../broker.ts'
import { tooOldAt } from '../rules/retention.ts'
import type { StreamNumbers } from './answers.ts'

/** More than retention can do at once was due: what `oldest` says then. */
const MORE = 1

/** What this node has seen of a stream. */
export class StreamMirror implements StreamState {
  readonly number: number
  options: StreamOptions
  readonly epochBase: string
  /** Of the space. */
  incarnation: number
  first = 0
  next = 0
  trimmedTo = 0
  bytes = 0
  entries = 0
  superseded = 0
  newestTime = 0
  cursorCount = 0
  /** What `lastValue` has not indexed yet: from an offset up to another, if that is not 0. */
  unindexed = { from: 0, to: 0 }
  /** When the oldest message that counts was published; 0 if there is none. */
  oldest = 0

  constructor(number: number, options: StreamOptions, epochBase: string, incarnation: number) {
    this.number = number
    this.options = options
    this.epochBase = epochBase
    this.incarnation = incarnation
  }

  get epoch(): string {
    return this.incarnation === 0 ? this.epochBase : `${this.epochBase}-${this.incarnation}`
  }

  get messages(): number {
    return this.countMessages(0)
  }

  /** With `stale` values that are stored before the first one that counts. */
  countMessages(stale: number): number {
    const { first, next, entries, superseded, options } = this
    return options.lastValue ? Math.max(0, Math.min(next - first, entries - superseded - stale)) : next - first
  }

  /** When retention has something to do that no message brings about. */
  get retainAt(): number {
    if (this.oldest === 0) return Number.POSITIVE_INFINITY
    return this.oldest === MORE ? 0 : tooOldAt(this.oldest, this.options)
  }

  take([, first, next, trimmed, bytes, entries, superseded, time, cursors, from, to, oldest]: StreamNumbers): void {
    this.first = first as number
    this.next = next as number
    this.trimmedTo = trimmed as number
    this.bytes = bytes as number
    this.entries = entries as number
    this.superseded = superseded as number
    this.newestTime = time as number
    this.cursorCount = cursors as number
    this.unindexed = { from: from as number, to: to as number }
    this.oldest = oldest as number
  }
}
