import type { GapReason, Policy } from '../../shared/frames.ts'
import type { Encoded } from '../topic/encoded.ts'
import type { Message } from '../topic/message.ts'
import type { Subscription } from '../topic/subscription.ts'
import { type Gap, gapOf, mergeGaps } from './gap.ts'

/** What an entry costs beside its frame: the objects of this list and of the message, roughly. */
const ENTRY_BYTES = 160
const GAP_BYTES = 64

/** A frame that waits. Without a message it is the hub's own word (a receipt, an error), which no policy may drop. */
export interface Entry {
  readonly frame: Encoded
  readonly message: Message | undefined
  readonly subscriptions: readonly Subscription[]
  /** Set where the frame is for this subscription alone. */
  readonly only: Subscription | undefined
  readonly policy: Policy | undefined
  /** What was left out right before it. */
  gaps: Gap[]
  previous: Entry | undefined
  next: Entry | undefined
}

/** Told of every change of the bytes held, so that a sum over all backlogs can be kept. */
export interface Account {
  add(bytes: number): void
}

/**
 * Frames that wait for a connection that is behind, or for a subscription that is paused. Bounded in bytes; where the
 * bound is reached, the policy of each message decides what is left out, and a gap takes its place.
 *
 * Where several subscriptions of the connection want one message, the strictest policy decides: `disconnect`,
 * `drop-newest`, `drop-oldest`, `conflate`.
 */
export class Backlog {
  bytes = 0
  private readonly account: Account
  private head: Entry | undefined = undefined
  private tail: Entry | undefined = undefined
  /** Left out behind the last entry. */
  private tailGaps: Gap[] = []
  /** No entry before this one may be dropped to make room. Moves forward only, so that the search costs nothing. */
  private oldestDroppable: Entry | undefined = undefined
  private readonly newestByKey = new Map<string, Entry>()

  constructor(account: Account) {
    this.account = account
  }

  get empty(): boolean {
    return this.head === undefined && this.tailGaps.length === 0
  }

  /** Appends a frame of the hub's own. */
  appendControl(frame: Encoded): void {
    this.link(frame, undefined, [], undefined, undefined)
  }

  /**
   * Appends a message, if need be at the cost of others, within `limit` bytes. False: there is no room, and the policy
   * is to disconnect.
   */
  append(message: Message, subscriptions: readonly Subscription[], limit: number): boolean {
    const policy = strictest(subscriptions)
    if (policy === 'conflate') this.removeSuperseded(message, subscriptions)
    const cost = message.wire.bytes + ENTRY_BYTES
    if (this.bytes + cost > limit) {
      if (policy === 'disconnect') return false
      if (policy !== 'drop-newest') this.dropOldest(limit - cost, 'drop-oldest')
      if (this.bytes + cost > limit) {
        const reason = policy === 'drop-newest' ? 'drop-newest' : 'drop-oldest'
        this.leaveGap(this.tailGaps, message, subscriptions, reason)
        return true
      }
    }
    const entry = this.link(message.wire, message, subscriptions, undefined, policy)
    if (policy === 'conflate') this.newestByKey.set(conflationKey(message), entry)
    return true
  }

  /** Leaves messages out, oldest first, until `limit` bytes are held. False: the hub's own frames alone exceed it. */
  shrinkTo(limit: number, reason: GapReason): boolean {
    this.dropOldest(limit, reason)
    for (let entry = this.head; entry && this.bytes > limit; entry = entry.next) {
      if (entry.message) this.leaveOut(entry, reason)
    }
    return this.bytes <= limit
  }

  /** Takes the first entry out. Its gaps are to be told before it. */
  shift(): Entry | undefined {
    const entry = this.head
    if (entry) this.unlink(entry)
    return entry
  }

  /** Takes out the gaps that stand behind all entries. */
  shiftTailGaps(): readonly Gap[] {
    const gaps = this.tailGaps
    this.tailGaps = []
    this.charge(-gaps.length * GAP_BYTES)
    return gaps
  }

  /** Moves everything from another backlog behind what is here, for one subscription alone. */
  takeAll(from: Backlog, only: Subscription): void {
    for (let entry = from.shift(); entry; entry = from.shift()) {
      this.addTailGaps(entry.gaps)
      const moved = this.link(entry.frame, entry.message, entry.subscriptions, only, entry.policy)
      if (moved.policy === 'conflate' && moved.message) this.newestByKey.set(conflationKey(moved.message), moved)
    }
    this.addTailGaps(from.shiftTailGaps())
  }

