import type { Binding, Overflow } from './queues.ts'
import type { Duration } from './time.ts'

/** The declaration of a stream, in the options of a hub and for `client.admin.streams.declare`. */
export interface StreamDeclaration {
  /** Words of letters, digits, `_` and `-`, joined by dots; at most 64 characters. */
  readonly name: string
  /** Patterns of the topics that the stream captures. */
  readonly topics: readonly string[]
  /**
   * Maximum age of a message.
   *
   * @default '7d'
   */
  readonly maxAge?: Duration | undefined
  /**
   * Maximum size in bytes. The newest block of messages is always kept.
   *
   * @default 10 GiB; 256 MiB in a cluster, whose Redis keeps it in memory
   */
  readonly maxBytes?: number | undefined
  /**
   * Maximum number of messages.
   *
   * @default no limit
   */
  readonly maxMessages?: number | undefined
  /**
   * Keeps only the newest message of each topic and key.
   *
   * @default false
   */
  readonly lastValue?: boolean | undefined
  /**
   * When a publish is acknowledged: `'disk'` after the sync to the disk, `'os'` when the operating system has the data.
   *
   * @default 'disk'
   */
  readonly durability?: 'disk' | 'os' | undefined
}

/** The declaration of a queue, in the options of a hub and for `client.admin.queues.declare`. */
export interface QueueDeclaration {
  /** Words of letters, digits, `_` and `-`, joined by dots; at most 64 characters. */
  readonly name: string
  /**
   * Patterns of topics whose messages go to the queue, in addition to those that are enqueued by its name.
   *
   * @default none
   */
  readonly bindings?: readonly Binding[] | undefined
  /**
   * Time that a consumer has for a delivery before another consumer gets it.
   *
   * @default '30s'
   */
  readonly ackDeadline?: Duration | undefined
  /**
   * Maximum deliveries of a message. After the last one it becomes a dead letter.
   *
   * @default 5
   */
  readonly maxAttempts?: number | undefined
  /**
   * Wait before another attempt: it doubles from `base` to `cap`, with jitter.
   *
   * @default { base: '1s', cap: '1m' }
   */
  readonly backoff?: { readonly base?: Duration | undefined; readonly cap?: Duration | undefined } | undefined
  /**
   * Maximum number of messages, deliveries in flight included.
   *
   * @default 1,000,000,000
   */
  readonly maxMessages?: number | undefined
  /**
   * Maximum size in bytes, deliveries in flight included.
   *
   * @default 10 GiB; 256 MiB in a cluster, whose Redis keeps it in memory
   */
  readonly maxBytes?: number | undefined
  /**
   * What happens to a publish that exceeds these: it is refused, waits (`'block'`), or the oldest messages make room (`'drop-oldest'`, `'dead-letter'`).
   *
   * @default 'reject'
   */
  readonly overflow?: Overflow | undefined
  /**
   * What happens to a message after its `expiresAt`.
   *
   * @default 'drop'
   */
  readonly onExpiry?: 'drop' | 'dead-letter' | undefined
  /**
   * What happens to a group after one of its messages became a dead letter: it goes on, or is parked for an operator.
   *
   * @default 'continue'
   */
  readonly onDeadLetter?: 'continue' | 'park' | undefined
  /**
   * Maximum number of dead letters. Beyond it the oldest are deleted.
   *
   * @default 10,000
   */
  readonly maxDeadLetters?: number | undefined
}
