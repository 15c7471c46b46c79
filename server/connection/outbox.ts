import type { FanfareError } from '../../shared/errors.ts'
import type { HubFrame } from '../../shared/frames.ts'
import { BatchBuilder } from '../engine/batch.ts'
import type { EngineSocket } from '../engine/engine.ts'
import type { Feed, FeedOutlet } from '../stream/feed.ts'
import { Encoded } from '../topic/encoded.ts'
import type { Message } from '../topic/message.ts'
import type { Recipient, Subscription } from '../topic/subscription.ts'
import { Backlog, type Entry } from './backlog.ts'
import { type Gap, gapFrame } from './gap.ts'
import type { Debtor, OutboxBudget } from './outbox-budget.ts'
import type { Run } from './run.ts'
import type { Flushable, Turn } from './turn.ts'

/** Bytes after which a write does not wait for the end of the turn. */
const WRITE_BYTES = 64 * 1024

/** What a connection's outbox asks of the connection. */
export interface OutboxOwner {
  /** Receipts have been handed to the socket: the publisher may send as many again. */
  receiptsSent(count: number): void
  /** The policy, or the bound on all outboxes, says that the connection has to go. Called in the middle of a fan-out. */
  overflow(code: 'slow_consumer' | 'outbox_total'): void
  /** A stream cannot feed this subscription any longer. */
  feedFailed(subscription: Subscription, error: FanfareError): void
}

/**
 * A connection's bounded send buffer.
 *
 * While the peer keeps up it is a pointer to a run of this turn's frames, shared with the others. Once a write leaves a
 * rest with the engine it is *behind*: frames wait in a backlog, where the policies apply, until the engine has
 * drained. Messages of a paused subscription wait in a backlog of their own, which gets half of the bound at most.
 *
 * Feeds hand out messages of a log when there is room for them. Frames of the hub's own that wait go first, since a feed's
 * messages may depend on them; messages that wait take turns with them.
 */
export class Outbox implements Recipient, Flushable, Debtor, FeedOutlet {
  private readonly socket: EngineSocket
  private readonly turn: Turn
  private readonly budget: OutboxBudget
  private readonly owner: OutboxOwner
  private readonly limit: number
  private readonly runBytes: number
  private run: Run | undefined = undefined
  private receiptsInRun = 0
  private lastStamp = 0
  /** Set while the engine holds a rest or something waits. */
  private backlog: Backlog | undefined = undefined
  private engineBytes = 0
  /** A message that came while behind, until all subscriptions that it matches are known. */
  private staged: Message | undefined = undefined
  private stagedFor: Subscription[] = []
  private paused: Map<Subscription, Backlog> | undefined = undefined
  private closed = false
  private feeds: Set<Feed> | undefined = undefined
  /** The connection's only subscription: what it matches needs no list, also while behind. */
  private sole: Subscription | undefined = undefined

  constructor(socket: EngineSocket, turn: Turn, budget: OutboxBudget, limit: number, owner: OutboxOwner) {
    this.socket = socket
    this.turn = turn
    this.budget = budget
    this.limit = limit
    this.runBytes = Math.min(WRITE_BYTES, limit / 16)
    this.owner = owner
  }

  /** The peer has not taken all that was written, or more waits. */
  get behind(): boolean {
    return this.backlog !== undefined
  }

  get heldBytes(): number {
    return this.engineBytes + (this.backlog?.bytes ?? 0) + this.pausedBytes()
  }

  deliver(message: Message, subscription: Subscription): void {
    if (this.closed) return
    if (this.paused?.has(subscription)) this.hold(message, subscription)
    else if (this.backlog && (subscription !== this.sole || message.expiresAt !== undefined)) {
      this.deliverBehind(message, subscription)
    } else if (this.lastStamp !== message.stamp) {
      if (this.staged) this.settle()
      this.lastStamp = message.stamp
      this.appendToRun(message.wire)
    }
  }

  get keepsUp(): boolean {
    return this.backlog === undefined
  }

  attach(feed: Feed): void {
    this.feeds ??= new Set()
    this.feeds.add(feed)
  }

  detach(feed: Feed): void {
    this.feeds?.delete(feed)
    if (this.feeds?.size === 0) this.feeds = undefined
  }

  feedReady(): void {
    if (!this.closed) this.turn.schedule(this)
  }

  feedFailed(subscription: Subscription, error: FanfareError): void {
    this.owner.feedFailed(subscription, error)
  }

