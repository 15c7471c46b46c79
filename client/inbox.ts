import type { Message, SubscriptionGap } from './message.ts'

/** A message, with the stream's log that it came from: another object is another log, though its epoch may be the same. */
export interface Delivery {
  readonly message: Message
  readonly log: object | undefined
  readonly gap?: undefined
}

export type Item = Delivery | { readonly gap: SubscriptionGap; readonly message?: undefined }

/** The hub sends until it has read the request to pause, and after resume everything that it held: room for this many more. */
const OVERSHOOT = 16_000

/** Messages and gaps of a subscription that wait to be read, in order. */
export class Inbox {
  readonly #limit: number
  /** With `conflate`: what waits, by topic and key, and how many had been taken when that key began to wait. */
  readonly #newest: Map<string, { item: Item; takenBefore: number }> | undefined
  #taken = 0
  #items: (Item | undefined)[] = []
  /** Place of the first item that waits: shifting a long array costs more than it does to skip. */
  #head = 0

  /** When `limit` items wait, the hub is asked to pause. */
  constructor(limit: number, conflates: boolean) {
    this.#limit = limit
    if (conflates) this.#newest = new Map()
  }

  get size(): number {
    return this.#items.length - this.#head
  }

  get isFull(): boolean {
    return this.size >= this.#limit
  }

  /** At most a quarter of the limit waits: the hub may send more. */
  get hasRoom(): boolean {
    return this.size <= this.#limit / 4
  }

  push(item: Item): void {
    const newest = this.#newest
    const items = this.#items
    if (newest && item.message) {
      const key = keyOf(item)
      const older = newest.get(key)
      let takenBefore = this.#taken
      // After some rounds of all keys the older one stays: a key that changes all the time would always be last.
      if (older && takenBefore - older.takenBefore < 4 * newest.size) {
        takenBefore = older.takenBefore
        this.#replaceByGap(items.indexOf(older.item, this.#head), 'conflate')
      }
      newest.set(key, { item, takenBefore })
    }
    items.push(item)
    // The hub did not hold back in time.
    if (item.message && this.size > this.#limit + OVERSHOOT) this.#replaceByGap(items.length - 1, 'client-buffer')
  }

  shift(): Item | undefined {
    const item = this.#items[this.#head]
    if (!item) return undefined
    this.#forget(item)
    if (item.message) this.#taken++
    // Or it would be kept alive until the array is cut.
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length || this.#head > 10_000) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  clear(): void {
    this.#items = []
    this.#head = 0
    this.#newest?.clear()
  }

  #forget(item: Item): void {
    if (!this.#newest || !item.message) return
    const key = keyOf(item)
    if (this.#newest.get(key)?.item === item) this.#newest.delete(key)
  }

  /** Leaves a message out. Neighbouring gaps become one, or they would pile up while nothing is read. */
  #replaceByGap(at: number, reason: SubscriptionGap['reason']): void {
    const items = this.#items
    const item = items[at] as Delivery
    const { id } = item.message
    this.#forget(item)
    items[at] = { gap: { count: 1, from: id, to: id, reason } }
    this.#joinGaps(at)
    this.#joinGaps(at - 1)
  }

  #joinGaps(at: number): void {
    const first = this.#items[at]?.gap
    const second = this.#items[at + 1]?.gap
    if (!first || first.reason !== second?.reason) return
    const count = (first.count ?? 0) + (second.count ?? 0)
    this.#items.splice(at, 2, { gap: { ...first, count, to: second.to } })
  }
}

/** The newest of each is kept: a message without a key is the newest of its topic. */
function keyOf({ message: { topic, key } }: Delivery): string {
  return key === undefined ? topic : `${topic} ${key}`
}
