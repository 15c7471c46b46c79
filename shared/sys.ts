import type { ErrorCode } from './errors.ts'
import type { GapReason, SlowPolicy } from './frames.ts'
import type { StreamInfo } from './streams.ts'

/**
 * Status that the hub publishes once a second on its own topics. Queues have theirs in `queues.ts`. Totals count since
 * the hub started; rates are those of the last second.
 */

/** A `HubInfo`. */
export const HUB_STATUS_TOPIC = '$sys.hub'
/** A `ConnectionsStatus`. */
export const CONNECTIONS_STATUS_TOPIC = '$sys.connections'
/** A `TopicsStatus`. */
export const TOPICS_STATUS_TOPIC = '$sys.topics'
/** A `NodesStatus`. */
export const NODES_STATUS_TOPIC = '$sys.nodes'
/** Followed by the name of a stream: its `StreamStatus`. */
export const STREAM_STATUS_TOPIC = '$sys.streams.'

/** The hub as a whole: figures are sums over its nodes, which are hubs that serve clients together. */
export interface HubInfo {
  readonly version: string
  /** `ws` or `uws`; `none` for a hub that listens nowhere. */
  readonly engine: string
  /** The node that answers. */
  readonly node: NodeInfo
  /** Number of nodes in the figures: 1 without a cluster. */
  readonly nodes: number
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly connections: number
  readonly subscriptions: number
  readonly streams: number
  readonly queues: number
  /** Topics that the hub remembers, of those that something was published to. */
  readonly topics: number
  readonly publishedTotal: number
  readonly publishedPerSecond: number
  /** Messages passed to connections. A message that several subscriptions of a connection match counts once. */
  readonly deliveredTotal: number
  readonly deliveredPerSecond: number
  readonly bytesInPerSecond: number
  readonly bytesOutPerSecond: number
  /** Messages left out, by reason. */
  readonly droppedTotal: Readonly<Partial<Record<GapReason, number>>>
  readonly droppedPerSecond: number
  /** Held by all outboxes now, and their limit, in bytes. */
  readonly outboxBytes: number
  readonly outboxTotalBytes: number
  /** Publishes that wait for room in queues, their bytes, and the maximum of these; 0 for no limit. */
  readonly waitingPublishes: number
  readonly waitingPublishBytes: number
  readonly waitingPublishLimitBytes: number
  /** Resident memory of the process, in bytes. */
  readonly memoryBytes: number
  /** Part of one core that the process used in the last second: 1 is all of it. */
  readonly cpu: number
  /** How late the event loop was in the last second, 99th percentile, in milliseconds. */
  readonly eventLoopDelayMs: number
  /** Bugs of the hub that cost a connection or a request since it started; the log has each with its stack. */
  readonly unexpectedErrorsTotal: number
}

/** One node of a hub. */
export interface NodeInfo {
  /** A node that starts again has another. */
  readonly id: string
  /** The option `nodeName`; by default the name of its machine. */
  readonly name: string
  /** Host and port that it listens on; absent for a hub that listens nowhere. */
  readonly address?: string | undefined
}

/** Hubs may have the same name: the address tells those of one machine apart. */
export function hubName({ name, address }: NodeInfo): string {
  return address === undefined ? name : `${name} ${address}`
}

/** Which hubs of a cluster a list lacks. A single hub always answers. */
export interface Coverage {
  /** The hub that answers has lost its way to the others: the list has only its own items. */
  readonly cutOff: boolean
  /** Hubs that did not answer in time: the list lacks their items. */
  readonly unanswered: readonly NodeInfo[]
}

/** What a list lacks, in a sentence for people; undefined if nothing. An older hub does not say. */
export function missingHubs({ cutOff = false, unanswered = [] }: Partial<Coverage>): string | undefined {
  if (cutOff) return 'The hub that answered is cut off from the others: the list has only its own.'
  if (unanswered.length === 0) return undefined
  return `The list is not complete: there was no answer from ${unanswered.map(hubName).join(', ')}.`
}

/** A node with its own figures. A node that does not answer in time has only its id and its name. */
export interface NodeStatus extends NodeInfo {
  /** Whether it is the node that answers. */
  readonly self: boolean
  readonly version?: string | undefined
  /** Milliseconds since 1970. */
  readonly startedAt?: number | undefined
  readonly connections?: number | undefined
  readonly subscriptions?: number | undefined
  readonly publishedPerSecond?: number | undefined
  readonly deliveredPerSecond?: number | undefined
  /** Resident memory of its process, in bytes. */
  readonly memoryBytes?: number | undefined
  /** Part of one core that its process used in the last second: 1 is all of it. */
  readonly cpu?: number | undefined
  /** How late its event loop was in the last second, 99th percentile, in milliseconds. */
  readonly eventLoopDelayMs?: number | undefined
}

