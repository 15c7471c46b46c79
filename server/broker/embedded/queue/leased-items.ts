import type { QueueItem } from './queue-item.ts'

interface LeasedItem {
  readonly item: QueueItem
  /** Its end is in a commit that is under way. */
  ending: boolean
}

/** What of one queue is on lease. A lease has no deadline here: those of consumers are the queue layer's. */
export class LeasedItems {
  private readonly byId = new Map<number, LeasedItem>()

  /** Those that are held, and those that end in the commit under way. */
  get count(): number {
    return this.byId.size
  }

  add(id: number, item: QueueItem): void {
    this.byId.set(id, { item, ending: false })
  }

  holds(id: number): boolean {
    return this.byId.get(id)?.ending === false
  }

  itemOf(id: number): QueueItem | undefined {
    return this.byId.get(id)?.item
  }

  /** One that is held is to end: `remove` follows, or `rollback`. */
  end(id: number): QueueItem {
    const lease = this.byId.get(id) as LeasedItem
    lease.ending = true
    return lease.item
  }

  /** One that is there is over. */
  remove(id: number): QueueItem {
    const { item } = this.byId.get(id) as LeasedItem
    this.byId.delete(id)
    return item
  }

  /** Those that were to end are held again. */
  rollback(): void {
    for (const lease of this.byId.values()) lease.ending = false
  }
}
