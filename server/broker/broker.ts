import type { FanfareError } from '../../shared/errors.ts'
import type { MessageHeaders } from '../../shared/frames.ts'
import type { DeadLetter, DeadLetterFilter, QueueOptions, QueueStatus } from '../../shared/queues.ts'
import type { CursorInfo, Offsets, Position, StreamInfo, StreamOptions } from '../../shared/streams.ts'

/**
 * The contract between a hub and what keeps messages: streams, queues, the ids of what was published, cursors. A broker
 * may be part of the hub's process or serve several hubs, so everything that a broker elsewhere has to look up returns a
 * promise, and what happens at the broker reaches the hub as events.
 *
 * **Order.** The broker has one log of what it commits, and reports it by `BrokerEvents` in that order: declarations,
 * deletions and messages. Publishes of one owner on one topic are committed in the order of the calls to `publish`
 * and `settle`, whether or not anything keeps them. So on a topic that anything may keep, the hub gives every
 * message to the broker: one that nothing keeps takes its place in the order, and is not stored. The event `messages` is
 * the only source of fan-out for what went through the broker, including the hub's own messages. The answers to
 * publishers come separately: the messages and declarations of a commit are reported before any of its answers.
 *
 * **Loss.** What was answered with `kept` or `settled` is stored as the durability of its streams and queues says, in all of
 * its places or in none.
 *
 * **The three ends of a publish.** `kept`: it is stored, or was before. `refused`: nothing of it was stored. `unknown`: the
 * broker cannot tell whether it was stored. An unknown publish is never reported as refused. Published again with the
 * same id, it is stored once either way.
 *
 * **Routes.** A draft carries the route that the hub made for it, and the generation of the declarations that the route was
 * made from. Before it commits a draft with an older generation, the broker asks for a new route (`reroute`), so that no
 * message misses a stream or queue that was declared before it, and none is refused because a place of its is gone. A draft that
 * waits for room keeps the route that it waits with, without what has been deleted since; if that leaves nothing, it is
 * refused with `no_queue`.
 *
 * **What may wait.** A draft waits if one of its queues whose `overflow` is `block` has no room, if an earlier draft waits for
 * such a queue of its, or if an earlier draft of the same owner and topic waits. So each queue takes those that wait in
 * the order of their arrival, and none of them starves: later publishes wait after it, even if only one of their queues
 * has no room. What cannot wait (the publishes of an ack) is refused with `queue_limit`. A draft waits on the
 * publisher's side (`waiting.ts`), as long as its owner is there (`withdraw`), and all of them within a limit in bytes.
 *
 * **Mirrors.** What `stream`, `queue`, `streamNames`, `queueNames` and `generation` return is a mirror: the state as this hub has
 * seen it. It changes in the same step in which the events of a commit are reported, so `next` of a stream moves together
 * with its messages. Another hub may have changed more since: counts such as `depth` are hints.
 *
 * **Ownership.** Blocks are never changed by their readers. A delivery belongs to the hub that leased it until its lease ends;
 * its id is opaque, and means something to this broker only.
 *
 * Frequent calls (`publish`, `settle`, `giveBack`) return at once and are answered later; the broker groups what
 * arrives in one turn.
 */
