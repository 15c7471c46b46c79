import type { ErrorCode, FanfareError } from '../../shared/errors.ts'
import type { MessageHeaders } from '../../shared/frames.ts'
import type { DeadLetter, DeadLetterFilter, QueueOptions, QueueStatus } from '../../shared/queues.ts'
import type { CursorInfo, Offsets, Position, StreamInfo, StreamOptions } from '../../shared/streams.ts'
import type { LetterNumbers, LetterRange, LetterSteps } from './letter-pages.ts'
import type { RemoteStatus } from './remote-status.ts'

/**
 * The contract between a hub and what stores messages: streams, queues, the ids of published messages, cursors. A broker may be
 * part of the hub's process or serve several hubs. So everything that a remote broker would have to look up returns a promise, and
 * what happens at the broker reaches the hub as events.
 *
 * **Order.** The broker has one log of its commits and reports it through `BrokerEvents` in that order: declarations, deletions and
 * messages. Publishes of one owner on one topic are committed in the order of the calls to `publish` and `settle`, whether or not
 * anything stores them. Therefore, on a topic that anything may store, the hub passes every message to the broker: one that nothing
 * stores takes its place in the order without being stored. The event `messages` is the only source of fan-out for messages that
 * went through the broker, including the hub's own. The answers to publishers come separately: the messages and declarations of a
 * commit are reported before any of its answers.
 *
 * **Loss.** A publish answered with `kept`, and a settlement answered with `settled`, is stored with the durability of its streams
 * and queues: in all of its places or in none.
 *
 * **The three outcomes of a publish.** `kept`: it is stored, or was stored before. `refused`: nothing of it was stored. `unknown`:
 * the broker cannot tell whether it was stored. An unknown publish is never reported as refused. If it is published again with the
 * same id, it is stored once either way.
 *
 * **Retries.** What was refused is not stored after a later retry of its owner on its topic: see `overtaken.ts`.
 *
 * **Routes.** A draft carries the route that the hub computed for it, and the generation of the declarations used for the route.
 * Before it commits a draft with an older generation, the broker asks for a new route (`reroute`), so that no message misses a
 * stream or queue that was declared before it, and none is refused because one of its places no longer exists. A draft that waits
 * for space keeps its route, minus anything deleted since; if nothing is left, it is refused with `no_queue`.
 *
 * **Waiting.** A draft waits if one of its queues with `overflow: 'block'` has no space, if an earlier draft waits for such a
 * queue, or if an earlier draft of the same owner and topic waits. So each queue accepts waiting drafts in the order of their
 * arrival, and none starves: later publishes wait behind it, even if only one of their queues is full. Publishes that cannot wait
 * (those of an ack) are refused with `queue_limit`. A draft waits on the publisher's side (`waiting.ts`) as long as its owner is
 * there (`withdraw`), and all waiting drafts share a limit in bytes.
 *
 * **Mirrors.** `stream`, `queue`, `streamNames`, `queueNames` and `generation` return a mirror: the state as this hub has seen it.
 * It changes in the same step in which the events of a commit are reported, so `next` of a stream advances together with its
 * messages. Another hub may have changed more since: counts such as `depth` are hints.
 *
 * **Ownership.** Readers never change blocks. A delivery belongs to the hub that leased it until its lease ends. Its id is opaque
 * and has a meaning for this broker only.
 *
 * Frequent calls (`publish`, `settle`, `giveBack`) return immediately and are answered later; the broker groups what arrives in one
 * turn.
 */
