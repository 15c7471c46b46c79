import { type Clock, ownTime } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { GapReason, HubFrame } from '../../shared/frames.ts'
import type { LastCount, StartAt } from '../../shared/streams.ts'
import type { Block, Broker, StreamState } from '../broker/broker.ts'
import type { SubscriptionBudget } from '../limit/subscription-budget.ts'
import type { Message } from '../topic/message.ts'
import type { Subscription, SubscriptionFeed } from '../topic/subscription.ts'
import { Selection, type Stretch } from './chunk.ts'
import type { BlockReader, ReadTurns } from './read-turns.ts'

/** Where a feed's frames go. */
export interface FeedOutlet {
  /** Whether nothing waits to be written. */
  readonly keepsUp: boolean
  send(frame: HubFrame): void
  /** The feed has something: `pull` it when there is room. */
  feedReady(): void
  /** Messages will not come, because the log no longer has them. */
  leftOut(subscription: Subscription, count: number, reason: GapReason): void
  /** The feed cannot continue, and its subscription has to end. */
  feedFailed(subscription: Subscription, error: unknown): void
}

export interface FeedStart {
  readonly stream: string
  readonly from: StartAt | undefined
  readonly cursor: string | undefined
  /** The subscription resumes after a lost connection: `from` takes precedence over the cursor. */
  readonly resumes: boolean
}

/** What all feeds of a hub share. */
export interface FeedShared {
  readonly reads: ReadTurns
  readonly budget: SubscriptionBudget
  readonly clock: Clock
}

/** Messages that were wanted and will not come. */
interface Missing {
  readonly from: number
  readonly to: number
  readonly count: number
}

/** Where a feed begins, and what is sent to the subscriber about it. */
interface Beginning {
  readonly position: number
  /** With `last`: the wanted offsets before `resumeAt`. */
  readonly picks?: readonly number[]
  readonly resumeAt?: number
  /** When resuming: whether everything since then is available. */
  readonly recovered?: boolean
  /** Messages known to be missing from the beginning. */
  readonly gap?: { readonly reason: GapReason; readonly missing?: Missing }
}

/** Approximate memory of a picked offset, in a set that may be half empty. */
const PICK_BYTES = 40

/**
 * Feeds a subscription from a stream's log, at the speed at which its connection takes messages, until it has caught up. Then the
 * subscription is *live* and shares the messages of all others. It returns to the log if the connection falls behind (policy
 * `pause`) or if the client pauses.
 *
 * The seam: a stream's `next` advances and its messages are delivered live in one step, and a feed joins only between two such
 * steps, when everything before `next` has been handed out. So no message is missed, and none comes twice.
 */
export class Feed implements SubscriptionFeed, BlockReader {
  readonly stream: string
  readonly cursor: string | undefined
  private readonly broker: Broker
  private readonly subscription: Subscription
  private readonly outlet: FeedOutlet
  private readonly budget: SubscriptionBudget
  private readonly selection: Selection
  private readonly reads: ReadTurns
  private readonly clock: Clock
  private state: 'starting' | 'feeding' | 'live' | 'ended' = 'starting'
  private paused = false
  /** Epoch of the log that it reads. A log of the same name with another epoch is a different one. */
  private epoch = ''
  /** The first offset that has not been handed out or skipped. */
  private position = 0
  private block: Block | undefined = undefined
  private blockAt = 0
  private reading = false
  /** With `last`: the wanted offsets before `resumeAt`. */
  private picks: Set<number> | undefined = undefined
  /** Memory taken from the budget for the picks. */
  private pickBytes = 0
  private resumeAt = 0

  constructor(
    broker: Broker,
    subscription: Subscription,
    start: FeedStart,
    outlet: FeedOutlet,
    { reads, budget, clock }: FeedShared,
  ) {
    this.broker = broker
    this.subscription = subscription
    this.stream = start.stream
    this.cursor = start.cursor
    this.outlet = outlet
    this.reads = reads
    this.budget = budget
    this.clock = clock
    this.selection = new Selection(subscription.words, subscription.filter, clock)
    this.start(start).catch((error: unknown) => this.fail(error))
  }

  get sub(): number {
    return this.subscription.sub
  }

  /** Whether it has not caught up. */
  get behind(): boolean {
    return this.state !== 'live'
  }

  get isPaused(): boolean {
    return this.paused
  }

  takes(message: Message): boolean {
    return this.state === 'live' && message.offsets?.[this.stream] !== undefined
  }

  fallBehind(message: Message): void {
    this.leaveLive(message.offsets?.[this.stream] as number)
  }

  /** Messages from an offset on were not delivered live, and have to be read. */
  missed(offset: number): void {
    if (this.state === 'live') this.leaveLive(offset)
  }

