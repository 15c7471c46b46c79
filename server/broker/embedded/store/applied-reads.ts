import type { Key, Range, Snapshot, Store, StoreReader } from './store.ts'

/**
 * The store as the logs know it. LMDB shows a commit before the hub has applied it. A reader that compares this with limits from
 * before the commit draws wrong conclusions: it takes a message that retention has just removed for one that never existed. So
 * while a commit is in progress, all reads see the store from before, and from the moment in which the logs apply the commit they
 * see the store after it.
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

  /** Call when a commit has failed, or in the same step in which the logs apply it. */
  release(): void {
    this.before?.release()
    this.before = undefined
  }
}