export interface Broker {
  /**
   * Starts to report events. Reports every existing stream and queue, in the order of declaration, before it resolves.
   */
  open(events: BrokerEvents): Promise<void>
  /** Resolves once the mirrors show everything that any hub has reported before the call. */
  catchUp(): Promise<void>
  /** Why nothing can be stored any more until the hub is restarted; undefined if the broker works. */
  readonly failure: string | undefined
  /** Commits that have failed, by code. */
  readonly failedCommits: ReadonlyMap<ErrorCode, number>
  /** Undefined for a broker in the hub's process. */
  readonly remote: RemoteStatus | undefined
  /** The maximum size of a stream or queue whose declaration does not set one. */
  readonly defaultMaxBytes: number
  /** Increases with each declaration or deletion that changes where messages are stored. */
  readonly generation: number
  /** Publishes a message. The draft is answered once the outcome is clear. */
  publish(draft: Draft): void
  /**
   * An owner of drafts has disconnected: its drafts that wait for space are refused with `connection_lost`. A draft that is
   * published after this, or has not been processed yet, is stored if it need not wait and no earlier one was refused this way.
   */
  withdraw(owner: object): void
  /** The drafts that wait for space in queues. */
  readonly waiting: WaitingStatus
  stream(name: string): StreamState | undefined
  /** Declares a stream, or confirms one with the same options. Rejects with `stream_exists` if the options differ. */
  declareStream(options: StreamOptions, replace: boolean): Promise<void>
  deleteStream(name: string): Promise<void>
  /** Deletes the messages before an offset. */
  trimStream(name: string, before: number): Promise<void>
  /** In the order of declaration. */
  readonly streamNames: Iterable<string>
  /** The status of streams: of all streams if no names are given, otherwise of those that exist. */
  streams(names?: readonly string[]): Promise<StreamInfo[]>
  /**
   * The messages from an offset on, as many as one block holds; undefined if there are none. Like `newest` and `offsetAtTime`, it
   * answers for the log as `stream` shows it at the moment of the call: nothing from `next` on, and everything from `first` on that
   * newer values have not replaced.
   */
  read(stream: string, offset: number): Promise<Block | undefined>
  /** The first offset whose message is not older than a time. */
  offsetAtTime(stream: string, time: number): Promise<number>
  /** Offsets of the newest messages before an offset (by default `next`), `count` for each matching topic, ascending. */
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
  /** In the order of declaration. */
  readonly queueNames: Iterable<string>
  /** The status of queues: of all queues if no names are given, otherwise of those that exist. */
  queues(names?: readonly string[]): Promise<QueueStatus[]>
  /**
   * Leases ready messages, up to a count and about this many bytes; resolves to an empty list if none is ready. A lease lasts until
   * it is settled or given back: the broker knows that a message is leased, and the queue layer for how long.
   */
  lease(queue: string, count: number, bytes: number): Promise<Delivery[]>
  /** The wire form of a leased message. */
  wireOf(queue: string, delivery: DeliveryId): Promise<string | Uint8Array | undefined>
  /** Ends a lease. The settlement is answered once that is stored, or with `lease_lost`. */
  settle(settlement: Settlement): void
  /** Gives messages back as if they had never been leased: no client has tried them, or a failure could not be stored. */
  giveBack(queue: string, deliveries: readonly DeliveryId[]): void
  /** Deletes the waiting messages; returns how many. */
  purgeQueue(name: string): Promise<number>
  /** Resumes a parked group. */
  unpark(queue: string, key: string): Promise<void>
  /**
   * A page of dead letters that match a filter, from a number on: at most `limit`, and about 1 MiB. It may end before its limit;
   * only an empty page means the end.
   */
  deadLetters(queue: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]>
  /** A page of the numbers of dead letters that match a filter. It may be short, or empty, before the end is reached. */
  deadLetterNumbers(queue: string, filter: DeadLetterFilter, range: LetterRange): Promise<LetterNumbers>
  /** What one call of `redrive` and of `purgeDeadLetters` should take at most, so that it holds up nothing else. */
  readonly letterSteps: LetterSteps
  /**
   * Moves the dead letters with these numbers into a queue, the original one or another: all that still exist or none, in one
   * commit. Returns how many.
   */
  redrive(queue: string, numbers: readonly number[], to: string): Promise<number>
  /** Deletes those of these dead letters that still exist, in one commit; returns how many. */
  purgeDeadLetters(queue: string, numbers: readonly number[]): Promise<number>

  close(): Promise<void>
}

/**
 * The events of a broker. Everything in one commit is reported in one step: its declarations and deletions, then its messages, then
 * the answers to those who wait for it.
 */
