import type { Item } from './queue-item.ts'

interface Lease {
  readonly item: Item
  /** Its end is in a commit that is under way. */
  ending: boolean
}

/** What of one queue is on lease. A lease has no deadline here: those of consumers are the queue layer's. */
export class Leases {
  private readonly byId = new Map<number, Lease>()

  /** Those that are held, and those that end in the commit under way. */
  get count(): number {
    return this.byId.size
  }

  add(id: number, item: Item): void {
    this.byId.set(id, { item, ending: false })
  }

  holds(id: number): boolean {
    return this.byId.get(id)?.ending === false
  }

  itemOf(id: number): Item | undefined {
    return this.byId.get(id)?.item
  }

  /** One that is held is to end: `remove` follows, or `rollback`. */
  end(id: number): Item {
    const lease = this.byId.get(id) as Lease
    lease.ending = true
    return lease.item
  }

  /** One that is there is over. */
  remove(id: number): Item {
    const { item } = this.byId.get(id) as Lease
    this.byId.delete(id)
    return item
  }

  /** Those that were to end are held again. */
  rollback(): void {
    for (const lease of this.byId.values()) lease.ending = false
  }
}
