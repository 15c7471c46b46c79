import type { FanfareError } from '../../../shared/errors.ts'
import { listOf, type OpResult } from './answers.ts'
import { ACK_MICROS, LONG_MICROS } from './costs.ts'
import type { Argument } from './link.ts'
import type { LeasedBatch } from './queue-batch.ts'
import type { Op } from './writer.ts'

/** Acks that one op takes. */
const ACKS_AT_ONCE = 500

/** Acks of one queue that go in one op. It takes more until it is sent. */
export class AckBatch implements Op {
  readonly name = 'qack'
  isOpen = true
  private readonly head: readonly Argument[]
  private readonly packed: Acked[] = []
  private readonly inParts: Acked[] = []
  private packedBytes = 0
  /** How many of each batch. */
  private readonly batches = new Map<LeasedBatch, number>()

  constructor(queue: number, lessee: string) {
    this.head = [queue, lessee]
  }

  get micros(): number {
    return this.packed.length * ACK_MICROS.packed + this.inParts.length * ACK_MICROS.inParts
  }

  add({ seq, packed }: Ackable, done: (lost: boolean) => void, failed: (error: FanfareError) => void): void {
    const list = packed ? this.packed : this.inParts
    list.push({ seq, done, failed })
    if (packed) {
      this.packedBytes += packed.bytes
      this.batches.set(packed.batch, (this.batches.get(packed.batch) ?? 0) + 1)
    }
    const isFull = this.packed.length + this.inParts.length >= ACKS_AT_ONCE || this.micros >= LONG_MICROS
    if (isFull) this.isOpen = false
  }

  get args(): readonly Argument[] {
    this.isOpen = false
    const { head, packed, packedBytes, batches, inParts } = this
    const counts = [...batches].flatMap(([{ first, count }, some]) => [first, count, some])
    return [...head, packed.length, packedBytes, batches.size, ...counts, ...seqsOf(packed), ...seqsOf(inParts)]
  }

  answered(result: OpResult): void {
    const lost = new Set(listOf<number>(result as object))
    for (const { seq, done } of this.all) done(lost.has(seq))
  }

  failed(error: FanfareError): void {
    for (const { failed } of this.all) failed(error)
  }

  private get all(): Acked[] {
    return [...this.packed, ...this.inParts]
  }
}

interface Ackable {
  readonly seq: number
  readonly packed: Packed | undefined
}

/** Of a message that is in a batch: which one, and what it takes in the queue. */
export interface Packed {
  readonly batch: LeasedBatch
  readonly bytes: number
}

interface Acked {
  readonly seq: number
  done(lost: boolean): void
  failed(error: FanfareError): void
}

export function seqsOf(all: readonly { readonly seq: number }[]): number[] {
  return all.map(({ seq }) => seq)
}
