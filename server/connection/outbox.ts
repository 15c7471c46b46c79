import type { GapReason, HubFrame } from '../../shared/frames.ts'
import type { EngineSocket } from '../engine/engine.ts'
import type { FeedOutlet } from '../stream/feed.ts'
import { Encoded } from '../topic/encoded.ts'
import type { Message } from '../topic/message.ts'
import type { Recipient, Subscription } from '../topic/subscription.ts'
import { type Account, Backlog, type Staged } from './backlog.ts'
import type { FrameChain } from './frame-chain.ts'
import { gapFrame, linkGap } from './gap.ts'
import { Line } from './line.ts'
import type { Debtor } from './outbox-budget.ts'
import type { OutboxOwner, OutboxShared, ReceiptWindow, WaitsForOutbox } from './outbox-owner.ts'
import { encode, type Outgoing, WRITE_BYTES } from './outgoing.ts'
import { PausedBacklogs } from './paused-backlogs.ts'
import { Sources } from './sources.ts'
import type { Flushable } from './write-turn.ts'

/**
 * A connection's bounded send buffer.
 *
 * While the peer keeps up, it is a pointer to a chain of this turn's frames, shared with other outboxes. Once a write blocks the
 * line it is *behind*: frames wait in a backlog, where the policies apply, until the line is free. Messages of a paused
 * subscription wait in a separate backlog, which gets at most half of the limit.
 *
 * None of its methods throws: a bug in here, or in a source or the socket, costs this connection only.
 *
 * Sources hand out stored messages when there is room for them. Waiting control frames go first, since a source's messages may
 * depend on them; waiting messages take turns with the sources.
 */
export class Outbox implements Recipient, Flushable, Debtor, FeedOutlet, Account {
  /** Bytes on a blocked line, and waiting bytes. */
  heldBytes = 0
  /** Messages handed to the socket, and messages dropped. */
  deliveredTotal = 0
  droppedTotal = 0
  /** When messages were last dropped, in milliseconds since 1970. */
  droppedAt: number | undefined = undefined
  /** Set by the connection's publishes, and by its calls, once there are any. */
  receiptWindow: ReceiptWindow | undefined = undefined
  waiting: WaitsForOutbox | undefined = undefined
  readonly sources = new Sources()
  private readonly line: Line
  private readonly shared: OutboxShared
  private readonly owner: OutboxOwner
  private readonly chainBytes: number
  private chain: FrameChain | undefined = undefined
  private lastStamp = 0
  /** Set while the line is blocked or something waits. */
  private backlog: Backlog | undefined = undefined
  private staged: Staged | undefined = undefined
  private paused: PausedBacklogs | undefined = undefined
  private closed = false
  private sourcesTurn = false
  /** The connection's only subscription: messages that it matches need no list, even while behind. */
  private sole: Subscription | undefined = undefined

  constructor(socket: EngineSocket, shared: OutboxShared, owner: OutboxOwner) {
    this.line = new Line(socket, shared.turn, this)
    this.shared = shared
    this.owner = owner
    this.chainBytes = Math.min(WRITE_BYTES, shared.limit / 16)
  }

  /** For the backlogs and the outbox itself: adds to its own sum and to the budget. */
  add(bytes: number): void {
    this.heldBytes += bytes
    this.shared.budget.add(bytes)
  }

  deliver(message: Message, subscription: Subscription): void {
    if (this.closed) return
    try {
      if (this.paused?.has(subscription)) this.hold(message, subscription)
      else if (this.backlog && (subscription !== this.sole || message.expiresAt !== undefined)) {
        this.deliverBehind(message, subscription)
      } else if (this.lastStamp !== message.stamp) {
        if (this.staged) this.settle()
        this.lastStamp = message.stamp
        this.appendToChain(message.wire)
      }
    } catch (error) {
      this.failed(error)
    }
  }

  missed(subscription: Subscription): void {
    this.guarded(() => {
      this.settle()
      const waits = this.paused?.get(subscription) ?? this.backlog
      if (!waits) return this.send(gapFrame(linkGap(subscription)))
      waits.missed(subscription)
      this.shared.budget.enforce()
    })
  }

  get keepsUp(): boolean {
    return this.backlog === undefined
  }

  /** Since when something has been waiting, in milliseconds since 1970; undefined while the client keeps up. */
  get behindSince(): number | undefined {
    return this.backlog?.since
  }

  get limitBytes(): number {
    return this.shared.limit
  }

  isPaused(subscription: Subscription): boolean {
    return this.paused?.has(subscription) ?? false
  }

  leftOut(subscription: Subscription, count: number, reason: GapReason): void {
    subscription.droppedTotal += count
    this.droppedTotal += count
    this.droppedAt = this.shared.turn.now()
    this.shared.traffic.leftOut(count, reason)
  }

