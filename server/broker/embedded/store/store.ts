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
  /** From the last towards the first. */
  readonly reverse?: boolean
}

/** What can be read. */
export interface Reader {
  get(key: Key): Uint8Array | undefined
  range(range: Range): Iterable<readonly [Key, Uint8Array]>
  /** The keys only: values are not read. */
  keys(range: Omit<Range, 'reverse'>): Iterable<Key>
}

/** The store as it was at one moment, whatever is committed later. It holds pages of the disk until it is released. */
export interface Snapshot extends Reader {
  release(): void
}

/**
 * Where the embedded broker keeps its bytes: one ordered map, read at once and changed in atomic steps.
 *
 * Order: commits take effect in the order of their calls. Loss: a commit that rejects has changed nothing, except with `outcome_unknown`: after that the store
 * takes no further commits. Ownership:
 * values given and returned are never changed afterwards by either side.
 */
export interface Store extends Reader {
  /** Why nothing can be kept any more until the hub is started again; undefined while all is well. */
  readonly failure: string | undefined
  /** Bytes of messages that one commit should bring at most: a disk that is full may take small commits, not large ones. */
  readonly commitBytes: number
  snapshot(): Snapshot
  /**
   * Applies all changes or none. Resolves when they are visible to reads, and as safe as the store makes them: on disk,
   * for one that has a disk. Reads may show them earlier: a reader that must not see them needs a snapshot.
   * Rejects with `storage_full` if there is no room for its purpose, with `outcome_unknown` if the store cannot tell whether it was
   * applied, and with `storage_failed` for everything else.
   */
  commit(changes: readonly Change[], purpose: Purpose): Promise<void>
  close(): Promise<void>
}
