import { PriorityQueue } from '@datastructures-js/priority-queue'
import Denque from 'denque'

/** A message of a queue, as long as it is in it. */
export interface Item {
  readonly seq: number
  readonly key: string | undefined
  readonly priority: number
  readonly bytes: number
  readonly publishedAt: number
  readonly expiresAt: number | undefined
  /** Sequence number of the first message of its block. */
  readonly block: number
  /** Not to be delivered before, in milliseconds since 1970. */
  dueAt: number
  attempts: number
  error: string | undefined
  /** `leaving`: a commit is under way that takes it out. */
  state: 'waiting' | 'in flight' | 'leaving' | 'gone'
}

/** Messages of one key: in order, one in flight at a time. */
interface Group {
  readonly key: string
  /** The head is the one that is waiting or in flight. */
  readonly items: Denque<Item>
  /** `idle`: it waits nowhere, and has no message or none of it has been looked at yet. */
  state: 'idle' | 'ready' | 'delayed' | 'busy' | 'parked'
}

interface Delayed {
  readonly dueAt: number
  readonly target: Item | Group
}

const PRIORITIES = 10
/** Marks of messages that are gone which need no cleaning. */
const TOLERATED_GONE = 1000

/**
 * Decides what a queue delivers next. Holds no payload and does no I/O; time comes from outside.
 *
 * Messages without a key wait by themselves. Those with one wait in their group, and the group's head decides when and
 * with which priority the group has its turn: order in the group is stronger than priority and delay, so that a head
 * that is delayed, or is being retried, holds up what is behind it and nobody else. A message that is taken out of the
 * middle is only marked, and passed over when its turn comes.
 */
export class QueueSchedule {
  /** Messages that wait, delayed ones included. */
  waiting = 0
  /** Those and the ones in flight. */
  size = 0
  private readonly ready = Array.from({ length: PRIORITIES }, () => new Denque<Item | Group>())
  private readonly delayed = new PriorityQueue<Delayed>((a, b) => a.dueAt - b.dueAt)
  private readonly expiring = new PriorityQueue<Item>((a, b) => (a.expiresAt as number) - (b.expiresAt as number))
  private readonly groups = new Map<string, Group>()
  /** In the order of their coming; those that are gone leave it from the front. */
  private readonly arrivals = new Denque<Item>()

  add(item: Item, now: number): void {
    this.waiting++
    this.size++
    this.arrivals.push(item)
    if (item.expiresAt !== undefined) this.expiring.push(item)
    if (item.key === undefined) {
      this.place(item, item, now, 'back')
      return
    }
    const group = this.groupOf(item.key)
    group.items.push(item)
    if (group.state === 'idle') this.offer(group, now, 'back')
  }

  /** The next message to be delivered; it is in flight from then on. */
  take(now: number): Item | undefined {
    this.wake(now)
    for (let priority = PRIORITIES - 1; priority >= 0; priority--) {
      const turn = this.ready[priority] as Denque<Item | Group>
      for (let target = turn.shift(); target; target = turn.shift()) {
        const item = 'items' in target ? this.readyHead(target, now) : target
        if (item?.state !== 'waiting') continue
        if ('items' in target) target.state = 'busy'
        item.state = 'in flight'
        this.waiting--
        return item
      }
    }
    return undefined
  }

  /** A message that waits is not to be delivered any more; `remove` or `putBack` follows. */
  hold(item: Item): void {
    item.state = 'leaving'
    this.waiting--
  }

  /** A message in flight, or one that was to leave, comes back before those that came after it, once it is due. */
  putBack(item: Item, now: number): void {
    const wasHead = item.state === 'in flight'
    item.state = 'waiting'
    this.waiting++
    const group = item.key === undefined ? undefined : this.groups.get(item.key)
    if (!group) this.place(item, item, now, 'front')
    else if (wasHead || !(group.state === 'busy' || group.state === 'parked')) this.offer(group, now, 'front')
  }

  /** A message leaves the queue for good. With `park`, what its group has left waits for `unpark`. */
  remove(item: Item, now: number, park = false): void {
    if (item.state === 'waiting') this.waiting--
    const wasInFlight = item.state === 'in flight'
    item.state = 'gone'
    this.size--
    this.forgetGone(item.priority)
    const group = item.key === undefined ? undefined : this.groups.get(item.key)
    if (!group) return
    if (park) group.state = 'parked'
    else if (wasInFlight || !(group.state === 'busy' || group.state === 'parked')) this.offer(group, now, 'back')
  }