export interface BrokerEvents {
  /**
   * Committed messages in the order of the log: those of this hub and of others, stored or not. Duplicates are not included.
   */
  messages(batch: readonly CommittedMessage[]): void
  /**
   * Commits of other hubs may not have been reported, because this hub was cut off from the broker. The mirrors are up to date.
   * `streams`: for each stream with new messages, the offset in its log where they begin.
   */
  missed(streams: ReadonlyMap<string, number>): void
  /** The queue has something to lease. Reported at most a tenth of a second after a message is due. */
  ready(queue: string): void
  /** The stream is new, or its options have changed. */
  streamDeclared(stream: StreamState): void
  streamDeleted(name: string): void
  /** The queue is new, or its options have changed. */
  queueDeclared(queue: QueueOptions): void
  queueDeleted(name: string): void
  /** A commit was stored. */
  committed(commit: CommitStats): void
}

/**
 * Consecutive messages of a stream. The wire forms of messages of one kind are stored back to back, in the format of a WebSocket
 * message, so that replay only copies bytes.
 */
export interface Block {
  readonly count: number
  /** The cost of reading the block, in bytes. */
  readonly bytes: number
  readonly firstOffset: number
  readonly lastOffset: number
  /** The topics of its messages, each once. */
  readonly topics: readonly string[]
  offset(at: number): number
  /** When the message was published, in milliseconds since 1970; never earlier than the message before. */
  time(at: number): number
  /** Index of the message's topic in `topics`. */
  topicAt(at: number): number
  expiresAt(at: number): number | undefined
  /** Whether the wire form is a binary record rather than text. */
  isBinary(at: number): boolean
  /** Whether a newer value has replaced the message, or retention has removed it. */
  isHidden(at: number): boolean
  wire(at: number): string | Uint8Array
  /** The wire forms from one message up to another, all of one kind; texts are joined by commas. */
  wires(from: number, to: number): Uint8Array
  /** Size of `wires(from, to)` in bytes. */
  wireBytes(from: number, to: number): number
  /** The index of the first message at or after an offset; `count` if there is none. */
  find(offset: number): number
}

/** Selects up to `limit` cursors in the order of their names, after `after`, whose names begin with `prefix`. */
export interface CursorRange {
  readonly after?: string
  readonly prefix?: string
  readonly limit: number
}

/** Statistics of one commit. */
export interface CommitStats {
  readonly seconds: number
  /** Number of publishes and settlements. */
  readonly operations: number
}

/** Publishes that wait for space in queues, and the limit of their bytes; 0 for no limit. */
export interface WaitingStatus {
  readonly count: number
  readonly bytes: number
  readonly limitBytes: number
  /** Those to a queue, whether or not that queue is the full one. */
  inQueue(name: string): { readonly count: number; readonly bytes: number }
}

/** The content of a message, without its places. */
export interface MessageParts {
  readonly id: string
  readonly topic: string
  readonly key: string | undefined
  readonly headers: MessageHeaders | undefined
  readonly expiresAt: number | undefined
  /** The fields of the wire form that come after those of `compose`, as JSON with a comma before each. */
  readonly rest: string
  /** The data, if it is bytes. */
  readonly payload: Uint8Array | undefined
  /** Size in a queue in bytes, without what `compose` adds for the places. */
  readonly bytes: number
}

/** When and where a message was stored. */
export interface Placement {
  readonly publishedAt: number
  /** The offset in each stream that captured it. */
  readonly offsets: Offsets
  /** Opaque. Distinguishes messages with the same id in a queue: they have different publishers or topics. */
  readonly scope: string | undefined
}

/** A message with its place in the order. */
export interface CommittedMessage {
  readonly parts: MessageParts
  /** Undefined if nothing stores it. */
  readonly placement: Placement | undefined
  /** The result of `compose` for parts and placement. */
  readonly wire: string | Uint8Array
}

/** Where a message is stored. */
export interface Route {
  /** `generation` of the broker when the route was computed. */
  readonly generation: number
  readonly streams: readonly string[]
  readonly queues: readonly string[]
}