  /** The stream has another epoch: its log begins again, so it is unknown what is missing. */
  renewed({ epoch, first }: StreamState): void {
    if (this.state !== 'live' && this.state !== 'feeding') return
    this.state = 'feeding'
    this.epoch = epoch
    this.position = first
    this.block = undefined
    this.forgetPicks()
    const { sub, stream } = this
    this.outlet.send({ type: 'subscribed', sub, stream, epoch, offset: first, recovered: false })
    this.tellGap(undefined, 'epoch')
    this.advanceLater()
  }

  /** Stops feeding; what is published in the meantime waits in the log. */
  pause(): void {
    this.paused = true
    if (this.state === 'live' && this.log) this.leaveLive(this.log.next)
  }

  resume(): void {
    this.paused = false
    if (this.block) this.outlet.feedReady()
    else this.advance()
  }

  end(): void {
    this.state = 'ended'
    this.block = undefined
    this.reads.leave(this)
    this.forgetPicks()
  }

  fail(error: unknown): void {
    if (this.state === 'ended') return
    this.end()
    this.outlet.feedFailed(this.subscription, error)
  }

  /** The next messages; empty if nothing is ready now. `feedReady` then tells when to ask again. */
  pull(most: number): readonly Stretch[] {
    if (this.state !== 'feeding' || this.paused) return []
    const { block } = this
    if (!block) {
      this.advanceLater()
      return []
    }
    const [stretches, at] = this.selection.take(block, this.blockAt, most, this.picks)
    this.blockAt = at
    if (at < block.count) {
      this.position = block.offset(at)
      this.outlet.feedReady()
    } else if (this.picks && block.lastOffset >= this.resumeAt) {
      // The picks end in this block, and everything after them is wanted.
      this.forgetPicks()
      this.goOnAt(this.resumeAt)
    } else {
      this.goOnAt(block.lastOffset + 1)
    }
    return stretches
  }

  private goOnAt(position: number): void {
    this.position = position
    this.block = undefined
    this.advanceLater()
  }

  /** Not now: reports made while advancing have to come after what has just been handed out. */
  private advanceLater(): void {
    queueMicrotask(() => this.goOn())
  }

  goOn(): void {
    try {
      this.advance()
    } catch (error) {
      this.fail(error)
    }
  }

  private get log(): StreamState | undefined {
    return this.broker.stream(this.stream)
  }

  private async start({ from: asked, resumes }: FeedStart): Promise<void> {
    const stored = this.cursor === undefined ? undefined : await this.broker.cursor(this.stream, this.cursor)
    const from = (resumes ? asked : stored) ?? stored ?? asked ?? 'latest'
    // Another hub has reported more than this one has seen: before that is known, the position would be of a different log.
    if (this.log && isAhead(from, this.log)) await this.broker.catchUp()
    const log = this.log
    if (!log) throw new FanfareError('no_stream', `There is no stream "${this.stream}".`)
    const { epoch } = log
    const { position, picks, resumeAt = 0, recovered, gap } = await this.beginning(from, log)
    if (this.state === 'ended') return
    if (picks) this.pick(picks)
    this.epoch = epoch
    this.position = position
    this.resumeAt = resumeAt
    this.outlet.send({
      type: 'subscribed',
      sub: this.sub,
      stream: this.stream,
      epoch,
      offset: picks ? resumeAt : position,
      ...(recovered !== undefined && { recovered }),
    })
    if (gap) this.tellGap(gap.missing, gap.reason)
    this.state = 'feeding'
    this.advance()
  }

  private async beginning(from: StartAt, log: StreamState): Promise<Beginning> {
    const { first, next } = log
    if (from === 'latest') return { position: next }
    if (from === 'earliest') return { position: first }
    if ('time' in from) {
      // The time may come from a message, and so from the hub, or from the client's clock: neither may lose messages.
      const time = Math.min(from.time, ownTime(this.clock, from.time))
      return { position: await this.broker.offsetAtTime(this.stream, time) }
    }
    const isSame = !isAhead(from, log)
    if ('last' in from) return this.beginningOfLast(from, isSame, log)
    if (!isSame) return { position: first, recovered: false, gap: { reason: 'epoch' } }
    // Missing messages of the same log are reported when reading finds them missing.
    return { position: from.offset, recovered: from.offset >= first }
  }

