import type { StreamOptions } from '../../../../shared/streams.ts'

/** The stored record of a stream, besides its messages; every commit that changes the stream replaces it as a whole. */
export interface StreamRecord {
  readonly id: number
  readonly options: StreamOptions
  readonly epoch: string
  first: number
  next: number
  trimmedTo: number
  bytes: number
  /** Messages stored, and how many of them have been replaced by newer values. */
  entries: number
  superseded: number
  lastTime: number
  cursors: number
  /** Existing messages that are not indexed yet since `lastValue` was switched on: from an offset up to another. */
  unindexed?: { readonly from: number; readonly to: number } | undefined
}
