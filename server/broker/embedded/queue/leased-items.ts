import type { QueueItem } from './queue-item.ts'

interface LeasedItem {
  readonly item: QueueItem
  /** Whether its settlement is in a commit in progress. */
  ending: boolean
}

/** The leased messages of one queue. Leases have no deadline here: the queue layer handles consumers' deadlines. */
export class LeasedItems {
  private readonly byId = new Map<number, LeasedItem>()

  /** The number of held messages, including those that end with the commit in progress. */
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

  /** A held message is to end: `remove` or `rollback` follows. */
  end(id: number): QueueItem {
    const lease = this.byId.get(id) as LeasedItem
    lease.ending = true
    return lease.item
  }

  /** Removes a leased message. */
  remove(id: number): QueueItem {
    const { item } = this.byId.get(id) as LeasedItem
    this.byId.delete(id)
    return item
  }

  /** Messages that were to end are held again. */
  rollback(): void {
    for (const lease of this.byId.values()) lease.ending = false
  }
}