  feedReady(): void {
    // Once per turn, however many sources ask: each flush takes a piece of every feed.
    if (!this.closed && this.sources.markReady()) this.shared.turn.schedule(this)
  }

  feedFailed(subscription: Subscription, error: unknown): void {
    this.owner.feedFailed(subscription, error)
  }

  /** Sends a control frame, which no policy drops. For receipts, `receiptsSent` is called when the socket has them. */
  send(frame: HubFrame | Encoded): void {
    this.guarded(() => this.append(frame instanceof Encoded ? frame : encode(frame)))
  }

  /** The same for a receipt, as JSON. */
  sendReceipt(json: string): void {
    if (!this.chain?.addReceipt(json)) this.send(Encoded.receipt(json))
    else if (this.chain.bytes >= this.chainBytes) this.flush()
  }

  /** Call whenever the connection's subscriptions change. */
  subscriptionsAre(subscriptions: ReadonlyMap<number, Subscription>): void {
    this.settle()
    const [first] = subscriptions.size === 1 ? subscriptions.values() : []
    this.sole = first && first.policy !== 'conflate' && first.policy !== 'pause' ? first : undefined
  }

  /** From now on messages for this subscription wait. */
  pause(subscription: Subscription): void {
    if (this.paused?.has(subscription)) return
    this.settle()
    if (this.closed) return
    this.paused ??= new PausedBacklogs(this, this.shared.limit / 2)
    this.paused.add(subscription, this.shared.turn.now())
    this.shared.budget.enter(this)
  }

  /** Sends what waited for this subscription, to it only. */
  resume(subscription: Subscription): void {
    const waited = this.paused?.get(subscription)
    if (!waited) return
    if (!waited.empty) {
      this.fallBehind()
      // Not if falling behind exceeded the budget.
      this.backlog?.takeAll(waited, subscription)
      this.shared.turn.schedule(this)
    }
    this.forget(subscription)
  }

  resumeAll(): void {
    for (const subscription of this.paused?.subscriptions ?? []) this.resume(subscription)
  }

  /** Discards what waited for a subscription that has ended. */
  forget(subscription: Subscription): void {
    this.paused?.forget(subscription)
    if (!this.paused?.empty) return
    this.paused = undefined
    if (!this.backlog) this.shared.budget.leave(this)
  }

  flush(): void {
    this.guarded(this.flushNow)
  }

  /** The engine has written everything: continues with what waits. */
  drain(): void {
    this.line.drained()
    this.guarded(this.drainNow)
  }

  /** From now on the client is sent checks, and counts as behind while it does not answer. */
  startChecks(): void {
    this.line.startChecks(this.shared.limit / 2)
  }

  /** From now on data goes out as fast as the engine takes it. */
  stopChecks(): void {
    this.line.stopChecks()
    this.guarded(this.drainNow)
  }

  /** Returns false if that check was not sent. */
  checked(n: number): boolean {
    if (!this.line.answered(n)) return false
    this.guarded(this.drainNow)
    return true
  }

  ponged(): void {
    this.line.ponged()
  }

  shrinkTo(bytes: number): void {
    this.guarded(() => this.leaveOut(bytes, 'outbox-total'))
  }

  giveUp(): void {
    this.owner.overflow('outbox_total')
    this.release()
  }

  /** Sends nothing more, and discards what waits. */
  release(): void {
    this.closed = true
    this.chain = undefined
    this.staged = undefined
    this.line.release()
    this.line.stopChecks()
    this.backlog?.clear()
    this.backlog = undefined
    this.paused?.clear()
    this.paused = undefined
    this.sources.clear()
    this.shared.budget.leave(this)
  }

  private guarded(act: (this: this) => void): void {
    if (this.closed) return
    try {
      act.call(this)
    } catch (error) {
      this.failed(error)
    }
  }

  private failed(error: unknown): void {
    this.release()
    this.owner.failed(error)
  }

  private flushNow(): void {
    const sourcesReady = this.sources.takeReady()
    if (this.backlog) {
      this.settle()
      if (!this.line.blocked) this.drainNow()
      return
    }
    const written = !this.chain || this.writeChain(this.chain)
    if (written && (!sourcesReady || this.writeFromSources())) return
    this.fallBehind()
  }

  private drainNow(): void {
    if (this.line.blocked) return this.fallBehind()
    this.line.release()
    this.settle()
    while (this.backlog && !this.closed && !this.line.blocked) {
      if (this.backlog.empty) {
        this.backlog = undefined
        if (!this.paused) this.shared.budget.leave(this)
        if (!this.sources.empty) this.feedReady()
        this.waiting?.caughtUp()
      } else {
        if (this.sourcesTurn) this.writeFromSources()
        else this.write(this.backlog.take(this.shared.turn, this.line.room))
        this.sourcesTurn = !this.sourcesTurn
      }
    }
    this.holdLine()
  }

