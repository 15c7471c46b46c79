import type { Key, Range, Snapshot, Store, StoreReader } from './store.ts'

/**
 * The store as the logs know it. LMDB shows a commit before the hub has applied it, and a reader that compares what it
 * finds with bounds from before that commit draws wrong conclusions: it takes a message that retention has just removed for
 * one that never was. So while a commit is under way all reads see the store from before, and in the moment in which the
 * logs apply the commit they see the one after.
 */
export class AppliedReads implements StoreReader {
  private readonly store: Store
  private before: Snapshot | undefined = undefined

  constructor(store: Store) {
    this.store = store
  }

  get(key: Key): Uint8Array | undefined {
    return (this.before ?? this.store).get(key)
  }

  range(range: Range): Iterable<readonly [Key, Uint8Array]> {
    return (this.before ?? this.store).range(range)
  }

  keys(range: Omit<Range, 'reverse'>): Iterable<Key> {
    return (this.before ?? this.store).keys(range)
  }

  /** Call before a commit. */
  hold(): void {
    this.before ??= this.store.snapshot()
  }

  /** Call when a commit has failed, or when the logs apply it, in the same step. */
  release(): void {
    this.before?.release()
    this.before = undefined
  }
}
