import { PriorityQueue } from '@datastructures-js/priority-queue'
import Denque from 'denque'
import { isExpired } from '../../rules/expiry.ts'
import { isDelayed, isItsTurn, PRIORITIES } from '../../rules/order.ts'
import type { Item } from './queue-item.ts'
import { compact, ReadyLine, trimFront } from './ready-line.ts'

/** Messages of one key: in order, one in flight at a time. */
interface Group {
  readonly key: string
  /** The head is the only one that stands in line, or is in flight. */
  readonly items: Denque<Item>
  parked: boolean
  /** Messages that wait. */
  waiting: number
  /** Of these, the ones that have not been due yet: they came after `dueTo`, while the group was parked or its head delayed. */
  undue: number
  /** The last message that has been due, by its number; those before it have been due as well. */
  dueTo: number
  /** What the sums of all groups have of this one. */
  ready: number
  startable: number
}

/** Marks of messages that are gone which need no cleaning. */
const TOLERATED_GONE = 1000

/**
 * Keeps the messages of a queue in the order of `rules/order.ts`. Holds no payload and does no I/O; time comes from outside.
 *
 * Messages without a key stand in line by themselves. Of those with one only the head of their group does. A message that
 * is taken out of the middle is only marked, and passed over when its turn comes.
 */
export class QueueSchedule {
  /** Messages that wait, delayed ones included, and their bytes. */
  waiting = 0
  waitingBytes = 0
  /** Messages that wait for their time; of a group its head alone. */
  delayedCount = 0
  /** Those that wait, are in flight or are leaving. */
  size = 0
  /**
   * Of those that wait, the ones that are due, and are not in a group that is parked or whose head is delayed; and of these the ones that
   * could be handed out at once: one of each group.
   */
  readyCount = 0
  startableCount = 0
  /** Of those that wait, the ones that have never been due. */
  undueCount = 0
  /** Messages that have become due; each counts once, however often it is tried again. */
  dueTotal = 0
  private readonly ready = Array.from({ length: PRIORITIES }, () => new ReadyLine())
  private readonly delayed = new PriorityQueue<Item>((a, b) => a.dueAt - b.dueAt)
  private readonly expiring = new PriorityQueue<Item>((a, b) => (a.expiresAt as number) - (b.expiresAt as number))
  private readonly groups = new Map<string, Group>()
  private readonly parkedGroups = new Set<Group>()
  /** In the order of their coming; those that are gone leave it from the front. */
  private readonly arrivals = new Denque<Item>()

  add(item: Item, now: number): void {
    this.size++
    this.arrivals.push(item)
    if (item.key !== undefined) this.groupOf(item.key).items.push(item)
    this.wait(item)
    this.offer(item, now)
    if (item.key === undefined && item.line === 'ready') this.dueTotal++
    else if (item.key === undefined && !item.failed) this.undueCount++
    this.recountGroupOf(item)
  }

  /** The next message to be delivered; it is in flight from then on. */
  take(now: number, wall: number): Item | undefined {
    this.wake(now)
    for (let priority = PRIORITIES - 1; priority >= 0; priority--) {
      const line = this.ready[priority] as ReadyLine
      for (let item = line.shift(); item; item = line.shift()) {
        // What has expired is not delivered, and waits to be let go of.
        if (!this.mayGo(item) || isExpired(item.expiresAt, wall)) {
          this.stopStanding(item)
          continue
        }
        this.stopWaiting(item, 'in flight')
        item.line = 'none'
        return item
      }
    }
    return undefined
  }

  /** Takes a message that waits, ready or not, whatever stands before it; undefined if it does not wait. */
  takeOut(seq: number): Item | undefined {
    const item = this.find(seq)
    if (item?.state !== 'waiting') return undefined
    this.stopWaiting(item, 'in flight')
    return item
  }

  /** A message that waits is not to be delivered any more; `remove` or `putBack` follows. */
  hold(item: Item): void {
    this.stopWaiting(item, 'leaving')
  }

  /** A message in flight is due at another time: one that was taken out before its turn has to leave the line that it still stands in. */
  delay(item: Item, dueAt: number): void {
    if (item.line === 'ready') (this.ready[item.priority] as ReadyLine).remove(item)
    else if (item.line === 'delayed') this.delayed.remove((other) => other === item)
    item.line = 'none'
    item.dueAt = dueAt
  }

