import { type Clock, wallTime } from '../../shared/clock.ts'
import type { GapReason, SlowPolicy } from '../../shared/frames.ts'
import { isExpired } from '../broker/rules/expiry.ts'
import { BatchBuilder } from '../engine/batch.ts'
import type { Encoded } from '../topic/encoded.ts'
import type { Message } from '../topic/message.ts'
import type { Subscription } from '../topic/subscription.ts'
import { FrameChain } from './frame-chain.ts'
import { gapOf, linkGap, type MessageSpan, mergeGaps, type PendingGap } from './gap.ts'
import { addGap, type Outgoing } from './outgoing.ts'

/** Approximate cost of an entry in addition to its frame: the objects of this list and of the message. */
const ENTRY_BYTES = 160
const GAP_BYTES = 64
/** A key that has been passed over for this many rounds of all keys keeps its place. */
const ROUNDS = 4

/**
 * A waiting frame, or a chain of messages that are all for one subscription. An entry without a span is a control frame of the hub
 * (a receipt, an error), which no policy may drop.
 */
export interface BacklogEntry {
  readonly content: Encoded | FrameChain
  readonly span: MessageSpan | undefined
  readonly subscriptions: readonly Subscription[]
  /** Set if the entry is for this subscription only. */
  readonly only: Subscription | undefined
  readonly policy: SlowPolicy | undefined
  readonly conflationKey: string | undefined
  /** Value of `Backlog.taken` when a message of this key began to wait. */
  readonly takenBefore: number
  /** From then on the message is not delivered. */
  readonly expiresAt: number | undefined
  /** The bytes that the entry counts for. */
  readonly cost: number
  /** Gaps right before the entry. */
  gaps: PendingGap[]
  previous: BacklogEntry | undefined
  next: BacklogEntry | undefined
}

/** An entry that is not in the list yet. */
type NewEntry = Omit<BacklogEntry, 'gaps' | 'previous' | 'next'>

/** A message that arrived while the connection is behind, and its matching subscriptions found so far. */
export interface Staged {
  readonly message: Message
  readonly subscriptions: Subscription[]
}

/** Notified of every change in held bytes and of every drop, to keep sums over backlogs. */
export interface Account {
  add(bytes: number): void
  leftOut(subscription: Subscription, count: number, reason: GapReason): void
}

/**
 * Frames that wait for a connection that is behind, or for a paused subscription. Limited in bytes: if the limit is reached, the
 * policy of each message decides what is dropped, and a gap takes its place.
 *
 * If several subscriptions of the connection match one message, the strictest policy decides: `disconnect`, `drop-newest`,
 * `drop-oldest`, `conflate`.
 */
export class Backlog {
  /** Milliseconds since 1970. */
  readonly since: number
  bytes = 0
  /** Number of waiting control frames. */
  controls = 0
  private readonly account: Account
  private head: BacklogEntry | undefined = undefined
  private tail: BacklogEntry | undefined = undefined
  /** Gaps after the last entry. */
  private tailGaps: PendingGap[] = []
  /** No entry before this one may be dropped to make room. It only moves forward, so that the search costs nothing. */
  private oldestDroppable: BacklogEntry | undefined = undefined
  private readonly newestByKey = new Map<string, BacklogEntry>()
  /** Number of entries with a key taken so far. */
  private taken = 0

  constructor(account: Account, now: number) {
    this.account = account
    this.since = now
  }

  get empty(): boolean {
    return this.head === undefined && this.tailGaps.length === 0
  }

  /** Appends a control frame. */
  appendControl(frame: Encoded): void {
    this.link({
      content: frame,
      span: undefined,
      subscriptions: [],
      only: undefined,
      policy: undefined,
      conflationKey: undefined,
      takenBefore: 0,
      expiresAt: undefined,
      cost: frame.bytes + ENTRY_BYTES,
    })
    this.controls++
  }

