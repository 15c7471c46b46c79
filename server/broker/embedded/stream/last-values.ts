import { isReplaced, valueName } from '../../rules/last-value.ts'
import { fromJson, toJson, under, valueKey } from '../store/keys.ts'
import type { Change, StoreReader } from '../store/store.ts'
import type { Entry, StoredBlock } from '../stored-block.ts'

/** The current values of a last-value stream: the newest offset of each topic and key. */
export class LastValues {
  private readonly store: StoreReader
  private readonly id: number
  /** The current values according to the commit in progress. */
  private readonly staged = new Map<string, number>()

  constructor(store: StoreReader, id: number) {
    this.store = store
    this.id = id
  }

  /** Includes staged values. */
  newestOf(topic: string, key: string | undefined): number | undefined {
    return this.staged.get(valueName(topic, key)) ?? this.standing(topic, key)
  }

  add(topic: string, key: string | undefined, offset: number): void {
    this.staged.set(valueName(topic, key), offset)
  }

  /** The offsets of all keys of a topic. */
  offsetsOf(topic: string): number[] {
    return [...this.store.range(under('v', this.id, topic))].map(([, value]) => fromJson(value) as number)
  }

  /** How many of the first entries of a block have not been replaced by newer values. */
  countStanding(block: StoredBlock, entries: number): number {
    let count = 0
    for (let at = 0; at < entries; at++) {
      if (this.standing(block.topic(at), block.key(at)) === block.offset(at)) count++
    }
    return count
  }

  hideSuperseded(block: StoredBlock): void {
    for (let at = 0; at < block.count; at++) {
      if (isReplaced(block.offset(at), this.standing(block.topic(at), block.key(at)))) block.hide(at)
    }
  }

  /** Adds to a commit which of its entries are current values. */
  finish(entries: readonly Entry[], changes: Change[]): void {
    if (this.staged.size === 0) return
    for (const { topic, key, offset } of entries) {
      if (this.staged.get(valueName(topic, key)) !== offset) continue
      changes.push({ key: valueKey(this.id, topic, key), value: toJson(offset) })
    }
  }

  /**
   * Indexes values that were stored before `lastValue` was switched on; returns how many of them have been replaced. A value before
   * `first` has been removed, and replaces nothing.
   */
  index(block: StoredBlock, first: number, changes: Change[]): number {
    let superseded = 0
    for (let at = block.find(first); at < block.count; at++) {
      const [topic, key, offset] = [block.topic(at), block.key(at), block.offset(at)]
      const newest = this.newestOf(topic, key)
      if (newest !== undefined && newest >= first && newest !== offset) superseded++
      if (newest !== undefined && newest >= offset) continue
      this.add(topic, key, offset)
      changes.push({ key: valueKey(this.id, topic, key), value: toJson(offset) })
    }
    return superseded
  }

  /** Removes the values of a deleted block; returns how many of them had been replaced. */
  forget(block: StoredBlock, changes: Change[]): number {
    let superseded = 0
    for (let at = 0; at < block.count; at++) {
      const [topic, key] = [block.topic(at), block.key(at)]
      if (isReplaced(block.offset(at), this.newestOf(topic, key))) superseded++
      else changes.push({ key: valueKey(this.id, topic, key), value: undefined })
    }
    return superseded
  }

  /** The commit has ended, whether or not it succeeded: the store has the current values. */
  settle(): void {
    this.staged.clear()
  }

  private standing(topic: string, key: string | undefined): number | undefined {
    const stored = this.store.get(valueKey(this.id, topic, key))
    return stored && (fromJson(stored) as number)
  }
}