  clear(): void {
    this.charge(-this.bytes)
    this.head = undefined
    this.tail = undefined
    this.oldestDroppable = undefined
    this.tailGaps = []
    this.newestByKey.clear()
  }

  private removeSuperseded(message: Message, subscriptions: readonly Subscription[]): void {
    const older = this.newestByKey.get(conflationKey(message))
    // An older one that somebody gets who does not get the newer one has not been superseded for him.
    if (older?.subscriptions.every((subscription) => subscriptions.includes(subscription))) {
      this.leaveOut(older, 'conflate')
    }
  }

  private dropOldest(limit: number, reason: GapReason): void {
    while (this.bytes > limit) {
      let entry = this.oldestDroppable
      while (entry && !isDroppable(entry)) entry = entry.next
      this.oldestDroppable = entry
      if (!entry) return
      this.leaveOut(entry, reason)
    }
  }

  private leaveOut(entry: Entry, reason: GapReason): void {
    const { next } = entry
    this.unlink(entry)
    const gaps = next ? next.gaps : this.tailGaps
    const before = gaps.length
    const own = entry.gaps
    for (const subscription of entry.subscriptions) {
      mergeGaps(own, [gapOf(subscription, entry.message as Message, reason)], 'after')
    }
    mergeGaps(gaps, own, 'before')
    this.charge((gaps.length - before) * GAP_BYTES)
  }

  private leaveGap(gaps: Gap[], message: Message, subscriptions: readonly Subscription[], reason: GapReason): void {
    const before = gaps.length
    for (const subscription of subscriptions) mergeGaps(gaps, [gapOf(subscription, message, reason)], 'after')
    this.charge((gaps.length - before) * GAP_BYTES)
  }

  private addTailGaps(gaps: readonly Gap[]): void {
    const before = this.tailGaps.length
    mergeGaps(this.tailGaps, gaps, 'after')
    this.charge((this.tailGaps.length - before) * GAP_BYTES)
  }

  private link(
    frame: Encoded,
    message: Message | undefined,
    subscriptions: readonly Subscription[],
    only: Subscription | undefined,
    policy: Policy | undefined,
  ): Entry {
    const gaps = this.tailGaps
    this.tailGaps = []
    const entry: Entry = { frame, message, subscriptions, only, policy, gaps, previous: this.tail, next: undefined }
    if (this.tail) this.tail.next = entry
    else this.head = entry
    this.tail = entry
    this.oldestDroppable ??= entry
    this.charge(frame.bytes + ENTRY_BYTES)
    return entry
  }

  private unlink(entry: Entry): void {
    if (entry.previous) entry.previous.next = entry.next
    else this.head = entry.next
    if (entry.next) entry.next.previous = entry.previous
    else this.tail = entry.previous
    if (this.oldestDroppable === entry) this.oldestDroppable = entry.next
    if (entry.policy === 'conflate' && entry.message) {
      const key = conflationKey(entry.message)
      if (this.newestByKey.get(key) === entry) this.newestByKey.delete(key)
    }
    this.charge(-(entry.frame.bytes + ENTRY_BYTES + entry.gaps.length * GAP_BYTES))
  }

  private charge(bytes: number): void {
    this.bytes += bytes
    this.account.add(bytes)
  }
}

const STRICTNESS: readonly Policy[] = ['disconnect', 'drop-newest', 'drop-oldest']

function strictest(subscriptions: readonly Subscription[]): Policy {
  const first = subscriptions[0]?.policy ?? 'drop-oldest'
  if (subscriptions.length === 1) return first
  for (const policy of STRICTNESS) {
    if (subscriptions.some((subscription) => subscription.policy === policy)) return policy
  }
  return first
}

function isDroppable({ policy }: Entry): boolean {
  return policy === 'drop-oldest' || policy === 'conflate'
}

/** The newest value of a key, within its topic; a message without a key is the newest of its topic. */
function conflationKey({ topic, key }: Message): string {
  return key === undefined ? topic : `${topic} ${key}`
}
