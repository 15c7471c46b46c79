/** The deliveries that a consumer holds, and until when. */
export class Leases {
  private readonly deadlines = new Map<number, number>()

  get count(): number {
    return this.deadlines.size
  }

  [Symbol.iterator](): Iterator<number> {
    return this.deadlines.keys()
  }

  holds(delivery: number): boolean {
    return this.deadlines.has(delivery)
  }

  /** Holds it until then: for the first time, or for longer. */
  hold(delivery: number, until: number): void {
    this.deadlines.set(delivery, until)
  }

  /** False: it was not held. */
  delete(delivery: number): boolean {
    return this.deadlines.delete(delivery)
  }

  clear(): void {
    this.deadlines.clear()
  }

  /** Those that have run out. */
  overdue(now: number): number[] {
    return [...this.deadlines].flatMap(([delivery, deadline]) => (deadline <= now ? [delivery] : []))
  }

  /** When the first runs out. */
  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY
    for (const deadline of this.deadlines.values()) next = Math.min(next, deadline)
    return next
  }
}
