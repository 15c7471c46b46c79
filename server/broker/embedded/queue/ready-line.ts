import { PriorityQueue } from '@datastructures-js/priority-queue'
import Denque from 'denque'
import { byPlace } from '../../rules/order.ts'
import type { Item } from './queue-item.ts'

/**
 * Messages of one priority that are ready, in the order of their places. Nearly all come in that order, or back to the
 * front: a list takes these. The few that belong in the middle are kept in a separate heap.
 */
export class ReadyLine {
  private readonly inOrder = new Denque<Item>()
  private readonly others = new PriorityQueue<Item>(byPlace)

  get length(): number {
    return this.inOrder.length + this.others.size()
  }

  add(item: Item): void {
    const { inOrder } = this
    const [first, last] = [inOrder.peekFront(), inOrder.peekBack()]
    if (!last || byPlace(item, last) > 0) inOrder.push(item)
    else if (byPlace(item, first as Item) < 0) inOrder.unshift(item)
    else this.others.push(item)
  }

  get first(): Item | undefined {
    const [first, other] = [this.inOrder.peekFront(), this.others.front()]
    return !other || (first && byPlace(first, other) < 0) ? first : other
  }

  /** Takes the first out. */
  shift(): Item | undefined {
    const { first } = this
    return first === this.others.front() ? (this.others.pop() ?? undefined) : this.inOrder.shift()
  }

  /** Takes one out, wherever it stands. It goes through all. */
  remove(item: Item): void {
    const at = this.inOrder.toArray().indexOf(item)
    if (at >= 0) this.inOrder.removeOne(at)
    else this.others.remove((other) => other === item)
  }

  trimFront(): void {
    trimFront(this.inOrder)
    while (this.others.front()?.state === 'gone') this.others.pop()
  }

  /** Forgets all that are gone. */
  compact(): void {
    compact(this.inOrder)
    this.others.remove(({ state }) => state === 'gone')
  }
}

export function trimFront(items: Denque<Item>): void {
  while (items.peekFront()?.state === 'gone') items.shift()
}

export function compact(items: Denque<Item>): void {
  const left = items.toArray().filter(({ state }) => state !== 'gone')
  items.clear()
  for (const item of left) items.push(item)
}
