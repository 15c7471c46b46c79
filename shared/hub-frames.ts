import type { Data, Limits, MessageHeaders } from './frame-parts.ts'
import type { Offsets, Position } from './streams.ts'

// The frames that go from the hub to a client.

export interface WelcomeFrame {
  readonly type: 'welcome'
  readonly protocol: string
  readonly connection: string
  /** Maximum unacknowledged publishes. */
  readonly window: number
  /** The hub closes a connection from which it received nothing for two of these intervals, in milliseconds. */
  readonly pingIntervalMs: number
  readonly limits: Limits
  /** The hub's time, in milliseconds since 1970. */
  readonly now?: number
  /** Name of the hub that the client is connected to, if it is one of a cluster. */
  readonly node?: string
  /** The subject of the client; absent if it is anonymous. */
  readonly subject?: string
  /** Time until the token expires, in milliseconds. */
  readonly expiresInMs?: number
}

/** The answer to auth. */
export interface AuthenticatedFrame {
  readonly type: 'authenticated'
  readonly seq: number
  readonly subject?: string
  readonly expiresInMs?: number
}

/** The answer to subscribe, in order with the messages. The other fields are present if a stream feeds the subscription. */
export interface SubscribedFrame {
  readonly type: 'subscribed'
  readonly sub: number
  readonly stream?: string
  readonly epoch?: string
  /** The first offset that may be delivered. */
  readonly offset?: number
  /** Whether the requested position still existed: nothing is missing. */
  readonly recovered?: boolean
}

/** The answers to unsubscribe, pause and resume, in order with the messages. */
export interface SubscriptionFrame<Type = 'unsubscribed' | 'paused' | 'resumed'> {
  readonly type: Type
  readonly sub: number
}

/** From here on the subscription gets its messages from the log, with `only`; or again together with all others. */
export interface FeedFrame {
  readonly type: 'behind' | 'live'
  readonly sub: number
  /** The first offset that is still to come. */
  readonly offset: number
}

export interface CommittedFrame {
  readonly type: 'committed'
  readonly sub: number
  readonly offset: number
}

export interface ConsumingFrame {
  readonly type: 'consuming'
  readonly consumer: number
  readonly queue: string
  readonly prefetch: number
  readonly ackDeadlineMs: number
  /** As requested; absent from hubs that do not support it. */
  readonly begins?: boolean
}

/** Asks the client to return these if they have not begun. */
export interface RecallFrame {
  readonly type: 'recall'
  readonly consumer: number
  readonly deliveries: readonly number[]
}

/** These are no longer leased to the consumer: their leases expired. */
export interface LostFrame {
  readonly type: 'lost'
  readonly consumer: number
  readonly deliveries: readonly number[]
}

export interface CancelledFrame {
  readonly type: 'cancelled'
  readonly consumer: number
}

export interface DeliveryFrame {
  readonly type: 'delivery'
  readonly consumer: number
  /** The number to settle it with. */
  readonly delivery: number
  /** 1 for the first. */
  readonly attempt: number
  /** Why the previous attempt failed. */
  readonly error?: string
  readonly message: MessageFrame
  /** The data of the message, if it is bytes. */
  readonly data?: Data
}

/** Deliveries that have ended as their consumer requested. */
export interface SettledFrame {
  readonly type: 'settled'
  readonly consumer: number
  readonly deliveries: readonly number[]
}

/** A request, to a responder. */
export interface RequestFrame {
  readonly type: 'request'
  readonly sub: number
  readonly request: number
  readonly topic: string
  readonly data?: Data
  readonly headers?: MessageHeaders
}

/** The reply, to the requester. */
export interface AnswerFrame {
  readonly type: 'answer'
  readonly seq: number
  readonly data?: Data
  /** The responder's error message, if it failed. */
  readonly error?: string
}

export interface ResultFrame {
  readonly type: 'result'
  readonly seq: number
  readonly result: unknown
}

export interface ReceiptFrame {
  readonly type: 'receipt'
  readonly seq: number
  readonly id: string
  /** Its position in each stream that stores it. */
  readonly positions?: Readonly<Record<string, Position>>
  /** Queues that it reached. */
  readonly queues?: readonly string[]
  /** A message with this id was published before; the receipt is about that one. */
  readonly duplicate?: boolean
}

/** The same bytes for every subscriber: nothing in it differs by connection. */
export interface MessageFrame {
  readonly type: 'message'
  readonly id: string
  readonly topic: string
  /** Opaque; present in queues, for publishers with a subject. Messages of one topic with the same id and different scopes are different messages. */
  readonly scope?: string
  /** Its offset in each stream that captured it. */
  readonly offsets?: Offsets
  /** Milliseconds since 1970, if a stream captured the message. */
  readonly publishedAt?: number
  readonly expiresAt?: number
  readonly key?: string
  readonly headers?: MessageHeaders
  readonly data?: Data
}

/** First in a WebSocket message: its messages are only for this subscription, whichever others they match. */
export interface OnlyFrame {
  readonly type: 'only'
  readonly sub: number
}

/**
 * A policy; the bound on all outboxes; `link`: the hub was cut off from other nodes, and cannot know what they published; or of a
 * stream: `retention` deleted them, an operator `trimmed` them, or the `epoch` has changed, so that the log cannot tell what is missing.
 */
export type GapReason =
  | 'drop-oldest'
  | 'drop-newest'
  | 'conflate'
  | 'outbox-total'
  | 'link'
  | 'retention'
  | 'trimmed'
  | 'epoch'

/** Messages that were left out in this place. */
export interface GapFrame {
  readonly type: 'gap'
  readonly sub: number
  /** How many; on a stream an upper bound, since not all of them must have matched; absent if it is not known. */
  readonly count?: number
  /** Ids of the first and the last message that a policy left out. */
  readonly from?: string
  readonly to?: string
  /** Offsets of the first and the last one, on a stream. */
  readonly offsets?: { readonly from: number; readonly to: number }
  readonly reason: GapReason
}

export interface ErrorFrame {
  readonly type: 'error'
  readonly code: string
  readonly message: string
  readonly retry: boolean
  /** The numbers of the frame that was refused, if it had them. */
  readonly seq?: number
  readonly sub?: number
  readonly consumer?: number
  readonly delivery?: number
  readonly request?: number
  /** A commit was refused: the subscription itself continues. */
  readonly offset?: number
}

export interface PongFrame {
  readonly type: 'pong'
}

/** Asks what the client has handled. Its answer means: everything up to here. */
export interface CheckFrame {
  readonly type: 'check'
  readonly n: number
}
