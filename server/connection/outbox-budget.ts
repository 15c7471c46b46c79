/** An outbox that holds bytes, as the budget sees it. */
export interface Debtor {
  readonly heldBytes: number
  /** Drops messages until it holds at most `bytes`, as far as possible. */
  shrinkTo(bytes: number): void
  /** Ends the connection. */
  giveUp(): void
}

/** After a shortage every outbox is cut to this part of its fair share, so that the next shortage is far off. */
const CUT = 0.75

/**
 * The limit for all outboxes together. When it is reached, outboxes that hold more than a fair share are cut back. If that is not
 * enough, because the engine already has the bytes, the largest are disconnected.
 */
export class OutboxBudget {
  bytes = 0
  readonly limit: number
  private readonly debtors = new Set<Debtor>()

  constructor(limit: number) {
    this.limit = limit
  }

  add(bytes: number): void {
    this.bytes += bytes
  }

  enter(debtor: Debtor): void {
    this.debtors.add(debtor)
  }

  leave(debtor: Debtor): void {
    this.debtors.delete(debtor)
  }

  /** Call after something was added. */
  enforce(): void {
    if (this.bytes <= this.limit) return
    const share = (CUT * this.limit) / this.debtors.size
    for (const debtor of this.debtors) if (debtor.heldBytes > share) debtor.shrinkTo(share)
    if (this.bytes <= this.limit) return
    const largestFirst = [...this.debtors].sort((a, b) => b.heldBytes - a.heldBytes)
    for (const debtor of largestFirst) {
      if (this.bytes <= CUT * this.limit) return
      debtor.giveUp()
    }
  }
}