  park(key: string): void {
    this.groupOf(key).state = 'parked'
  }

  unpark(key: string, now: number): void {
    const group = this.groups.get(key)
    if (group?.state === 'parked') this.offer(group, now, 'back')
  }

  /** Keys of the groups that are parked. */
  get parked(): string[] {
    return [...this.groups.values()].filter(({ state }) => state === 'parked').map(({ key }) => key)
  }

  /** Messages and groups that wait for their time. */
  get delayedCount(): number {
    return this.delayed.size()
  }

  /** The oldest message that is still there. */
  oldest(): Item | undefined {
    while (this.arrivals.peekFront()?.state === 'gone') this.arrivals.shift()
    return this.arrivals.peekFront()
  }

  /** Messages that wait and have expired, each once. */
  expired(now: number): Item[] {
    const items: Item[] = []
    for (let item = this.expiring.front(); item; item = this.expiring.front()) {
      if (item.state === 'waiting' && (item.expiresAt as number) > now) break
      this.expiring.pop()
      if (item.state === 'waiting') items.push(item)
    }
    return items
  }

  /** To be told of an expired message again. */
  expireAgain(item: Item): void {
    this.expiring.push(item)
  }

  /** When something will be due or expire that is not yet. */
  nextTime(): number {
    const due = this.delayed.front()?.dueAt ?? Number.POSITIVE_INFINITY
    return Math.min(due, this.expiring.front()?.expiresAt ?? Number.POSITIVE_INFINITY)
  }

  /** Whether something could be delivered now. */
  hasReady(now: number): boolean {
    this.wake(now)
    return this.ready.some((turn) => !turn.isEmpty())
  }

  *items(): Iterable<Item> {
    for (let at = 0; at < this.arrivals.length; at++) {
      const item = this.arrivals.peekAt(at) as Item
      if (item.state !== 'gone') yield item
    }
  }

  private wake(now: number): void {
    for (let next = this.delayed.front(); next && next.dueAt <= now; next = this.delayed.front()) {
      this.delayed.pop()
      const { target } = next
      if (!('items' in target)) this.place(target, target, now, 'back')
      else if (target.state === 'delayed') this.offer(target, now, 'back')
    }
  }

  /** The head of a group whose turn it is, unless that has changed meanwhile. */
  private readyHead(group: Group, now: number): Item | undefined {
    if (group.state !== 'ready') return undefined
    const head = this.headOf(group)
    if (!head || head.dueAt <= now) return head
    this.offer(group, now, 'back')
    return undefined
  }

  /** What is gone and only marked must not add up where nothing is taken, or behind something that stays. */
  private forgetGone(priority: number): void {
    const turn = this.ready[priority] as Denque<Item | Group>
    for (let first = turn.peekFront(); first; first = turn.peekFront()) {
      if ('items' in first ? !first.items.isEmpty() : first.state !== 'gone') break
      turn.shift()
    }
    const most = 2 * this.size + TOLERATED_GONE
    if (this.arrivals.length > most) {
      const items = [...this.items()]
      this.arrivals.clear()
      for (const item of items) this.arrivals.push(item)
    }
    if (this.expiring.size() > most) this.expiring.remove(({ state }) => state === 'gone')
    if (this.delayed.size() > most) {
      this.delayed.remove(({ target }) => ('items' in target ? target.state !== 'delayed' : target.state === 'gone'))
    }
  }

  /** Gives a group its turn, by its head. */
  private offer(group: Group, now: number, end: 'front' | 'back'): void {
    group.state = 'idle'
    const head = this.headOf(group)
    if (!head) return
    group.state = head.dueAt > now ? 'delayed' : 'ready'
    this.place(group, head, now, end)
  }

  private place(target: Item | Group, item: Item, now: number, end: 'front' | 'back'): void {
    if (item.state !== 'waiting') return
    const turn = this.ready[item.priority] as Denque<Item | Group>
    if (item.dueAt > now) this.delayed.push({ dueAt: item.dueAt, target })
    else if (end === 'front') turn.unshift(target)
    else turn.push(target)
  }

  private headOf(group: Group): Item | undefined {
    while (group.items.peekFront()?.state === 'gone') group.items.shift()
    const head = group.items.peekFront()
    if (!head && group.state !== 'parked') this.groups.delete(group.key)
    return head
  }

  private groupOf(key: string): Group {
    let group = this.groups.get(key)
    if (!group) {
      group = { key, items: new Denque(), state: 'idle' }
      this.groups.set(key, group)
    }
    return group
  }
}
