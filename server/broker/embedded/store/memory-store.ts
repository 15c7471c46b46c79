import { Buffer } from 'node:buffer'
import BTree from 'sorted-btree'
import type { Change, Key, Range, Snapshot, Store } from './store.ts'

/** Stores everything in memory only: for tests, and for hubs that do not need a disk. */
export class MemoryStore implements Store {
  readonly failure = undefined
  readonly commitBytes = Number.POSITIVE_INFINITY
  private tree = new BTree.default<Key, Uint8Array>(undefined, compareKeys)

  get(key: Key): Uint8Array | undefined {
    return this.tree.get(key)
  }

  *range({ from, to, limit = Number.POSITIVE_INFINITY, reverse = false }: Range): Iterable<[Key, Uint8Array]> {
    let left = limit
    const start = reverse ? this.tree.nextLowerKey(to) : from
    if (start === undefined) return
    for (const pair of reverse ? this.tree.entriesReversed(start) : this.tree.entries(start)) {
      if (left-- <= 0 || (reverse ? compareKeys(pair[0], from) < 0 : compareKeys(pair[0], to) >= 0)) return
      yield pair
    }
  }

  *keys(range: Omit<Range, 'reverse'>): Iterable<Key> {
    for (const [key] of this.range(range)) yield key
  }

  /** Cheap: both share data that neither changes. */
  snapshot(): Snapshot {
    const copy = new MemoryStore()
    copy.tree = this.tree.clone()
    return {
      get: (key) => copy.get(key),
      range: (range) => copy.range(range),
      keys: (range) => copy.keys(range),
      release: () => copy.tree.clear(),
    }
  }

  commit(changes: readonly Change[]): Promise<void> {
    for (const { key, value } of changes) {
      if (value === undefined) this.tree.delete(key)
      else this.tree.set(key, ownBytes(value))
    }
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.tree.clear()
    return Promise.resolve()
  }
}

/** Node's small Buffers share slabs of 8 KiB: a stored value would keep its whole slab alive. */
function ownBytes(value: Uint8Array): Uint8Array {
  if (value.buffer.byteLength === value.byteLength) return value
  return Buffer.from(new Uint8Array(value).buffer)
}

function compareKeys(a: Key, b: Key): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const left = a[at] as string | number
    const right = b[at] as string | number
    if (left === right) continue
    if (typeof left !== typeof right) return typeof left === 'number' ? -1 : 1
    return left < right ? -1 : 1
  }
  return a.length - b.length
}