  private append(encoded: Encoded): void {
    if (!this.backlog) return this.appendToChain(encoded)
    this.settle()
    // The message that was settled may have exceeded the limit.
    if (this.closed) return
    this.backlog.appendControl(encoded)
    // Messages make room for it, whatever their policy. Bytes on the line do not count, because they are already on the way.
    this.leaveOut(this.shared.limit + this.line.heldBytes, 'drop-oldest')
    // Only a peer that sends requests and never reads gets here.
    if (this.backlog.bytes > this.shared.limit) this.owner.overflow('slow_consumer')
    this.shared.budget.enforce()
  }

  private appendToChain(frame: Encoded): void {
    this.chain = (this.chain ?? this.shared.turn.begin(this)).extend(frame)
    if (this.chain.bytes >= this.chainBytes) this.flushNow()
  }

  private fallBehind(): void {
    if (!this.backlog) {
      this.backlog = new Backlog(this, this.shared.turn.now())
      this.shared.budget.enter(this)
      // The frames in the chain came first.
      if (this.chain) this.writeChain(this.chain)
    }
    this.holdLine()
  }

  private writeChain(chain: FrameChain): boolean {
    this.chain = undefined
    return this.write(chain.toOutgoing())
  }

  /** Returns false if the line is blocked. */
  private write({ batch, messages, receipts }: Outgoing): boolean {
    this.deliveredTotal += messages
    this.shared.traffic.sent(batch.framed.length, messages)
    const written = this.line.write(batch)
    if (receipts > 0) this.receiptWindow?.receiptsSent(receipts)
    return written
  }

  private deliverBehind(message: Message, subscription: Subscription): void {
    const { feed, policy } = subscription
    if (!feed || policy !== 'pause') return this.stage(message, subscription)
    const { staged } = this
    // The outbox fell behind while it sent this message for another subscription of the connection, so the message was already
    // sent.
    if (this.lastStamp === message.stamp && staged?.message !== message) return
    // If the message also waits for another subscription, `behind` has to come before it, because the log delivers it as well.
    if (staged?.message === message) this.staged = undefined
    feed.fallBehind(message)
    if (staged?.message === message) this.staged = staged
  }

  private stage(message: Message, subscription: Subscription): void {
    if (this.staged?.message === message) {
      this.staged.subscriptions.push(subscription)
      return
    }
    // The outbox fell behind while it sent this message for another subscription.
    if (this.lastStamp === message.stamp) return
    this.lastStamp = message.stamp
    if (this.staged || this.chain) this.settle()
    this.shared.turn.schedule(this)
    this.staged = { message, subscriptions: [subscription] }
  }

  /** While behind: moves what arrived in this turn into the backlog, where the policies apply. */
  private settle(): void {
    const { backlog, chain, staged, sole } = this
    if (!backlog || !(chain || staged)) return
    this.chain = undefined
    this.staged = undefined
    const room = this.roomFor(backlog)
    const fits = chain && sole ? backlog.appendChain(chain, sole, room) : true
    if (!fits || (staged && !backlog.append(staged.message, staged.subscriptions, room)))
      this.owner.overflow('slow_consumer')
    this.shared.budget.enforce()
  }

  private hold(message: Message, subscription: Subscription): void {
    const paused = this.paused as PausedBacklogs
    const backlog = paused.get(subscription) as Backlog
    const room = Math.min(paused.share, this.roomFor(backlog))
    if (!backlog.append(message, [subscription], room)) this.owner.overflow('slow_consumer')
    this.shared.budget.enforce()
  }

  /** How much a backlog may hold, given everything else that is held. */
  private roomFor(backlog: Backlog): number {
    return this.shared.limit - (this.heldBytes - backlog.bytes)
  }

  /** Drops messages until at most `limit` bytes are held, as far as dropping messages can achieve that. */
  private leaveOut(limit: number, reason: GapReason): void {
    if (this.heldBytes <= limit) return
    for (const backlog of [...(this.paused?.backlogs ?? []), ...(this.backlog ? [this.backlog] : [])]) {
      if (this.heldBytes > limit) backlog.shrinkTo(Math.max(0, backlog.bytes + limit - this.heldBytes), reason)
    }
  }

  /** Writes a piece of each source that has something. Returns false if the line is blocked. */
  private writeFromSources(): boolean {
    return this.sources.writeEach(
      () => (this.backlog?.controls ?? 0) > 0,
      () => this.line.room,
      (outgoing) => this.write(outgoing),
      () => this.feedReady(),
    )
  }

  private holdLine(): void {
    if (this.closed || !this.line.blocked) return
    this.line.hold()
    this.shared.budget.enforce()
  }
}