  /** Sends a frame of the hub's own, which no policy drops. */
  send(frame: HubFrame): void {
    if (this.closed) return
    this.append(new Encoded(JSON.stringify(frame)))
  }

  /** Sends a receipt, encoded; the owner is told when the socket has it. */
  sendReceipt(json: string): void {
    if (this.closed) return
    if (!this.backlog) this.receiptsInRun++
    this.append(new Encoded(json))
  }

  /** To be told whenever the connection's subscriptions change. */
  subscriptionsAre(subscriptions: ReadonlyMap<number, Subscription>): void {
    this.settle()
    const [first] = subscriptions.size === 1 ? subscriptions.values() : []
    this.sole = first && first.policy !== 'conflate' && first.policy !== 'pause' ? first : undefined
  }

  /** From here on, messages for this subscription wait. */
  pause(subscription: Subscription): void {
    this.paused ??= new Map()
    if (this.paused.has(subscription)) return
    this.settle()
    this.paused.set(subscription, new Backlog(this.budget))
    this.budget.enter(this)
    for (const backlog of this.paused.values()) backlog.shrinkTo(this.pausedLimit(), 'drop-oldest')
  }

  /** Sends what waited for this subscription, for it alone. */
  resume(subscription: Subscription): void {
    const waited = this.paused?.get(subscription)
    if (!waited) return
    if (!waited.empty) {
      this.fallBehind().takeAll(waited, subscription)
      this.turn.schedule(this)
    }
    this.forget(subscription)
  }

  resumeAll(): void {
    for (const subscription of [...(this.paused?.keys() ?? [])]) this.resume(subscription)
  }

  /** Lets go of what waited for a subscription that has ended. */
  forget(subscription: Subscription): void {
    this.paused?.get(subscription)?.clear()
    this.paused?.delete(subscription)
    if (this.paused?.size !== 0) return
    this.paused = undefined
    if (!this.backlog) this.budget.leave(this)
  }

  flush(): void {
    if (this.closed) return
    if (this.backlog) {
      this.settle()
      if (this.engineBytes === 0) this.drain()
      return
    }
    const { run } = this
    if (run) {
      this.run = undefined
      const written = this.socket.write(run.toBatch())
      const receipts = this.receiptsInRun
      this.receiptsInRun = 0
      if (receipts > 0) this.owner.receiptsSent(receipts)
      if (!written) {
        this.fallBehind()
        this.holdEngineBytes()
        return
      }
    }
    if (this.feeds && !this.writeFromFeeds()) {
      this.fallBehind()
      this.holdEngineBytes()
    }
  }

  /** The engine has written everything: goes on with what waits. */
  drain(): void {
    this.releaseEngineBytes()
    this.settle()
    while (this.backlog && !this.closed) {
      if (this.backlog.empty) {
        this.backlog = undefined
        if (!this.paused) this.budget.leave(this)
        if (this.feeds) this.turn.schedule(this)
      } else if (!this.writeFromBacklog(this.backlog) || !this.writeFromFeeds()) {
        this.holdEngineBytes()
        return
      }
    }
  }

  shrinkTo(bytes: number): void {
    const backlogs = [...(this.paused?.values() ?? []), ...(this.backlog ? [this.backlog] : [])]
    for (const backlog of backlogs) {
      const excess = this.heldBytes - bytes
      if (excess > 0) backlog.shrinkTo(Math.max(0, backlog.bytes - excess), 'outbox-total')
    }
  }

  giveUp(): void {
    this.owner.overflow('outbox_total')
    this.release()
  }

  /** Nothing more will be sent; what waits is let go. */
  release(): void {
    this.closed = true
    this.run = undefined
    this.staged = undefined
    this.releaseEngineBytes()
    this.backlog?.clear()
    this.backlog = undefined
    for (const backlog of this.paused?.values() ?? []) backlog.clear()
    this.paused = undefined
    for (const feed of this.feeds ?? []) feed.end()
    this.feeds = undefined
    this.budget.leave(this)
  }

  private append(encoded: Encoded): void {
    if (!this.backlog) {
      this.appendToRun(encoded)
      return
    }
    this.settle()
    this.backlog.appendControl(encoded)
    // Only requests make these, so a peer that asks and never reads is the only one to get here.
    if (this.backlog.bytes > this.limit && !this.backlog.shrinkTo(this.limit, 'drop-oldest')) {
      this.owner.overflow('slow_consumer')
    }
    this.budget.enforce()
  }