export interface Broker {
  /**
   * Starts to report events. Reports every stream and queue that there is, in the order of their declaration, before it
   * resolves.
   */
  open(events: BrokerEvents): Promise<void>
  /** Why nothing can be kept any more until the hub is started again; undefined while all is well. */
  readonly failure: string | undefined
  /** Grows with each declaration or deletion that changes what keeps messages. */
  readonly generation: number
  /** Publishes a message; the draft is answered once the outcome is clear. */
  publish(draft: Draft): void
  /**
   * An owner of drafts has gone: those of its drafts that wait for room are refused with `connection_lost`. One that is given to `publish`
   * after this, or has not been looked at yet, is kept if it need not wait and none before it was refused so.
   */
  withdraw(owner: object): void
  /** The drafts that wait for room in queues. */
  readonly waiting: WaitingStatus
  stream(name: string): StreamState | undefined
  /** Declares, or with the same options finds declared. Rejects with `stream_exists` where the options differ. */
  declareStream(options: StreamOptions, replace: boolean): Promise<void>
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
  /**
   * Leases messages that are ready, up to a count and about this many bytes; resolves to an empty list if none is ready. A lease lasts
   * until it is settled or given back: the broker knows who has a message, and the queue layer for how long.
   */
  lease(queue: string, count: number, bytes: number): Promise<Delivery[]>
  /** The wire form of a message on lease. */
  wireOf(queue: string, delivery: DeliveryId): Promise<string | Uint8Array | undefined>
  /** Ends a lease. The settlement is answered once that is stored, or with `lease_lost`. */
  settle(settlement: Settlement): void
  /** Gives messages back as if they had never been leased: no client has tried them, or a failure could not be stored. */
  giveBack(queue: string, deliveries: readonly DeliveryId[]): void
  /** Lets go of the messages that wait; returns how many. */
  purgeQueue(name: string): Promise<number>
  /** Lets a parked group go on. */
  unpark(queue: string, key: string): Promise<void>
  /**
   * A page of dead letters that meet a filter, from a number on: `limit` at most, and about 1 MiB of them. It may end
   * before its limit; the end of all is an empty page.
   */
  deadLetters(queue: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]>
  /** A page of the numbers of dead letters that meet a filter. It may be short, or empty, before the end is reached. */
  deadLetterNumbers(queue: string, filter: DeadLetterFilter, range: LetterRange): Promise<LetterNumbers>
  /**
   * Moves the dead letters of these numbers into a queue, the one they came from or another: all that are still there or
   * none, in one commit. Returns how many.
   */
  redrive(queue: string, numbers: readonly number[], to: string): Promise<number>
  /** Deletes those of these dead letters that are still there, in one commit; returns how many. */
  purgeDeadLetters(queue: string, numbers: readonly number[]): Promise<number>

  close(): Promise<void>
}

/**
 * What a broker reports. Everything of one commit is reported in one step: its declarations and deletions, then its
 * messages, then the answers to those who wait for it.
 */
export interface BrokerEvents {
  /**
   * Messages that were committed, in the order of the log: those of this hub and of others, kept or not. A duplicate is not among
   * them.
   */
  messages(batch: readonly CommittedMessage[]): void
  /**
   * Commits of other hubs may not have been reported, because this hub was cut off from the broker meanwhile. The mirrors have moved on.
   * `streams`: of each stream that has got messages, the offset from which they are in its log.
   */
  missed(streams: ReadonlyMap<string, number>): void
  /** The queue has something to lease. Comes at the latest a tenth of a second after a message is due. */
  ready(queue: string): void
  /** It is new, or has different options than before. */
  streamDeclared(stream: StreamState): void
  streamDeleted(name: string): void
  /** It is new, or has different options than before. */
  queueDeclared(queue: QueueOptions): void
  queueDeleted(name: string): void
  /** Something has been stored. */
  committed(commit: CommitStats): void
}

/**
 * Some consecutive messages of a stream. The wire forms of messages of one kind lie back to back, as they go inside of a WebSocket
 * message: replay copies bytes.
 */
export interface Block {
  readonly count: number
  /** What reading it has cost, in bytes. */
  readonly bytes: number
  readonly firstOffset: number
  readonly lastOffset: number
  /** Of its messages, each once. */
  readonly topics: readonly string[]
  offset(at: number): number
  /** When it was published, in milliseconds since 1970; never less than that of the message before. */
  time(at: number): number
  /** Which of `topics`. */
  topicAt(at: number): number
  expiresAt(at: number): number | undefined
  /** Whether the wire form is the record of a binary message, and not text. */
  isBinary(at: number): boolean
  /** A newer value has replaced it, or retention has removed it. */
  isHidden(at: number): boolean
  wire(at: number): string | Uint8Array
  /** The wire forms from one message up to another, all of one kind; texts are joined by commas. */
  wires(from: number, to: number): Uint8Array
  /** Bytes of `wires(from, to)`. */
  wireBytes(from: number, to: number): number
  /** The place of the first message at or after an offset; `count` if there is none. */
  find(offset: number): number
}

