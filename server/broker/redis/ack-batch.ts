import type { FanfareError } from '../../../shared/errors.ts'
import { listOf, type OpResult } from './answers.ts'
import { ACK_MICROS, LONG_MICROS } from './costs.ts'
import type { Argument } from './link.ts'
import type { Op } from './writer.ts'

/** Acks that one op takes. */
const ACKS_AT_ONCE = 500

/** Acks of one queue that go in one op. It takes more until it is sent. */
export class AckBatch implements Op {
  readonly name = 'qack'
  isOpen = true
  private readonly head: readonly Argument[]
  private readonly whole: Acked[] = []
  private readonly inParts: Acked[] = []
  private wholeBytes = 0

  constructor(queue: number, lessee: string) {
    this.head = [queue, lessee]
  }

  get micros(): number {
    return this.whole.length * ACK_MICROS.whole + this.inParts.length * ACK_MICROS.inParts
  }

  add({ seq, wholeBytes }: Ackable, done: (lost: boolean) => void, failed: (error: FanfareError) => void): void {
    const list = wholeBytes === undefined ? this.inParts : this.whole
    list.push({ seq, done, failed })
    this.wholeBytes += wholeBytes ?? 0
    const isFull = this.whole.length + this.inParts.length >= ACKS_AT_ONCE || this.micros >= LONG_MICROS
    if (isFull) this.isOpen = false
  }

  get args(): readonly Argument[] {
    this.isOpen = false
    const { head, whole, wholeBytes, inParts } = this
    return [...head, whole.length, wholeBytes, ...seqsOf(whole), ...seqsOf(inParts)]
  }

  answered(result: OpResult): void {
    const lost = new Set(listOf<number>(result as object))
    for (const { seq, done } of this.all) done(lost.has(seq))
  }

  failed(error: FanfareError): void {
    for (const { failed } of this.all) failed(error)
  }

  private get all(): Acked[] {
    return [...this.whole, ...this.inParts]
  }
}

/** `wholeBytes`: what it takes in the queue, if it is whole in Redis. */
interface Ackable {
  readonly seq: number
  readonly wholeBytes: number | undefined
}

interface Acked {
  readonly seq: number
  done(lost: boolean): void
  failed(error: FanfareError): void
}

export function seqsOf(all: readonly { readonly seq: number }[]): number[] {
  return all.map(({ seq }) => seq)
}
