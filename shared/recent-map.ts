/**
 * A map that remembers what was used last: at least `least` entries, and at most twice as many. There are two generations:
 * a full young one becomes the old one, whose entries are forgotten unless they are used. So one key too many
 * costs the oldest their place, and not everything that is known.
 */
export class RecentMap<Key, Value> {
  private readonly least: number
  private young = new Map<Key, Value>()
  private old = new Map<Key, Value>()

  constructor(least: number) {
    this.least = least
  }

  get size(): number {
    return this.young.size + this.old.size
  }

  get(key: Key): Value | undefined {
    const known = this.young.get(key)
    if (known !== undefined || this.old.size === 0) return known
    const kept = this.old.get(key)
    if (kept !== undefined) this.set(key, kept)
    return kept
  }

  set(key: Key, value: Value): void {
    this.old.delete(key)
    if (this.young.size >= this.least && !this.young.has(key)) {
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(key, value)
  }

  delete(key: Key): void {
    this.young.delete(key)
    this.old.delete(key)
  }

  clear(): void {
    this.young.clear()
    this.old.clear()
  }

  /** Those that were used last come last. */
  *[Symbol.iterator](): IterableIterator<readonly [Key, Value]> {
    yield* this.old
    yield* this.young
  }
}