  private async beginningOfLast(from: LastCount, isSame: boolean, log: StreamState): Promise<Beginning> {
    const { first, next, trimmedTo } = log
    const { last, before, offset } = from
    const resumeAt = isSame && before !== undefined ? before : next
    const newest = await this.broker.newest(this.stream, this.subscription.words, last, resumeAt)
    if (!isSame) return { position: first, picks: newest, resumeAt, recovered: false, gap: { reason: 'epoch' } }
    if (before === undefined) return { position: first, picks: newest, resumeAt }
    const position = offset ?? Math.min(first, resumeAt)
    const picks = newest.filter((pick) => pick >= position)
    const recovered = (offset ?? resumeAt) >= first
    if (offset === undefined || recovered) return { position, picks, resumeAt, recovered }
    // Which of the missing messages were among the last ones is unknown.
    const missing = { from: offset, to: first - 1, count: first - offset }
    const reason = offset < trimmedTo ? 'trimmed' : 'retention'
    return { position: first, picks, resumeAt, recovered, gap: { reason, missing } }
  }

  /** Throws `hub_full`: there may be thousands per topic. */
  private pick(offsets: readonly number[]): void {
    const bytes = PICK_BYTES * offsets.length
    this.budget.take(bytes)
    this.pickBytes = bytes
    this.picks = new Set(offsets)
  }

  private forgetPicks(): void {
    this.budget.giveBack(this.pickBytes)
    this.pickBytes = 0
    this.picks = undefined
  }

  private leaveLive(offset: number): void {
    this.state = 'feeding'
    this.position = offset
    this.outlet.send({ type: 'behind', sub: this.subscription.sub, offset })
    this.outlet.feedReady()
  }

  /** Continues: reads the next block, or joins the live messages. */
  private advance(): void {
    if (this.state !== 'feeding' || this.paused || this.reading || this.block) return
    const log = this.log
    // The code that deleted the stream reports it.
    if (log?.epoch !== this.epoch) return
    if (this.position < log.first) this.skipMissing(log)
    if (this.picks && this.position >= this.resumeAt) this.forgetPicks()
    if (this.position < log.next) {
      if (this.reads.take(this)) this.read(log).catch((error: unknown) => this.fail(error))
    } else if (this.outlet.keepsUp) this.join()
  }

  private join(): void {
    this.state = 'live'
    this.outlet.send({ type: 'live', sub: this.subscription.sub, offset: this.position })
  }

  /** Everything before `position` has been handed out or reported as missing: the block is from the current log. */
  private async read({ next }: StreamState): Promise<void> {
    this.reading = true
    const { epoch } = this
    try {
      const wanted = this.nextPick() ?? this.position
      const block = await this.broker.read(this.stream, wanted)
      if (epoch !== this.epoch) {
        // It was of a log that is no more.
      } else if (block) {
        this.block = block
        this.blockAt = block.find(wanted)
      } else {
        // Nothing is stored if newer values have replaced the rest.
        this.position = next
      }
    } catch (error) {
      this.fail(error)
    } finally {
      this.reading = false
    }
    if (this.block) this.outlet.feedReady()
    else this.advance()
  }

  /** The first picked offset that has not been handed out. */
  private nextPick(): number | undefined {
    if (!this.picks) return undefined
    for (const offset of this.picks) {
      if (offset >= this.position) return offset
      this.picks.delete(offset)
    }
    // All of them have been handed out: messages published after the subscription come next.
    return this.resumeAt
  }

  private skipMissing({ first, trimmedTo }: StreamState): void {
    const reason = this.position < trimmedTo ? 'trimmed' : 'retention'
    const from = this.nextPick() ?? this.position
    const count = this.wantedBefore(first)
    this.position = first
    if (count > 0) this.tellGap({ from, to: first - 1, count }, reason)
  }

  /** Number of wanted messages from `position` up to an offset. */
  private wantedBefore(offset: number): number {
    if (!this.picks) return offset - this.position
    let count = Math.max(0, offset - this.resumeAt)
    for (const pick of this.picks) {
      if (pick >= offset) break
      if (pick >= this.position) count++
    }
    return count
  }

  private tellGap(missing: Missing | undefined, reason: GapReason): void {
    const { sub } = this.subscription
    if (!missing) return this.outlet.send({ type: 'gap', sub, reason })
    const { from, to, count } = missing
    this.outlet.leftOut(this.subscription, count, reason)
    this.outlet.send({ type: 'gap', sub, count, offsets: { from, to }, reason })
  }
}

/** The largest offset in a start position. */
/** Whether a position is not one of this log as it is now. */
function isAhead(from: StartAt, { epoch, next }: StreamState): boolean {
  if (typeof from === 'string' || 'time' in from) return false
  return (from.epoch !== undefined && from.epoch !== epoch) || furthest(from) > next
}

function furthest(from: { readonly offset?: number | undefined; readonly before?: number | undefined }): number {
  return Math.max(from.offset ?? 0, from.before ?? 0)
}
