import { PriorityQueue } from '@datastructures-js/priority-queue'
import Denque from 'denque'
import { isExpired } from '../../rules/expiry.ts'
import { isDelayed, isItsTurn, PRIORITIES } from '../../rules/order.ts'
import type { QueueItem } from './queue-item.ts'
import { compact, ReadyLine, trimFront } from './ready-line.ts'

/** Messages of one key: in order, one in flight at a time. */
interface Group {
  readonly key: string
  /** Only the head is in a line or in flight. */
  readonly items: Denque<QueueItem>
  parked: boolean
  /** Number of waiting messages. */
  waiting: number
  /** Waiting messages that have never been due: they arrived after `dueTo`, while the group was parked or its head delayed. */
  undue: number
  /** The number of the last message that has been due; all messages before it have been due as well. */
  dueTo: number
  /** The share of this group in the queue's sums. */
  ready: number
  startable: number
}

/** Number of entries of gone messages that are tolerated before a cleanup. */
const TOLERATED_GONE = 1000

/**
 * Keeps the messages of a queue in the order defined in `rules/order.ts`. Holds no payloads and does no I/O; the caller passes the
 * time.
 *
 * Messages without a key are in line individually. For messages with a key, only the head of their group is. A message taken out of
 * the middle is only marked, and skipped when its turn comes.
 */
export class QueueSchedule {
  /** Waiting messages, delayed ones included, and their bytes. */
  waiting = 0
  waitingBytes = 0
  /** Messages that wait for their time; only the head of a group counts. */
  delayedCount = 0
  /** Messages that are waiting, in flight or leaving. */
  size = 0
  /**
   * Waiting messages that are due and not in a group that is parked or whose head is delayed; and how many of them could be handed
   * out at once: one per group.
   */
  readyCount = 0
  startableCount = 0
  /** Waiting messages that have never been due. */
  undueCount = 0
  /** Messages that have become due. Each counts once, however often it is retried. */
  dueTotal = 0
  private readonly ready = Array.from({ length: PRIORITIES }, () => new ReadyLine())
  private readonly delayed = new PriorityQueue<QueueItem>((a, b) => a.dueAt - b.dueAt)
  private readonly expiring = new PriorityQueue<QueueItem>((a, b) => (a.expiresAt as number) - (b.expiresAt as number))
  private readonly groups = new Map<string, Group>()
  private readonly parkedGroups = new Set<Group>()
  /** In the order of arrival; gone messages are removed from the front. */
  private readonly arrivals = new Denque<QueueItem>()

