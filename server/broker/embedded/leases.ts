import type { Item } from './queue-item.ts'

interface Lease {
  readonly item: Item
  deadline: number
  /** Its end is in a commit that is under way. */
  ending: boolean
}

/** What is with the consumers of one queue, and until when. */
export class Leases {
  private readonly byId = new Map<number, Lease>()

  /** Those that are held, and those that end in the commit under way. */
  get count(): number {
    return this.byId.size
  }

  add(id: number, item: Item, deadline: number): void {
    this.byId.set(id, { item, deadline, ending: false })
  }

  holds(id: number): boolean {
    return this.byId.get(id)?.ending === false
  }

  /** Gives one more time. False: it is lost. */
  extend(id: number, ms: number, now: number): boolean {
    const lease = this.byId.get(id)
    if (!lease || lease.ending) return false
    lease.deadline = now + ms
    return true
  }

  /** Those that have run out. */
  overdue(now: number): number[] {
    const ids: number[] = []
    for (const [id, { deadline, ending }] of this.byId) if (deadline <= now && !ending) ids.push(id)
    return ids
  }

  /** When the first runs out. */
  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { deadline, ending } of this.byId.values()) if (!ending) next = Math.min(next, deadline)
    return next
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

  /** Those that were to end are held again, until they run out. */
  rollback(): void {
    for (const lease of this.byId.values()) lease.ending = false
  }
}