  /**
   * Appends a message, if necessary by dropping others, within `limit` bytes. Returns false if there is no room and the policy is
   * to disconnect.
   */
  append(message: Message, subscriptions: readonly Subscription[], limit: number): boolean {
    const policy = strictest(subscriptions)
    const key = policy === 'conflate' ? conflationKey(message) : undefined
    const entry: NewEntry = {
      content: message.wire,
      span: { count: 1, from: message.id, to: message.id },
      subscriptions,
      only: undefined,
      policy,
      conflationKey: key,
      takenBefore: key === undefined ? 0 : this.supersede(key, subscriptions),
      expiresAt: message.expiresAt,
      cost: message.wire.bytes + ENTRY_BYTES,
    }
    return this.admit(entry, limit)
  }

  /**
   * Appends a chain of messages as one entry: a stalled connection with a single subscription then costs one comparison per
   * message, and one entry per turn. The policy must not be `conflate`.
   */
  appendChain(chain: FrameChain, subscription: Subscription, limit: number): boolean {
    const span = { count: chain.count, from: chain.first?.id ?? '', to: chain.last?.id ?? '' }
    const entry: NewEntry = {
      content: chain,
      span,
      subscriptions: [subscription],
      only: undefined,
      policy: subscription.policy,
      conflationKey: undefined,
      takenBefore: 0,
      expiresAt: undefined,
      cost: chain.bytes + chain.count * ENTRY_BYTES,
    }
    return this.admit(entry, limit)
  }

  /** Messages are missing after the last entry: see `Recipient.missed`. */
  missed(subscription: Subscription): void {
    this.addTailGaps([linkGap(subscription)])
  }

  /** Drops messages, oldest first, until at most `limit` bytes are held or none is left. */
  shrinkTo(limit: number, reason: GapReason): void {
    this.dropOldest(limit, reason)
    for (let entry = this.head; entry && this.bytes > limit; entry = entry.next) {
      if (entry.span) this.leaveOut(entry, reason)
    }
  }

  /** Takes entries in order until it has this many bytes; expired messages are dropped. */
  take(clock: Pick<Clock, 'now' | 'wall'>, most: number): Outgoing {
    const first = this.head?.content
    if (first instanceof FrameChain && this.head?.gaps.length === 0) {
      this.shift()
      return first.toOutgoing()
    }
    const builder = new BatchBuilder()
    let bytes = 0
    let receipts = 0
    let messages = 0
    while (bytes < most) {
      for (const gap of this.shiftGaps()) bytes += addGap(builder, gap)
      const entry = this.head?.content instanceof FrameChain ? undefined : this.shift()
      if (!entry) break
      if (entry.expiresAt !== undefined && isExpired(entry.expiresAt, wallTime(clock))) continue
      const frame = entry.content as Encoded
      builder.scope(entry.only?.sub)
      builder.add(frame)
      bytes += frame.bytes
      if (entry.span) messages++
      else receipts += frame.receipts
    }
    return { batch: builder.build(), messages, receipts }
  }

  /** Removes the gaps that come before all entries. */
  private shiftGaps(): readonly PendingGap[] {
    const gaps = this.head ? this.head.gaps : this.tailGaps
    if (this.head) this.head.gaps = []
    else this.tailGaps = []
    this.charge(-gaps.length * GAP_BYTES)
    return gaps
  }

  /** Removes the first entry, whose gaps have been taken. */
  private shift(): BacklogEntry | undefined {
    const entry = this.head
    if (!entry) return undefined
    this.unlink(entry)
    if (entry.conflationKey !== undefined) this.taken++
    if (!entry.span) this.controls--
    return entry
  }

  /** Moves everything from another backlog to the end of this one, for one subscription only. */
  takeAll(from: Backlog, only: Subscription): void {
    while (!from.empty) {
      this.addTailGaps(from.shiftGaps())
      const entry = from.shift()
      if (entry) this.link({ ...entry, only })
    }
  }

  clear(): void {
    this.charge(-this.bytes)
    this.controls = 0
    this.head = undefined
    this.tail = undefined
    this.oldestDroppable = undefined
    this.tailGaps = []
    this.newestByKey.clear()
  }