  add(item: QueueItem, now: number): void {
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
  take(now: number, wall: number): QueueItem | undefined {
    this.wake(now)
    for (let priority = PRIORITIES - 1; priority >= 0; priority--) {
      const line = this.ready[priority] as ReadyLine
      for (let item = line.shift(); item; item = line.shift()) {
        // Expired messages are not delivered, and wait for removal.
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

  /** Takes a waiting message, ready or not, whatever is ahead of it; undefined if it does not wait. */
  takeOut(seq: number): QueueItem | undefined {
    const item = this.find(seq)
    if (item?.state !== 'waiting') return undefined
    this.stopWaiting(item, 'in flight')
    return item
  }

  /** A waiting message must not be delivered any more; `remove` or `putBack` follows. */
  hold(item: QueueItem): void {
    this.stopWaiting(item, 'leaving')
  }

  /** A message in flight is due at another time. If it was taken out before its turn, it has to leave the line that it is still in. */
  delay(item: QueueItem, dueAt: number): void {
    if (item.line === 'ready') (this.ready[item.priority] as ReadyLine).remove(item)
    else if (item.line === 'delayed') this.delayed.remove((other) => other === item)
    item.line = 'none'
    item.dueAt = dueAt
  }

  /** A message in flight, or one that was leaving, returns to its place once it is due. */
  putBack(item: QueueItem, now: number): void {
    this.wait(item)
    this.offer(item, now)
    this.recountGroupOf(item)
  }

  /** Removes a message that is in flight or leaving. With `park`, the rest of its group waits for `unpark`. */
  remove(item: QueueItem, now: number, park = false): void {
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

  /** Keys of the first parked groups, at most `most`. */
  parked(most: number): string[] {
    const keys: string[] = []
    for (const { key } of this.parkedGroups) if (keys.push(key) >= most) break
    return keys
  }

  /** Waiting messages that have expired by the machine's clock, each once; those that the caller does not take stay. */
  *expired(wall: number): Iterable<QueueItem> {
    for (let item = this.expiring.front(); item; item = this.expiring.front()) {
      if (!isExpired(item.expiresAt, wall)) break
      this.expiring.pop()
      item.expiring = false
      if (item.state === 'waiting') yield item
    }
  }

  /** When the next message will become due or expire. `ahead` is how far the machine's clock is ahead of the hub's. */
  nextTime(ahead: number): number {
    const due = this.delayed.front()?.dueAt ?? Number.POSITIVE_INFINITY
    return Math.min(due, (this.expiring.front()?.expiresAt ?? Number.POSITIVE_INFINITY) - ahead)
  }

  /** When the oldest ready message became due; undefined if none is ready. */
  get oldestReadyAt(): number | undefined {
    let oldest = Number.POSITIVE_INFINITY
    for (const line of this.ready) {
      const first = line.first
      if (first && this.mayGo(first)) oldest = Math.min(oldest, Math.max(first.publishedAt, first.dueAt))
    }
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest
  }

  /** Whether there may be a message to deliver now. */
  hasReady(now: number): boolean {
    this.wake(now)
    return this.ready.some((line) => line.length > 0)
  }

  /** Waiting messages, the oldest first. */
  *waitingItems(): Iterable<QueueItem> {
    trimFront(this.arrivals)
    for (let at = 0; at < this.arrivals.length; at++) {
      const item = this.arrivals.peekAt(at) as QueueItem
      if (item.state === 'waiting') yield item
    }
  }

  /** By sequence number: arrivals are in this order. */
  private find(seq: number): QueueItem | undefined {
    let [low, high] = [0, this.arrivals.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.arrivals.peekAt(middle) as QueueItem).seq < seq) low = middle + 1
      else high = middle
    }
    const item = this.arrivals.peekAt(low)
    return item?.seq === seq ? item : undefined
  }

  private wait(item: QueueItem): void {
    item.state = 'waiting'
    this.waiting++
    this.waitingBytes += item.bytes
    if (item.line === 'delayed') this.delayedCount++
    this.count(item, 1)
    if (item.expiresAt === undefined || item.expiring) return
    item.expiring = true
    this.expiring.push(item)
  }

  private stopWaiting(item: QueueItem, state: 'in flight' | 'leaving'): void {
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

  /** Whether it waits, and no other message of its group has to go first. */
  private mayGo(item: QueueItem): boolean {
    if (item.state !== 'waiting') return false
    if (item.key === undefined) return true
    const group = this.groups.get(item.key) as Group
    return isItsTurn(item, this.headOf(group), group.parked)
  }

  /** Puts a message in line, if it may go and is not in line yet. */
  private offer(item: QueueItem, now: number): void {
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

  /** A message begins to wait, or stops. A message with a key counts with its group: see `recount`. */
  private count(item: QueueItem, by: 1 | -1): void {
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

  /** Counts messages without a key in a ready line. */
  private countStanding(by: 1 | -1): void {
    this.readyCount += by
    this.startableCount += by
  }

  /** A message leaves its line, and continues to wait or is gone. */
  private stopStanding(item: QueueItem): void {
    if (item.key === undefined && item.state === 'waiting' && item.line === 'ready') this.countStanding(-1)
    item.line = 'none'
    this.recountGroupOf(item)
  }

  private recountGroupOf({ key }: QueueItem): void {
    const group = key === undefined ? undefined : this.groups.get(key)
    if (group) this.recount(group)
  }

  /** Corrects a group's share in the sums after any change to it. */
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

  private headOf(group: Group): QueueItem | undefined {
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

  /** Entries that are only marked as gone must not accumulate if nothing is taken, or behind an entry that stays. */
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
