import type { From, Offsets, Position } from './streams.ts'

/**
 * The frames of `fanfare.v1`. PROTOCOL.md is their specification; this file and `parse-frame.ts` are its code.
 * Unknown fields are ignored, so that a later version can add some.
 */
export const SUBPROTOCOL = 'fanfare.v1'

/** JSON as it is parsed, or bytes that travelled in a binary frame. */
export type Data = unknown

export type Headers = Readonly<Record<string, string>>

/** Which headers a message must have: all of the given ones, or any. RabbitMQ's headers exchange, per subscription. */
export type HeaderFilter = { readonly all: Headers } | { readonly any: Headers }

export const POLICIES = ['drop-oldest', 'drop-newest', 'conflate', 'pause', 'disconnect'] as const
/** What happens to a subscription's messages when they come faster than they are read. */
export type Policy = (typeof POLICIES)[number]

export interface Limits {
  /** Largest WebSocket message that the hub takes, in bytes. */
  readonly frameBytes: number
  /** Most subscriptions of one connection. */
  readonly subscriptions: number
}

// Client to hub

export interface HelloFrame {
  readonly type: 'hello'
  /** Name and version of the client, for the hub's log. */
  readonly client?: string
}

export interface SubscribeFrame {
  readonly type: 'subscribe'
  /** Chosen by the client, unique in its connection. */
  readonly sub: number
  readonly pattern: string
  readonly filter?: HeaderFilter
  readonly policy?: Policy
  /** The stream that feeds it; needed only where several capture the pattern. */
  readonly stream?: string
  /** Where it starts, on a stream. */
  readonly from?: From
  /** Name under which its position is stored on the hub; a stored one is stronger than `from`. */
  readonly cursor?: string
}

export interface UnsubscribeFrame {
  readonly type: 'unsubscribe'
  readonly sub: number
}

export interface PauseFrame {
  readonly type: 'pause'
  readonly sub: number
}

export interface ResumeFrame {
  readonly type: 'resume'
  readonly sub: number
}

/** Stores a position under the subscription's cursor: the first offset still wanted. */
export interface CommitFrame {
  readonly type: 'commit'
  readonly sub: number
  readonly offset: number
}

/** A request of an operator. */
export interface CallFrame {
  readonly type: 'call'
  /** From the same numbers as those of publishes. */
  readonly seq: number
  readonly method: string
  readonly params?: unknown
}

export interface PublishFrame {
  readonly type: 'publish'
  /** Chosen by the client; its receipt or error bears it. */
  readonly seq: number
  readonly topic: string
  readonly data?: Data
  readonly id?: string
  readonly key?: string
  readonly headers?: Headers
  /** Milliseconds since 1970; from then on the message is not delivered. */
  readonly expiresAt?: number
  /** It was sent before, on a connection that was lost before the receipt came. */
  readonly retry?: boolean
}

export interface PingFrame {
  readonly type: 'ping'
}

// Hub to client

export interface WelcomeFrame {
  readonly type: 'welcome'
  readonly protocol: string
  readonly connection: string
  /** Most publishes that may be unacknowledged. */
  readonly window: number
  /** The hub closes a connection of which it heard nothing for two of these, in milliseconds. */
  readonly pingIntervalMs: number
  readonly limits: Limits
}

/** The answer to subscribe, in order with the messages. The rest stands where a stream feeds the subscription. */
export interface SubscribedFrame {
  readonly type: 'subscribed'
  readonly sub: number
  readonly stream?: string
  readonly epoch?: string
  /** The first offset that may come. */
  readonly offset?: number
  /** Whether the position asked for was still there: nothing is missing. */
  readonly recovered?: boolean
}

/** The answers to unsubscribe, pause and resume, in order with the messages. */
export interface SubscriptionFrame {
  readonly type: 'unsubscribed' | 'paused' | 'resumed'
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

export interface ResultFrame {
  readonly type: 'result'
  readonly seq: number
  readonly result: unknown
}

export interface ReceiptFrame {
  readonly type: 'receipt'
  readonly seq: number
  readonly id: string
  /** Where streams have kept it. */
  readonly positions?: Readonly<Record<string, Position>>
  /** A message with this id was published before; this is where that one is. */
  readonly duplicate?: boolean
}

/** The same bytes for every subscriber: nothing in it differs by connection. */
export interface MessageFrame {
  readonly type: 'message'
  readonly id: string
  readonly topic: string
  /** In each stream that captured it. */
  readonly offsets?: Offsets
  /** Milliseconds since 1970, where a stream captured it. */
  readonly publishedAt?: number
  readonly expiresAt?: number
  readonly key?: string
  readonly headers?: Headers
  readonly data?: Data
}

/** First in a WebSocket message: its messages are for this subscription alone, whichever others they match. */
export interface OnlyFrame {
  readonly type: 'only'
  readonly sub: number
}

/**
 * A policy; the bound on all outboxes; or of a stream: `retention` let go of them, an operator `trimmed` them, or the
 * `epoch` has changed, so that the log cannot tell what is missing.
 */
export type GapReason = 'drop-oldest' | 'drop-newest' | 'conflate' | 'outbox-total' | 'retention' | 'trimmed' | 'epoch'

/** Messages that were left out at this very place. */
export interface GapFrame {
  readonly type: 'gap'
  readonly sub: number
  /** How many; on a stream an upper bound, since not every one need have matched; absent where nobody can tell. */
  readonly count?: number
  /** Ids of the first and the last message left out, by a policy. */
  readonly from?: string
  readonly to?: string
  /** Offsets of the first and the last one, of a stream. */
  readonly offsets?: { readonly from: number; readonly to: number }
  readonly reason: GapReason
}

export interface ErrorFrame {
  readonly type: 'error'
  readonly code: string
  readonly message: string
  readonly retry: boolean
  /** The request that was refused, where it had one of these. */
  readonly seq?: number
  readonly sub?: number
  /** Of a commit: the subscription itself goes on. */
  readonly offset?: number
}

export interface PongFrame {
  readonly type: 'pong'
}

export type ClientFrame =
  | HelloFrame
  | SubscribeFrame
  | UnsubscribeFrame
  | PauseFrame
  | ResumeFrame
  | PublishFrame
  | CommitFrame
  | CallFrame
  | PingFrame

export type HubFrame =
  | WelcomeFrame
  | SubscribedFrame
  | SubscriptionFrame
  | FeedFrame
  | CommittedFrame
  | ResultFrame
  | ReceiptFrame
  | MessageFrame
  | OnlyFrame
  | GapFrame
  | ErrorFrame
  | PongFrame

export type Frame = ClientFrame | HubFrame