  /** A message in flight, or one that was to leave, comes back to its place, once it is due. */
  putBack(item: Item, now: number): void {
    this.wait(item)
    this.offer(item, now)
    this.recountGroupOf(item)
  }

  /** A message that is in flight or leaving is gone for good. With `park`, what its group has left waits for `unpark`. */
  remove(item: Item, now: number, park = false): void {
    item.state = 'gone'
    this.size--
    const group = item.key === undefined ? undefined : this.groups.get(item.key)
    if (group && park) this.parkGroup(group)
    else if (group) this.offerHead(group, now)
    this.forgetGone(item.priority)
  }

  park(key: string): void {
    this.parkGroup(this.groupOf(key))
  }

  private parkGroup(group: Group): void {
    group.parked = true
    this.parkedGroups.add(group)
    this.recount(group)
  }

  unpark(key: string, now: number): void {
    const group = this.groups.get(key)
    if (!group) return
    group.parked = false
    this.parkedGroups.delete(group)
    this.offerHead(group, now)
  }

  isParked(key: string): boolean {
    return this.groups.get(key)?.parked ?? false
  }

  get parkedCount(): number {
    return this.parkedGroups.size
  }

  /** Keys of the first groups that are parked, `most` at most. */
  parked(most: number): string[] {
    const keys: string[] = []
    for (const { key } of this.parkedGroups) if (keys.push(key) >= most) break
    return keys
  }

  /** Messages that wait and have expired by the machine's clock, each once; those that are not taken stay. */
  *expired(wall: number): Iterable<Item> {
    for (let item = this.expiring.front(); item; item = this.expiring.front()) {
      if (!isExpired(item.expiresAt, wall)) break
      this.expiring.pop()
      item.expiring = false
      if (item.state === 'waiting') yield item
    }
  }

  /** When something will be due or expire that is not yet. `ahead` is how far the machine's clock is before that of the hub. */
  nextTime(ahead: number): number {
    const due = this.delayed.front()?.dueAt ?? Number.POSITIVE_INFINITY
    return Math.min(due, (this.expiring.front()?.expiresAt ?? Number.POSITIVE_INFINITY) - ahead)
  }

  /** Since when the oldest message that is ready has been due; undefined if none is. */
  get oldestReadyAt(): number | undefined {
    let oldest = Number.POSITIVE_INFINITY
    for (const line of this.ready) {
      const first = line.first
      if (first && this.mayGo(first)) oldest = Math.min(oldest, Math.max(first.publishedAt, first.dueAt))
    }
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest
  }

  /** Whether something may be there to be delivered now. */
  hasReady(now: number): boolean {
    this.wake(now)
    return this.ready.some((line) => line.length > 0)
  }

  /** Those that wait, the oldest first. */
  *waitingItems(): Iterable<Item> {
    trimFront(this.arrivals)
    for (let at = 0; at < this.arrivals.length; at++) {
      const item = this.arrivals.peekAt(at) as Item
      if (item.state === 'waiting') yield item
    }
  }

