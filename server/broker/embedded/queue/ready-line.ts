import { PriorityQueue } from '@datastructures-js/priority-queue'
import Denque from 'denque'
import { byPlace } from '../../rules/order.ts'
import type { QueueItem } from './queue-item.ts'

/**
 * Ready messages of one priority, in the order of their places. Nearly all arrive in that order, or return to the front: a list
 * holds these. The few that belong in the middle are in a separate heap.
 */
export class ReadyLine {
  private readonly inOrder = new Denque<QueueItem>()
  private readonly others = new PriorityQueue<QueueItem>(byPlace)

  get length(): number {
    return this.inOrder.length + this.others.size()
  }

  add(item: QueueItem): void {
    const { inOrder } = this
    const [first, last] = [inOrder.peekFront(), inOrder.peekBack()]
    if (!last || byPlace(item, last) > 0) inOrder.push(item)
    else if (byPlace(item, first as QueueItem) < 0) inOrder.unshift(item)
    else this.others.push(item)
  }

  get first(): QueueItem | undefined {
    const [first, other] = [this.inOrder.peekFront(), this.others.front()]
    return !other || (first && byPlace(first, other) < 0) ? first : other
  }

  /** Removes and returns the first. */
  shift(): QueueItem | undefined {
    const { first } = this
    return first === this.others.front() ? (this.others.pop() ?? undefined) : this.inOrder.shift()
  }

  /** Removes one from anywhere. A linear search. */
  remove(item: QueueItem): void {
    const at = this.inOrder.toArray().indexOf(item)
    if (at >= 0) this.inOrder.removeOne(at)
    else this.others.remove((other) => other === item)
  }

  trimFront(): void {
    trimFront(this.inOrder)
    while (this.others.front()?.state === 'gone') this.others.pop()
  }

  /** Removes all entries of gone messages. */
  compact(): void {
    compact(this.inOrder)
    this.others.remove(({ state }) => state === 'gone')
  }
}

export function trimFront(items: Denque<QueueItem>): void {
  while (items.peekFront()?.state === 'gone') items.shift()
}

export function compact(items: Denque<QueueItem>): void {
  const left = items.toArray().filter(({ state }) => state !== 'gone')
  items.clear()
  for (const item of left) items.push(item)
}
