import type { Gap, Message } from './message.ts'

/** A message, with the stream's log that it came from: another object is another log, though its epoch may be the same. */
export interface Delivery {
  readonly message: Message
  readonly log: object | undefined
}

export type Item = Delivery | { readonly gap: Gap }

/** The hub sends until it has read the request to pause, and after resume all that it held: room for so many more. */
const OVERSHOOT = 16_000

/** What waits in a subscription to be read, in order. */
export class Inbox {
  private readonly limit: number
  private items: (Item | undefined)[] = []
  /** Place of the first item that waits: shifting a long array costs more than it does to skip. */
  private head = 0

  /** When so many wait, the hub is asked to hold back. */
  constructor(limit: number) {
    this.limit = limit
  }

  get size(): number {
    return this.items.length - this.head
  }

  get isFull(): boolean {
    return this.size >= this.limit
  }

  /** A quarter is left at most: there may come more. */
  get hasRoom(): boolean {
    return this.size <= this.limit / 4
  }

  push(item: Item): void {
    if ('message' in item && this.size >= this.limit + OVERSHOOT) this.leaveOut(item.message)
    else this.items.push(item)
  }

  shift(): Item | undefined {
    const item = this.items[this.head]
    if (!item) return undefined
    // Or it would be kept alive until the array is cut.
    this.items[this.head++] = undefined
    if (this.head === this.items.length || this.head > 10_000) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }

  clear(): void {
    this.items = []
    this.head = 0
  }

  /** The hub did not hold back in time. */
  private leaveOut({ id }: Message): void {
    const last = this.items.at(-1)
    const before = last && 'gap' in last && last.gap.reason === 'client-buffer' ? last.gap : undefined
    const gap: Gap = { count: (before?.count ?? 0) + 1, from: before?.from ?? id, to: id, reason: 'client-buffer' }
    if (before) this.items[this.items.length - 1] = { gap }
    else this.items.push({ gap })
  }
}