  private admit(entry: NewEntry, limit: number): boolean {
    const { cost, policy } = entry
    if (this.bytes + cost > limit) {
      if (policy === 'disconnect') return false
      if (policy !== 'drop-newest') this.dropOldest(limit - cost, 'drop-oldest')
    }
    if (this.bytes + cost > limit) this.leaveNewOut(entry, policy === 'drop-newest' ? policy : 'drop-oldest')
    else this.link(entry)
    return true
  }

  /**
   * Drops the waiting message of a key before a newer one is appended. Returns when the key began to wait, as a number of taken
   * messages. If several rounds of all keys have been taken since then, the older message stays: otherwise a key that changes all
   * the time would always be last, and its client would never see it.
   */
  private supersede(key: string, subscriptions: readonly Subscription[]): number {
    const older = this.newestByKey.get(key)
    // The older message has not been superseded for subscriptions that do not get the newer one.
    if (!older?.subscriptions.every((subscription) => subscriptions.includes(subscription))) return this.taken
    if (this.taken - older.takenBefore >= ROUNDS * this.newestByKey.size) return this.taken
    this.leaveOut(older, 'conflate')
    return older.takenBefore
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

  private leaveOut(entry: BacklogEntry, reason: GapReason): void {
    const { next } = entry
    this.unlink(entry)
    const gaps = next ? next.gaps : this.tailGaps
    const before = gaps.length
    const own = entry.gaps
    for (const subscription of entry.subscriptions) {
      mergeGaps(own, [this.gapFor(subscription, entry.span as MessageSpan, reason)], 'after')
    }
    mergeGaps(gaps, own, 'before')
    this.charge((gaps.length - before) * GAP_BYTES)
  }

  private leaveNewOut({ subscriptions, span }: NewEntry, reason: GapReason): void {
    this.addTailGaps(subscriptions.map((subscription) => this.gapFor(subscription, span as MessageSpan, reason)))
  }

  private gapFor(subscription: Subscription, span: MessageSpan, reason: GapReason): PendingGap {
    this.account.leftOut(subscription, span.count, reason)
    return gapOf(subscription, span, reason)
  }

  private addTailGaps(gaps: readonly PendingGap[]): void {
    const before = this.tailGaps.length
    mergeGaps(this.tailGaps, gaps, 'after')
    this.charge((this.tailGaps.length - before) * GAP_BYTES)
  }

  private link(added: NewEntry): void {
    // From now on the trailing gaps belong to this entry, with the bytes that they count for.
    const entry: BacklogEntry = { ...added, gaps: this.tailGaps, previous: this.tail, next: undefined }
    this.tailGaps = []
    if (this.tail) this.tail.next = entry
    else this.head = entry
    this.tail = entry
    this.oldestDroppable ??= entry
    if (entry.conflationKey !== undefined) this.newestByKey.set(entry.conflationKey, entry)
    this.charge(entry.cost)
  }

  private unlink(entry: BacklogEntry): void {
    if (entry.previous) entry.previous.next = entry.next
    else this.head = entry.next
    if (entry.next) entry.next.previous = entry.previous
    else this.tail = entry.previous
    if (this.oldestDroppable === entry) this.oldestDroppable = entry.next
    const { conflationKey } = entry
    if (conflationKey !== undefined && this.newestByKey.get(conflationKey) === entry) {
      this.newestByKey.delete(conflationKey)
    }
    this.charge(-(entry.cost + entry.gaps.length * GAP_BYTES))
  }

  private charge(bytes: number): void {
    this.bytes += bytes
    this.account.add(bytes)
  }
}

const STRICTNESS: readonly SlowPolicy[] = ['disconnect', 'drop-newest', 'drop-oldest']

function strictest(subscriptions: readonly Subscription[]): SlowPolicy {
  const first = subscriptions[0]?.policy ?? 'drop-oldest'
  if (subscriptions.length === 1) return first
  for (const policy of STRICTNESS) {
    if (subscriptions.some((subscription) => subscription.policy === policy)) return policy
  }
  return first
}

function isDroppable({ policy }: BacklogEntry): boolean {
  return policy === 'drop-oldest' || policy === 'conflate'
}

/** The conflation key: the topic and the key; a message without a key conflates by topic. */
function conflationKey({ topic, key }: Message): string {
  return key === undefined ? topic : `${topic} ${key}`
}
