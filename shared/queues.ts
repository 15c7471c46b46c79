import type { HeaderFilter } from './frames.ts'
import type { JsonMessage } from './json-message.ts'

/** Queues, as hub and clients describe them. */

/** Feeds a queue: messages on topics that match the pattern, whose headers pass `match` if it is given. */
export interface Binding {
  readonly topic: string
  readonly match?: HeaderFilter | undefined
}

/** What happens to a publish to a full queue: it is refused, the oldest messages make room, or it waits for room. */
export type Overflow = 'reject' | 'drop-oldest' | 'dead-letter' | 'block'

/** The options of a queue, with defaults. */
export interface QueueOptions {
  readonly name: string
  readonly bindings: readonly Binding[]
  /** Time that a consumer has for a delivery before it goes to another, in milliseconds. */
  readonly ackDeadlineMs: number
  /** Deliveries after which a message goes to the dead letters. */
  readonly maxAttempts: number
  /** The wait before another attempt: doubles from `base` to `cap`, with jitter. In milliseconds. */
  readonly backoffBaseMs: number
  readonly backoffCapMs: number
  /** Maximum messages and bytes, including those in flight. */
  readonly maxMessages: number
  readonly maxBytes: number
  /** What happens to a publish that exceeds them; `drop-oldest` and `dead-letter` make room from the head. */
  readonly overflow: Overflow
  /** What happens to a message after its `expiresAt`. */
  readonly onExpiry: 'drop' | 'dead-letter'
  /** What happens to a group after one of its messages became a dead letter. */
  readonly onDeadLetter: 'continue' | 'park'
  /** Maximum dead letters. Beyond it the oldest are deleted. */
  readonly maxDeadLetters: number
}

/** Why a message is a dead letter: its attempts were used up, a consumer rejected it, it expired, or it made room. */
export type DeadReason = 'attempts' | 'rejected' | 'expired' | 'overflow'

/** A message that no consumer could handle, and why. */
export interface DeadLetter {
  /** Its number among the queue's dead letters. */
  readonly letter: number
  /** The message as it was. */
  readonly message: JsonMessage
  readonly reason: DeadReason
  readonly error: string | undefined
  readonly attempts: number
  /** When it was published and when it became a dead letter, in milliseconds since 1970. */
  readonly publishedAt: number
  readonly diedAt: number
  /** The queue that it came from. */
  readonly origin: string
}

/** Selects dead letters; an empty filter selects all. */
export interface DeadLetterFilter {
  /** Pattern of their topics. */
  readonly topic?: string | undefined
  readonly key?: string | undefined
  readonly reason?: DeadReason | undefined
  /** Text in their error. */
  readonly error?: string | undefined
  readonly letters?: readonly number[] | undefined
  /** The highest number that is selected. Numbers of dead letters increase with time. */
  readonly through?: number | undefined
}

/** The result of `deadLetters.count`. */
export interface DeadLetterCount {
  readonly count: number
  /** The highest number of those that were counted; absent if there are none. */
  readonly through?: number
}

/** Figures of a queue that the hub computes once a second. */
export interface QueueRates {
  /** Messages per second, of the last second. */
  readonly publishedPerSecond: number
  readonly ackedPerSecond: number
  /**
   * Consumers that would keep up with what becomes due, and have what is due now done in ten seconds. Delayed messages, waits before
   * another attempt and parked groups ask for none.
   */
  readonly wantedConsumers: number
  /** How many of these are needed to keep up; the others are for what waits already. */
  readonly keepUpConsumers: number
  /** What is due has grown for half a minute and never shrunk; until nothing has come in for half a minute. */
  readonly growing: boolean
}

/** The state of a queue in the broker. */
export interface QueueStatus extends QueueOptions {
  /** Waiting, those that are delayed included. */
  readonly depth: number
  /** Waiting messages that are due: not delayed, not waiting for another attempt, not in a group that is blocked or parked. */
  readonly ready: number
  /** Those that wait for their time; a group counts once. */
  readonly delayed: number
  readonly inFlight: number
  readonly bytes: number
  /** Publishes to it that wait for room, in it or in another of their queues, and their bytes. */
  readonly waitingPublishes: number
  readonly waitingPublishBytes: number
  /** Age of the oldest unfinished message, in milliseconds since its publish; 0 if there is none. */
  readonly oldestAgeMs: number
  /** For how long the oldest message that is ready has been due, in milliseconds; 0 if none is. */
  readonly readyAgeMs: number
  /** Since the hub started, like the other totals. */
  readonly publishedTotal: number
  readonly ackedTotal: number
  readonly redeliveredTotal: number
  readonly droppedTotal: number
  readonly deadLetters: number
  /** Dead letters that exceeded `maxDeadLetters` and are lost: the oldest go. */
  readonly deadLettersDroppedTotal: number
  /** Keys of groups that wait for an operator: the first hundred of them. */
  readonly parked: readonly string[]
  /** How many more groups wait for an operator than `parked` shows. */
  readonly parkedMore: number
}

/** The status of a queue; the hub publishes it once a second on `$sys.queues.<name>`. */
export interface QueueInfo extends QueueStatus, QueueRates {
  /** Consumers that are connected, to any node. */
  readonly consumers: number
  /** Deliveries whose lease expired, since the hub started, at all nodes. */
  readonly timedOutTotal: number
}

/** How queues can be sorted: by trouble (the worst first), by name, or by a figure (the highest first). Equals are in the order of names. */
export const QUEUE_SORTS = [
  'trouble',
  'name',
  'ready',
  'depth',
  'inFlight',
  'bytes',
  'readyAgeMs',
  'publishedPerSecond',
  'ackedPerSecond',
  'consumers',
  'wantedConsumers',
  'deadLetters',
] as const
export type QueueSort = (typeof QUEUE_SORTS)[number]

/** A queue in a list. */
export interface QueueRow extends QueueInfo {
  /** If it was asked for: `ready` over the last five minutes, the oldest first, the highest value of each step of five seconds. */
  readonly history?: readonly number[] | undefined
}

/** The part of a list of queues that was asked for. */
export interface QueuesFound {
  /** Queues that the client may see. */
  readonly count: number
  /** How many of these the filter matches. */
  readonly matching: number
  readonly queues: readonly QueueRow[]
}

/** Once a second, what an operator sees of a queue. */
export const QUEUE_STATUS_TOPIC = '$sys.queues.'

/** A publish to this and a queue's name goes straight to the queue. */
export const QUEUE_TOPIC = '$queue.'

export const DEFAULT_PREFETCH = 16
