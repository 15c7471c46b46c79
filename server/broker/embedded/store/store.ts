import type { Purpose } from '../../rules/storage-full.ts'

/** Ordered element by element, numbers before strings. */
export type Key = (string | number)[]

export interface Change {
  readonly key: Key
  /** Undefined removes. */
  readonly value: Uint8Array | undefined
}

export interface Range {
  readonly from: Key
  /** Exclusive. */
  readonly to: Key
  readonly limit?: number
  /** Iterates from the last key to the first. */
  readonly reverse?: boolean
}

/** Read access to a store. */
export interface StoreReader {
  get(key: Key): Uint8Array | undefined
  range(range: Range): Iterable<readonly [Key, Uint8Array]>
  /** Only the keys, without reading values. */
  keys(range: Omit<Range, 'reverse'>): Iterable<Key>
}

/** The store as it was at one moment, whatever is committed later. It keeps disk pages in use until it is released. */
export interface Snapshot extends StoreReader {
  release(): void
}

/**
 * The storage of the embedded broker: one ordered map that is read synchronously and changed in atomic steps.
 *
 * Order: commits take effect in the order of the calls. Loss: a commit that rejects has changed nothing, except with
 * `outcome_unknown`; after that the store accepts no further commits. Ownership: neither side changes values after they were passed
 * or returned.
 */
export interface Store extends StoreReader {
  /** Why nothing can be stored any more until the hub is restarted; undefined if the store works. */
  readonly failure: string | undefined
  /** Recommended maximum bytes of messages per commit: a full disk may accept small commits but not large ones. */
  readonly commitBytes: number
  snapshot(): Snapshot
  /**
   * Applies all changes or none. Resolves when they are visible to reads, and as durable as the store can make them: on disk, if it
   * has one. Reads may see them earlier; a reader that must not see them needs a snapshot. Rejects with `storage_full` if there is
   * no space for its purpose, with `outcome_unknown` if the store cannot tell whether it was applied, and with `storage_failed` for
   * everything else.
   */
  commit(changes: readonly Change[], purpose: Purpose): Promise<void>
  close(): Promise<void>
}
