import type { FanfareError } from '../../shared/errors.ts'
import type { DeadLetter, DeadLetterFilter, QueueOptions, QueueStatus } from '../../shared/queues.ts'
import type { CursorInfo, Offsets, Position, StreamInfo, StreamOptions } from '../../shared/streams.ts'
import type { Block } from './block.ts'

/**
 * The contract between the hub and what keeps messages: streams, queues, the ids of what was published, cursors.
 *
 * Order: a stream's messages are settled in the order of their offsets, and those of one publisher on one topic in the
 * order of `publish` and of the `settle` that publishes them, in every stream, queue and subscription. Loss: what was settled without an error is kept as its
 * streams' and queues' durability says, all places of a message or none; a draft that was refused left nothing behind.
 * Ownership: blocks are never changed by whoever reads them; a delivery is the caller's until its lease ends.
 *
 * Waiting: a draft waits if a queue of its whose overflow is `block` has no room, if an earlier draft waits that goes to
 * such a queue of its, or if an earlier draft of the same owner and topic waits. So each queue takes those that wait
 * in the order of their arrival, and none of them starves: later publishes wait after it, even if one of their queues
 * has room and only the other one has none. What cannot wait (the publishes of an ack) is refused with `queue_limit` if it would
 * have to. A draft waits as long as its owner is there (`withdraw`), and all of them within a limit in bytes.
 *
 * Everything that may have to wait is asynchronous, and everything that comes often is called without waiting: the
 * broker groups what arrives in one turn.
 */
export interface Broker {
  /** Why nothing can be kept any more until the hub is started again; undefined while all is well. */
  readonly failure: string | undefined
  /** Keeps a message; the draft is told when it is safe. */
  publish(draft: Draft): void
  /**
   * An owner of drafts has gone: those of its drafts that wait for room are refused with `connection_lost`. One that is given to `publish`
   * after this, or has not been looked at yet, is kept if it need not wait and none before it was refused so.
   */
  withdraw(owner: object): void
  /** The drafts that wait for room in queues. */
  readonly waiting: WaitingStatus
  /** What is known of a stream, as of the last draft that was settled. */
  stream(name: string): StreamState | undefined
  /** Declares, or with the same options finds declared. Rejects with `stream_exists` where the options differ. */
  declareStream(options: StreamOptions, replace: boolean): Promise<StreamState>
  deleteStream(name: string): Promise<void>
  /** Lets go of the messages before an offset. */
  trimStream(name: string, before: number): Promise<void>
  /** In the order of their declaration. */
  readonly streamNames: Iterable<string>
  /** What there is to say of streams: of all without names, and otherwise of those that there are. */
  streams(names?: readonly string[]): Promise<StreamInfo[]>
  /**
   * The messages from an offset on, as many as one block holds; undefined if there are none. It answers, as `newest` and
   * `offsetAtTime` do, of the log as `stream` shows it in the moment of the call: nothing from `next` on, and
   * everything from `first` on that newer values have not replaced.
   */
  read(stream: string, offset: number): Promise<Block | undefined>
  /** The first offset of which the message is not older than a time. */
  offsetAtTime(stream: string, time: number): Promise<number>
  /** Offsets of the newest messages before one (`next` by default), `count` for each topic that matches, ascending. */
  newest(stream: string, pattern: readonly string[], count: number, before?: number): Promise<number[]>
  /** A stored position. Reading it counts as use, which keeps it from being removed as idle. */
  cursor(stream: string, name: string): Promise<Position | undefined>
  cursors(stream: string, range: CursorRange): Promise<CursorInfo[]>
  /** Rejects with `cursor_limit`. */
  setCursor(stream: string, name: string, offset: number): Promise<void>
  /** Rejects with `no_cursor`. */
  deleteCursor(stream: string, name: string): Promise<void>

  declareQueue(options: QueueOptions, replace: boolean): Promise<void>
  deleteQueue(name: string): Promise<void>
  queue(name: string): QueueState | undefined
  /** In the order of their declaration. */
  readonly queueNames: Iterable<string>
  /** What there is to say of queues: of all without names, and otherwise of those that there are. */
  queues(names?: readonly string[]): Promise<QueueStatus[]>
  /** Called when a queue has something to lease, at the latest a tenth of a second after it is due. */
  onReady: (queue: string) => void
  /** Called when something has been made safe. */
  onCommit: (commit: CommitStats) => void
  /**
   * Leases messages that are ready: a count and some bytes at most. A lease lasts until it is settled or given back: the broker knows
   * who has a message, and the queue layer for how long.
   */
  lease(queue: string, count: number, bytes: number): Delivery[]
  /** Leases a message that waits, ready or not, by its number; gives the number of the delivery. Undefined if it does not wait. */
  leaseAgain(queue: string, seq: number): number | undefined
  /** The wire form of a message on lease. */
  wireOf(queue: string, delivery: number): string | Uint8Array | undefined
  /** Ends a lease; the settlement is told when that is safe, or that the lease was lost. */
  settle(settlement: Settlement): void
  /**
   * Gives a message back as if it had never been leased: nobody has tried it, or there is no room to keep that it failed.
   */
  giveBack(queue: string, delivery: number): void
  /** Lets go of the messages that wait; returns how many. */
  purgeQueue(name: string): Promise<number>
  /** Lets a parked group go on. */
  unpark(queue: string, key: string): Promise<void>
  /**
   * A page of dead letters that meet a filter, from a number on: `limit` at most, and about 1 MiB of them. It may end
   * before its limit; the end of all is an empty page.
   */
  deadLetters(queue: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]>
  /**
   * Numbers of the dead letters that are there now and meet a filter, in batches of at most `limit` letters and about
   * `bytes`. They are looked up step by step while the batches are taken, and what else the hub has to do comes in between.
   */
  deadLetterBatches(queue: string, filter: DeadLetterFilter, limit: number, bytes: number): AsyncIterable<number[]>
  /**
   * Moves dead letters into a queue, the one they came from or another; all of them or none, in one commit. Returns how
   * many.
   */
  redrive(queue: string, filter: DeadLetterFilter, to: string, limit: number): Promise<number>
  /** Deletes dead letters in one commit; returns how many. */
  purgeDeadLetters(queue: string, filter: DeadLetterFilter): Promise<number>