  private appendToRun(frame: Encoded): void {
    this.run = (this.run ?? this.turn.begin(this)).extend(frame)
    if (this.run.bytes >= this.runBytes) this.flush()
  }

  private fallBehind(): Backlog {
    if (this.backlog) return this.backlog
    // Whatever is in the run came first.
    const { run } = this
    this.backlog = new Backlog(this.budget)
    this.budget.enter(this)
    if (run) {
      this.run = undefined
      if (!this.socket.write(run.toBatch())) this.holdEngineBytes()
      this.owner.receiptsSent(this.receiptsInRun)
      this.receiptsInRun = 0
    }
    return this.backlog
  }

  private deliverBehind(message: Message, subscription: Subscription): void {
    if (subscription.policy === 'pause' && subscription.feed) subscription.feed.fallBehind(message)
    else this.stage(message, subscription)
  }

  private stage(message: Message, subscription: Subscription): void {
    if (this.staged === message) {
      this.stagedFor.push(subscription)
      return
    }
    // It fell behind while it sent this very message for another of its subscriptions.
    if (this.lastStamp === message.stamp) return
    this.lastStamp = message.stamp
    if (this.staged || this.run) this.settle()
    this.turn.schedule(this)
    this.staged = message
    this.stagedFor = [subscription]
  }

  /** While behind: puts what came in this turn into the backlog, where the policies apply. */
  private settle(): void {
    const { backlog, run, staged, sole } = this
    if (!backlog || !(run || staged)) return
    this.run = undefined
    this.staged = undefined
    const room = this.limit - this.engineBytes - this.pausedBytes()
    const fits = run && sole ? backlog.appendRun(run, sole, room) : true
    if (!fits || (staged && !backlog.append(staged, this.stagedFor, room))) this.owner.overflow('slow_consumer')
    this.budget.enforce()
  }

  private hold(message: Message, subscription: Subscription): void {
    const backlog = this.paused?.get(subscription) as Backlog
    if (!backlog.append(message, [subscription], this.pausedLimit())) this.owner.overflow('slow_consumer')
    this.budget.enforce()
  }

  private pausedLimit(): number {
    return this.limit / 2 / (this.paused?.size ?? 1)
  }

  private pausedBytes(): number {
    let bytes = 0
    for (const backlog of this.paused?.values() ?? []) bytes += backlog.bytes
    return bytes
  }

  private writeFromBacklog(backlog: Backlog): boolean {
    const run = backlog.firstRun
    if (run) {
      backlog.shift()
      return this.socket.write(run.toBatch())
    }
    const builder = new BatchBuilder()
    let bytes = 0
    let receipts = 0
    while (bytes < WRITE_BYTES) {
      for (const gap of backlog.shiftGaps()) bytes += addGap(builder, gap)
      const entry = backlog.startsWithRun ? undefined : backlog.shift()
      if (!entry) break
      if (entry.expiresAt !== undefined && entry.expiresAt <= Date.now()) continue
      const frame = entry.content as Encoded
      builder.scope(entry.only?.sub)
      builder.add(frame)
      bytes += frame.bytes
      if (isReceipt(entry, frame)) receipts++
    }
    const written = this.socket.write(builder.build())
    if (receipts > 0) this.owner.receiptsSent(receipts)
    return written
  }

  /** A piece of each feed that has something. False: the engine holds a rest. */
  private writeFromFeeds(): boolean {
    for (const feed of this.feeds ?? []) {
      if (this.backlog && this.backlog.controls > 0) return true
      // What the feed itself says while it is asked lies behind what it hands out.
      const stretches = feed.pull()
      if (stretches.length === 0) continue
      const builder = new BatchBuilder()
      builder.scope(feed.sub)
      for (const { wires, binary } of stretches) builder.addJoined(wires, binary)
      if (!this.socket.write(builder.build())) return false
    }
    return true
  }

  private holdEngineBytes(): void {
    this.releaseEngineBytes()
    this.engineBytes = this.socket.bufferedBytes
    this.budget.add(this.engineBytes)
    this.budget.enforce()
  }

  private releaseEngineBytes(): void {
    this.budget.add(-this.engineBytes)
    this.engineBytes = 0
  }
}

function addGap(builder: BatchBuilder, gap: Gap): number {
  const frame = new Encoded(JSON.stringify(gapFrame(gap)))
  builder.add(frame)
  return frame.bytes
}

function isReceipt({ stretch }: Entry, { text }: Encoded): boolean {
  return stretch === undefined && (text?.startsWith('{"type":"receipt"') ?? false)
}