/** The nodes that the node that answers knows. */
export interface NodesStatus {
  /** The node that answers is cut off from the others, so it knows only itself. */
  readonly cutOff: boolean
  /** By name. */
  readonly nodes: readonly NodeStatus[]
}

/** One connection. */
export interface ConnectionInfo {
  readonly connection: string
  /** Counts up as connections open, on each hub by itself: their order in lists. */
  readonly number: number
  /** The hub that it is connected to. */
  readonly node: NodeInfo
  /** What it called itself in its hello. */
  readonly client?: string | undefined
  /** `in this process` for a client of `hub.connect()`. */
  readonly address: string
  /** Who it is; absent for anonymous clients, and before its hello. */
  readonly subject?: string | undefined
  /** Milliseconds since 1970. */
  readonly connectedAt: number
  /** Held in its outbox now, and the limit of the outbox, in bytes. */
  readonly outboxBytes: number
  readonly outboxLimitBytes: number
  /** For how long its outbox has not been empty, in milliseconds; 0 while it keeps up. */
  readonly lagMs: number
  /** Messages passed to it. A message that several of its subscriptions match counts once. */
  readonly deliveredTotal: number
  readonly droppedTotal: number
  /** When messages were last dropped for it, in milliseconds since 1970; absent if none were. */
  readonly droppedAt?: number | undefined
  readonly publishedTotal: number
  readonly subscriptionCount: number
  /** The first ten in a list; all if a single connection is shown. The same applies to consumers. */
  readonly subscriptions: readonly SubscriptionInfo[]
  readonly consumerCount: number
  readonly consumers: readonly ConsumerInfo[]
}

export interface SubscriptionInfo {
  readonly sub: number
  readonly pattern: string
  readonly policy: SlowPolicy
  /** The stream that feeds it. */
  readonly stream?: string | undefined
  /** The client has asked the hub to hold it back. */
  readonly paused: boolean
  /** It is fed from the log until it has caught up. */
  readonly behind: boolean
  readonly droppedTotal: number
}

export interface ConsumerInfo {
  readonly queue: string
  readonly inFlight: number
  readonly prefetch: number
}

/** A connection that has ended, with its last figures. */
export interface EndedConnection extends ConnectionInfo {
  /** Milliseconds since 1970. */
  readonly endedAt: number
  /** Why, in a sentence. */
  readonly reason: string
  /** The error that the hub ended it with; absent if its client or the network closed it. */
  readonly code?: ErrorCode | undefined
}

/** How connections can be sorted. By trouble: those that lose messages come first, then those that lag and hold the most. */
export const CONNECTION_SORTS = [
  'trouble',
  'number',
  'client',
  'subject',
  'address',
  'outboxBytes',
  'lagMs',
  'deliveredTotal',
  'droppedTotal',
  'publishedTotal',
  'subscriptionCount',
  'consumerCount',
] as const
export type ConnectionSort = (typeof CONNECTION_SORTS)[number]

/** The part of the open connections that was asked for. */
export interface ConnectionsFound extends Coverage {
  /** Of all that are open, at the hubs that answered. */
  readonly count: number
  readonly matching: number
  readonly connections: readonly ConnectionInfo[]
}

/** The connections that have ended last, the latest first. */
export interface ConnectionsEnded {
  readonly connections: readonly EndedConnection[]
}

/** Connections in the order in which they opened. */
export interface ConnectionsPage extends Coverage {
  /** Of all that are open, at the hubs that answered. */
  readonly count: number
  readonly connections: readonly ConnectionInfo[]
}

/** The connections that give the most cause to look at them: those that lag, hold or have lost the most come first; 50 at
 * most.
 */
export interface ConnectionsStatus {
  readonly count: number
  readonly slowest: readonly ConnectionInfo[]
}

export interface TopicInfo {
  readonly topic: string
  readonly publishedPerSecond: number
  /** Since the hub remembers the topic: it remembers at least the 20,000 that were published to last. */
  readonly publishedTotal: number
}

