import type { Receipt } from '../../client/publisher.ts'
import { counted } from './table.ts'

/** Adds up the receipts of the messages of one command. */
export class Receipts {
  private readonly to: string
  private messages = 0
  private duplicates = 0
  private readonly streams = new Set<string>()
  private readonly queues = new Set<string>()

  constructor(to: string) {
    this.to = to
  }

  add(receipt: Receipt): Receipt {
    this.messages++
    if (receipt.duplicate) this.duplicates++
    for (const stream of Object.keys(receipt.positions)) this.streams.add(stream)
    for (const queue of receipt.queues) this.queues.add(queue)
    return receipt
  }

  /** `published a: 2 streams, 1 queue`; for several messages with their number. */
  sentence(): string {
    const what = this.messages === 1 ? this.to : `${counted(this.messages, 'message')} to ${this.to}`
    return `published ${what}${this.messages === 0 ? '' : `: ${this.kept()}`}`
  }

  private kept(): string {
    const kept = [
      [this.streams.size, 'stream'],
      [this.queues.size, 'queue'],
      [this.duplicates, 'duplicate'],
    ] as const
    const some = kept.filter(([number]) => number > 0).map(([number, noun]) => counted(number, noun))
    return some.join(', ') || 'no stream or queue stored it, only current subscribers received it'
  }
}
