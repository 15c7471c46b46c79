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

/**
 * Where the embedded broker keeps its bytes: one ordered map, read at once and changed in atomic steps.
 *
 * Order: commits take effect in the order of their calls. Loss: a commit that rejects has changed nothing. Ownership:
 * values given and returned are never changed afterwards by either side.
 */
export interface Store {
  get(key: Key): Uint8Array | undefined
  range(range: Range): Iterable<readonly [Key, Uint8Array]>
  /**
   * Applies all changes or none. Resolves when they are visible to reads, and if `durable` when they are on disk.
   * Rejects with `storage_full` where there is no room, `storage_failed` for everything else. One that `makesRoom` may use
   * what has been kept back for it: also to remove takes room.
   */
  commit(changes: readonly Change[], durable: boolean, makesRoom: boolean): Promise<void>
  close(): Promise<void>
}