/** Topics with the most messages in the last second, then in total, come first; at most 100. */
export interface TopicsStatus {
  readonly count: number
  readonly busiest: readonly TopicInfo[]
}

/** What an operator sees of a stream. */
export interface StreamStatus extends StreamInfo {
  readonly publishedPerSecond: number
}

export const TOPIC_SORTS = ['publishedPerSecond', 'publishedTotal', 'name'] as const
export type TopicSort = (typeof TOPIC_SORTS)[number]

/** The part of the topics that was asked for. */
export interface TopicsFound extends Coverage {
  readonly count: number
  readonly matching: number
  readonly topics: readonly TopicInfo[]
}

export const STREAM_SORTS = ['name', 'messages', 'bytes', 'publishedPerSecond', 'cursorCount', 'newestAt'] as const
export type StreamSort = (typeof STREAM_SORTS)[number]

/** A stream in a list. */
export interface StreamRow extends StreamStatus {
  /** If it was asked for: `publishedPerSecond` over the last five minutes, the oldest first, the highest value of each step of five seconds. */
  readonly history?: readonly number[] | undefined
}

/** The part of the streams that was asked for. */
export interface StreamsFound {
  /** Streams that the client may see. */
  readonly count: number
  readonly matching: number
  readonly streams: readonly StreamRow[]
}

/** Which part of a list is asked for. */
export interface Search<Sort extends string> {
  /** Text that has to be in the name, upper or lower case; of a connection also in client, subject, address, a pattern or a queue of its. */
  readonly filter?: string | undefined
  readonly sort?: Sort | undefined
  /** Turns the order around. */
  readonly reverse?: boolean | undefined
  /** How many to skip: 0 by default. */
  readonly from?: number | undefined
  /** Maximum number of rows: 50 by default, at most 1,000. */
  readonly limit?: number | undefined
}

/** As `Search`, for queues and streams. */
export interface SearchWithHistory<Sort extends string> extends Search<Sort> {
  /** Whether each row has its recent history. */
  readonly history?: boolean | undefined
}

/** `problem`: something is lost, refused or grows without end. `warning`: an operator should look when there is time. */
export type AttentionLevel = 'problem' | 'warning'

/** What is wrong, by kind. */
export type TroubleKind =
  | 'storage-failed'
  | 'cut-off'
  | 'dropping'
  | 'outboxes-full'
  | 'event-loop-late'
  | 'unexpected-errors'
  | 'growing'
  | 'nearly-full'
  | 'no-consumer'
  | 'dead-letters'
  | 'parked'
  | 'losing'
  | 'slow'

export interface Trouble {
  readonly level: AttentionLevel
  readonly kind: TroubleKind
  /** A sentence whose subject is what it is about: "grows: …". */
  readonly text: string
}

/** What a trouble is about. */
export type AttentionSubject =
  | { readonly kind: 'hub' }
  | { readonly kind: 'queue'; readonly name: string }
  | { readonly kind: 'connection'; readonly connection: string; readonly client?: string | undefined }

/** One thing that needs attention, with all of its troubles. */
export interface AttentionEntry {
  readonly about: AttentionSubject
  /** The worst of its troubles. */
  readonly level: AttentionLevel
  /** The worst first. */
  readonly troubles: readonly Trouble[]
}

/** What needs attention, the worst first. */
export interface Attention {
  /** Counts all entries, including those beyond `limit`. */
  readonly problems: number
  readonly warnings: number
  readonly entries: readonly AttentionEntry[]
}

/** Five minutes by the second, or 24 hours by the minute. */
export const HISTORY_RANGES = ['minutes', 'day'] as const
export type HistoryRange = (typeof HISTORY_RANGES)[number]

/** What a history is asked of. */
export type HistoryParams = { readonly range: HistoryRange } & (
  | { readonly of: 'hub' }
  | { readonly of: 'queue' | 'stream'; readonly name: string }
)

/** What the hub remembers of figures: `publishedPerSecond` and, of the hub, `deliveredPerSecond`; of a queue, `ackedPerSecond` and `ready`. */
export interface History {
  /** Times of the samples, in milliseconds since 1970. Where the hub was not sampled there is a hole. */
  readonly times: readonly number[]
  /** By figure, a value for each time; over a day the averages of the minutes. */
  readonly figures: Readonly<Record<string, readonly number[]>>
  /** False: more queues or streams are busy than the hub keeps histories of, and this one has none. */
  readonly kept: boolean
}