  /** By its number: they came in the order of these. */
  private find(seq: number): Item | undefined {
    let [low, high] = [0, this.arrivals.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.arrivals.peekAt(middle) as Item).seq < seq) low = middle + 1
      else high = middle
    }
    const item = this.arrivals.peekAt(low)
    return item?.seq === seq ? item : undefined
  }

  private wait(item: Item): void {
    item.state = 'waiting'
    this.waiting++
    this.waitingBytes += item.bytes
    if (item.line === 'delayed') this.delayedCount++
    this.count(item, 1)
    if (item.expiresAt === undefined || item.expiring) return
    item.expiring = true
    this.expiring.push(item)
  }

  private stopWaiting(item: Item, state: 'in flight' | 'leaving'): void {
    item.state = state
    this.waiting--
    this.waitingBytes -= item.bytes
    if (item.line === 'delayed') this.delayedCount--
    this.count(item, -1)
    this.recountGroupOf(item)
  }

  private wake(now: number): void {
    for (let item = this.delayed.front(); item && item.dueAt <= now; item = this.delayed.front()) {
      this.delayed.pop()
      if (item.state === 'waiting') {
        this.delayedCount--
        if (item.key === undefined && !item.failed) {
          this.undueCount--
          this.dueTotal++
        }
      }
      item.line = 'none'
      this.offer(item, now)
      this.recountGroupOf(item)
    }
  }

  /** Whether it waits, and nothing of its group has to go before it. */
  private mayGo(item: Item): boolean {
    if (item.state !== 'waiting') return false
    if (item.key === undefined) return true
    const group = this.groups.get(item.key) as Group
    return isItsTurn(item, this.headOf(group), group.parked)
  }

  /** Puts a message in line, where it may go and does not stand there. */
  private offer(item: Item, now: number): void {
    if (item.line !== 'none' || !this.mayGo(item)) return
    if (isDelayed(item.dueAt, now)) {
      item.line = 'delayed'
      this.delayedCount++
      this.delayed.push(item)
      return
    }
    item.line = 'ready'
    if (item.key === undefined) this.countStanding(1)
    ;(this.ready[item.priority] as ReadyLine).add(item)
  }

  private offerHead(group: Group, now: number): void {
    const head = this.headOf(group)
    if (head) this.offer(head, now)
    this.recount(group)
  }

  /** A message begins to wait, or stops. One with a key counts with its group: see `recount`. */
  private count(item: Item, by: 1 | -1): void {
    if (item.key === undefined) {
      if (item.line === 'ready') this.countStanding(by)
      else if (item.line === 'delayed' && !item.failed) this.undueCount += by
      return
    }
    const group = this.groupOf(item.key)
    group.waiting += by
    if (item.seq > group.dueTo) {
      group.undue += by
      this.undueCount += by
    }
  }

  /** Messages without a key that stand in a line of those that are ready. */
  private countStanding(by: 1 | -1): void {
    this.readyCount += by
    this.startableCount += by
  }

  /** A message leaves its line and goes on waiting, or is gone. */
  private stopStanding(item: Item): void {
    if (item.key === undefined && item.state === 'waiting' && item.line === 'ready') this.countStanding(-1)
    item.line = 'none'
    this.recountGroupOf(item)
  }

  private recountGroupOf({ key }: Item): void {
    const group = key === undefined ? undefined : this.groups.get(key)
    if (group) this.recount(group)
  }

  /** Puts right what the sums have of a group, after anything of it has changed. */
  private recount(group: Group): void {
    const head = this.headOf(group)
    const isHeldUp = group.parked || (head?.line === 'delayed' && head.state !== 'in flight')
    const ready = isHeldUp ? 0 : group.waiting
    const startable = !isHeldUp && head?.state === 'waiting' && head.line === 'ready' ? 1 : 0
    this.readyCount += ready - group.ready
    this.startableCount += startable - group.startable
    group.ready = ready
    group.startable = startable
    if (isHeldUp || group.undue === 0) return
    this.dueTotal += group.undue
    this.undueCount -= group.undue
    group.undue = 0
    group.dueTo = group.items.peekBack()?.seq ?? group.dueTo
  }

  private headOf(group: Group): Item | undefined {
    trimFront(group.items)
    const head = group.items.peekFront()
    if (!head && !group.parked) this.groups.delete(group.key)
    return head
  }

  private groupOf(key: string): Group {
    let group = this.groups.get(key)
    if (!group) {
      const counts = { waiting: 0, undue: 0, dueTo: -1, ready: 0, startable: 0 }
      group = { key, items: new Denque(), parked: false, ...counts }
      this.groups.set(key, group)
    }
    return group
  }

  /** What is gone and only marked must not add up where nothing is taken, or behind something that stays. */
  private forgetGone(priority: number): void {
    const line = this.ready[priority] as ReadyLine
    line.trimFront()
    trimFront(this.arrivals)
    const most = 2 * this.size + TOLERATED_GONE
    if (line.length > most) line.compact()
    if (this.arrivals.length > most) {
      compact(this.arrivals)
      for (const { items } of this.groups.values()) compact(items)
    }
    if (this.expiring.size() > most) this.expiring.remove(({ state }) => state === 'gone')
    if (this.delayed.size() > most) this.delayed.remove(({ state }) => state === 'gone')
  }
}
