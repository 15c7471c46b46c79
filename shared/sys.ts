import type { GapReason, Policy } from './frames.ts'
import type { StreamInfo } from './streams.ts'

/**
 * What the hub says of itself, once a second, on topics of its own. Queues have theirs in `queues.ts`. Totals count since
 * the hub started; rates are those of the last second.
 */

/** A `HubInfo`. */
export const HUB_STATUS_TOPIC = '$sys.hub'
/** A `ConnectionsStatus`. */
export const CONNECTIONS_STATUS_TOPIC = '$sys.connections'
/** A `TopicsStatus`. */
export const TOPICS_STATUS_TOPIC = '$sys.topics'
/** With the name of a stream: its `StreamStatus`. */
export const STREAM_STATUS_TOPIC = '$sys.streams.'

/** The hub as a whole. */
export interface HubInfo {
  readonly version: string
  readonly engine: string
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
  /** Messages handed to connections; one that several subscriptions of a connection match counts once. */
  readonly deliveredTotal: number
  readonly deliveredPerSecond: number
  readonly bytesInPerSecond: number
  readonly bytesOutPerSecond: number
  /** Messages left out, by reason. */
  readonly droppedTotal: Readonly<Partial<Record<GapReason, number>>>
  readonly droppedPerSecond: number
  /** Held by all outboxes now, and the most that they may hold, in bytes. */
  readonly outboxBytes: number
  readonly outboxTotalBytes: number
  /** Resident memory of the process, in bytes. */
  readonly memoryBytes: number
  /** Part of one core that the process used in the last second: 1 is all of it. */
  readonly cpu: number
  /** How late the event loop was in the last second, 99th percentile, in milliseconds. */
  readonly eventLoopDelayMs: number
  /** Bugs of the hub that cost a connection or a request since it started; the log has each with its stack. */
  readonly unexpectedErrorsTotal: number
}

/** One connection. */
export interface ConnectionInfo {
  readonly connection: string
  /** Counts up as connections open: their order in lists. */
  readonly number: number
  /** What it called itself in its hello. */
  readonly client?: string | undefined
  readonly address: string
  /** Milliseconds since 1970. */
  readonly connectedAt: number
  /** Held in its outbox now, and the most that it may hold, in bytes. */
  readonly outboxBytes: number
  readonly outboxLimitBytes: number
  /** For how long its outbox has not been empty, in milliseconds; 0 while it keeps up. */
  readonly lagMs: number
  /** Messages handed to it; one that several of its subscriptions match counts once. */
  readonly deliveredTotal: number
  readonly droppedTotal: number
  readonly publishedTotal: number
  readonly subscriptionCount: number
  /** The first ten of them in a list, all where one connection is shown; consumers likewise. */
  readonly subscriptions: readonly SubscriptionInfo[]
  readonly consumerCount: number
  readonly consumers: readonly ConsumerInfo[]
}

export interface SubscriptionInfo {
  readonly sub: number
  readonly pattern: string
  readonly policy: Policy
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

/** Connections in the order in which they opened. */
export interface ConnectionsPage {
  /** Of all that are open. */
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

/** The topics that had the most messages in the last second, then in all, come first; 100 at most. */
export interface TopicsStatus {
  readonly count: number
  readonly busiest: readonly TopicInfo[]
}

/** What an operator sees of a stream. */
export interface StreamStatus extends StreamInfo {
  readonly publishedPerSecond: number
}