  close(): Promise<void>
}

/** Selects cursors: up to `limit`, in the order of their names, after `after`, whose names begin with `prefix`. */
export interface CursorRange {
  readonly after?: string
  readonly prefix?: string
  readonly limit: number
}

/** What one commit took. */
export interface CommitStats {
  readonly seconds: number
  /** Publishes and ends of leases in it. */
  readonly operations: number
}

/** Publishes that wait for room in queues, and the maximum of their bytes; 0 for no limit. */
export interface WaitingStatus {
  readonly count: number
  readonly bytes: number
  readonly limitBytes: number
}

/** A message to be kept; or one that no stream or queue keeps, which must not overtake those that are being kept. */
export interface Draft {
  /** The subject of its publisher; undefined for anonymous clients, which are one publisher together. */
  readonly publisher: string | undefined
  readonly id: string
  /** The connection or request that publishes: the same object for all of its drafts. Their order by topic is kept. */
  readonly owner: object
  /**
   * Whether the id is the publisher's own: a second draft with it is a duplicate if its publisher and topic are the same,
   * and something is left of where the first was kept: not all of it has been deleted or purged.
   */
  readonly ownId: boolean
  readonly topic: string
  readonly key: string | undefined
  readonly expiresAt: number | undefined
  readonly streams: readonly string[]
  readonly queues: readonly string[]
  /** In a queue: 0 to 9, and when it is due, in milliseconds since 1970. */
  readonly priority: number | undefined
  readonly dueAt: number | undefined
  /** About what the wire form takes, before its places are known. */
  readonly bytes: number
  /** What the wire form that `encode` makes takes in a queue, in bytes: the one measure of a queue. */
  bytesIn(publishedAt: number, offsets: Offsets, scope: string | undefined): number
  /** Makes the wire form, once the places are known. A message with a `scope` tells it to consumers. */
  encode(publishedAt: number, offsets: Offsets, scope: string | undefined): string | Uint8Array
  /** It is safe; or with `duplicate`, it has been before. */
  kept(outcome: Kept): void
  refused(error: FanfareError): void
}

export interface Kept {
  readonly duplicate: boolean
  readonly positions: Readonly<Record<string, Position>>
  readonly queues: readonly string[]
}

export interface QueueState {
  readonly options: QueueOptions
  /** Messages that wait, and that are on lease. */
  readonly depth: number
  readonly inFlight: number
  /** Of those that wait, the ones that are due, in a group that is not held up by its head or parked. */
  readonly ready: number
  /** Of those that are ready, the ones that could be handed out at once: one of each group. */
  readonly startable: number
  /** Of those that wait, the ones that are or have been due, also those that wait for another attempt or in a parked group. */
  readonly backlog: number
  /** Since when the oldest that is ready has been due, in milliseconds since 1970. */
  readonly oldestReadyAt: number | undefined
  /** Of all that wait or are on lease. */
  readonly bytes: number
  readonly deadLetters: number
  readonly parkedCount: number
  /** Messages that came in, that were acked, and that became due (each once), since the hub started. */
  readonly publishedTotal: number
  readonly ackedTotal: number
  readonly dueTotal: number
}

/** A message on lease. */
export interface Delivery {
  readonly id: number
  /** Of the message, in its queue: the same at each attempt. */
  readonly seq: number
  readonly wire: string | Uint8Array
  /** 1 for the first. */
  readonly attempt: number
  readonly lastError: string | undefined
}

/** What a lease ends in. */
export type Ending =
  | { readonly kind: 'ack' }
  /** Another attempt, after a while that the queue chooses where none is given. */
  | { readonly kind: 'nack'; readonly error: string | undefined; readonly delayMs: number | undefined }
  /** It may have been tried, which nobody can tell: comes again after the queue's wait, with this error and without a charge. */
  | { readonly kind: 'suspect'; readonly error: string }
  /** No further attempt. */
  | { readonly kind: 'reject'; readonly error: string | undefined }

export interface Settlement {
  readonly queue: string
  readonly delivery: number
  readonly ending: Ending
  /** Published in the same commit, or the lease does not end. */
  readonly drafts: readonly Draft[]
  settled(): void
  refused(error: FanfareError): void
}

export interface StreamState {
  readonly options: StreamOptions
  readonly epoch: string
  /** Offset of the oldest message that is kept. */
  readonly first: number
  /** Offset that the next message will get. */
  readonly next: number
  /** Messages before this one were trimmed by an operator and not let go by retention. */
  readonly trimmedTo: number
  /** Messages that can be read; with `lastValue` a few more where the oldest block was trimmed: `streams` counts exactly. */
  readonly messages: number
  readonly bytes: number
  /** Time of the newest message, 0 before the first one. */
  readonly newestTime: number
  readonly cursorCount: number
}