/** Selects cursors: up to `limit`, in the order of their names, after `after`, whose names begin with `prefix`. */
export interface CursorRange {
  readonly after?: string
  readonly prefix?: string
  readonly limit: number
}

/** Selects dead letters from a number on: up to `limit`, of about `bytes` together. */
export interface LetterRange {
  readonly from: number
  readonly limit: number
  readonly bytes: number
}

/** A page of the numbers of dead letters, which are given in the order of their deaths. */
export interface LetterNumbers {
  /** Ascending. */
  readonly numbers: readonly number[]
  /** Where the next page begins. */
  readonly next: number
  /** All letters that the filter can mean have lower numbers, as of now: no page follows once `next` is here. */
  readonly end: number
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

/** What a message consists of, without its places. */
export interface MessageParts {
  readonly id: string
  readonly topic: string
  readonly key: string | undefined
  readonly headers: MessageHeaders | undefined
  readonly expiresAt: number | undefined
  /** The fields of the wire form that follow those of `compose`, as JSON with a comma before each. */
  readonly rest: string
  /** The data, if they are bytes. */
  readonly payload: Uint8Array | undefined
  /** Bytes in a queue, without what `compose` adds for the places. */
  readonly bytes: number
}

/** When a message was stored and where. */
export interface Placement {
  readonly publishedAt: number
  /** In each stream that captured it. */
  readonly offsets: Offsets
  /** Opaque. Distinguishes messages with the same id in a queue: they have different publishers or topics. */
  readonly scope: string | undefined
}

/** A message that has its place in the order. */
export interface CommittedMessage {
  readonly parts: MessageParts
  /** Undefined if nothing keeps it. */
  readonly placement: Placement | undefined
  /** What `compose` makes of parts and placement. */
  readonly wire: string | Uint8Array
}

/** What keeps a message. */
export interface Route {
  /** `generation` of the broker when the route was made. */
  readonly generation: number
  readonly streams: readonly string[]
  readonly queues: readonly string[]
}

/** A message to be published, kept or not. It has exactly one of three ends: `kept`, `refused`, `unknown`. */
export interface Draft extends MessageParts {
  /** The subject of its publisher; undefined for anonymous clients, which are one publisher together. */
  readonly publisher: string | undefined
  /** The connection or request that publishes: the same object for all of its drafts. Their order by topic is kept. */
  readonly owner: object
  /**
   * Whether the id is the publisher's own: a second draft with it is a duplicate if its publisher and topic are the same,
   * and something is left of where the first was kept: not all of it has been deleted or purged.
   */
  readonly ownId: boolean
  readonly route: Route
  /** In a queue: 0 to 9, and when it is due, in milliseconds since 1970. */
  readonly priority: number | undefined
  readonly dueAt: number | undefined
  /**
   * Makes the route again from the declarations as they are now. Returns it; `route` is that one from now on.
   *
   * @throws {FanfareError} why the message can no longer be published, such as `no_queue`
   */
  reroute(): Route
  /** It is stored or has its place in the order; or with `duplicate`, it was stored before. */
  kept(outcome: Kept): void
  /** Nothing of it was stored. */
  refused(error: FanfareError): void
  /** Whether it was stored is not known. */
  unknown(error: FanfareError): void
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

/** Of one attempt. Opaque: only the broker that made it knows what it means. */
export type DeliveryId = string | number

/** A message on lease. */
export interface Delivery {
  readonly id: DeliveryId
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

/** The end of a lease. It has exactly one of three ends itself: `settled`, `refused`, `unknown`. */
export interface Settlement {
  readonly queue: string
  /**
   * Undefined: the lease was lost, and the message is settled late. That is possible while the message waits: it is taken out, due
   * or not, and waits again if the settlement is refused.
   */
  readonly delivery: DeliveryId | undefined
  /** Of the message. */
  readonly seq: number
  readonly ending: Ending
  /** Published in the same commit, or the lease does not end. A settlement that is refused refuses them too. */
  readonly drafts: readonly Draft[]
  settled(): void
  /** Nothing has changed; after `lease_lost` the delivery is no longer held. */
  refused(error: FanfareError): void
  /** Whether it was stored is not known. */
  unknown(error: FanfareError): void
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