/** A message to be published, stored or not. It has exactly one of three outcomes: `kept`, `refused`, `unknown`. */
export interface Draft extends MessageParts {
  /** The subject of its publisher; undefined for anonymous clients, which count as one publisher together. */
  readonly publisher: string | undefined
  /** The connection or request that publishes: the same object for all of its drafts. Their order per topic is preserved. */
  readonly owner: object
  /**
   * Whether the publisher chose the id. A second draft with that id is a duplicate if publisher and topic are the same and
   * something is left where the first one was stored: not all of it has been deleted or purged.
   */
  readonly ownId: boolean
  /** It was published before, on a connection that was lost before the answer. It may have been stored. */
  readonly isRetry: boolean
  readonly route: Route
  /** For queues: priority 0 to 9, and when it is due, in milliseconds since 1970. */
  readonly priority: number | undefined
  readonly dueAt: number | undefined
  /**
   * Computes the route again from the current declarations, returns it, and sets `route`.
   *
   * @throws {FanfareError} the reason why the message can no longer be published, such as `no_queue`
   */
  reroute(): Route
  /** It is stored or has its place in the order; with `duplicate`, it was stored before. */
  kept(outcome: Kept): void
  /** Nothing of it was stored. */
  refused(error: FanfareError): void
  /** It is unknown whether it was stored. */
  unknown(error: FanfareError): void
}

export interface Kept {
  readonly duplicate: boolean
  readonly positions: Readonly<Record<string, Position>>
  readonly queues: readonly string[]
}

export interface QueueState {
  readonly options: QueueOptions
  /** Waiting messages and leased messages, respectively. */
  readonly depth: number
  readonly inFlight: number
  /** Waiting messages that are due and not held up by the head of their group or in a parked group. */
  readonly ready: number
  /** Ready messages that could be handed out at once: one per group. */
  readonly startable: number
  /** Waiting messages that are or have been due, including those that wait for a retry or in a parked group. */
  readonly backlog: number
  /** When the oldest ready message became due, in milliseconds since 1970. */
  readonly oldestReadyAt: number | undefined
  /** Bytes of all waiting and leased messages. */
  readonly bytes: number
  readonly deadLetters: number
  readonly parkedCount: number
  /** Messages published, messages acked, and messages that became due (each counted once), since the hub started. */
  readonly publishedTotal: number
  readonly ackedTotal: number
  readonly dueTotal: number
}

/** Identifies one delivery attempt. Opaque: only the broker that created it can interpret it. */
export type DeliveryId = string | number

/** A leased message. */
export interface Delivery {
  readonly id: DeliveryId
  /** Number of the message in its queue: the same for each attempt. */
  readonly seq: number
  readonly wire: string | Uint8Array
  /** 1 for the first attempt. */
  readonly attempt: number
  readonly lastError: string | undefined
}

/** How a lease ends. */
export type Ending =
  | { readonly kind: 'ack' }
  /** Another attempt, after a delay; by default the queue's backoff. */
  | { readonly kind: 'nack'; readonly error: string | undefined; readonly delayMs: number | undefined }
  /** The message may have been tried, which is unknown: it is redelivered after the queue's backoff, with this error and without a charge. */
  | { readonly kind: 'suspect'; readonly error: string }
  /** No further attempt. */
  | { readonly kind: 'reject'; readonly error: string | undefined }

/** Ends a lease. It has exactly one of three outcomes itself: `settled`, `refused`, `unknown`. */
export interface Settlement {
  readonly queue: string
  /**
   * Undefined if the lease was lost and the message is settled late. That is possible while the message waits: it is taken out, due
   * or not, and waits again if the settlement is refused.
   */
  readonly delivery: DeliveryId | undefined
  /** Number of the message. */
  readonly seq: number
  readonly ending: Ending
  /** Published in the same commit, otherwise the lease does not end. If the settlement is refused, so are they. */
  readonly drafts: readonly Draft[]
  settled(): void
  /** Nothing has changed; after `lease_lost` the consumer no longer holds the delivery. */
  refused(error: FanfareError): void
  /** It is unknown whether it was stored. */
  unknown(error: FanfareError): void
}

export interface StreamState {
  readonly options: StreamOptions
  readonly epoch: string
  /** Offset of the oldest stored message. */
  readonly first: number
  /** Offset of the next message. */
  readonly next: number
  /** Messages before this offset were trimmed by an operator rather than removed by retention. */
  readonly trimmedTo: number
  /** Number of readable messages. With `lastValue` it may be slightly too high after the oldest block was trimmed: `streams` counts exactly. */
  readonly messages: number
  readonly bytes: number
  /** Time of the newest message, 0 before the first one. */
  readonly newestTime: number
  readonly cursorCount: number
}
