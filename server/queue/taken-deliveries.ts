import type { Lease } from './leases.ts'

/** The last deliveries that were revoked from a client: a late ack may still arrive. */
export class TakenDeliveries {
  private readonly most: number
  private readonly seqs = new Map<number, number>()

  constructor(most: number) {
    this.most = most
  }

  add({ delivery, seq }: Lease): void {
    this.seqs.set(delivery, seq)
    if (this.seqs.size <= this.most) return
    const [oldest] = this.seqs.keys()
    this.seqs.delete(oldest as number)
  }

  /** The message of a delivery; undefined if it is not one of these. */
  seqOf(delivery: number): number | undefined {
    return this.seqs.get(delivery)
  }

  has(delivery: number): boolean {
    return this.seqs.has(delivery)
  }

  delete(delivery: number): void {
    this.seqs.delete(delivery)
  }

  clear(): void {
    this.seqs.clear()
  }
}
