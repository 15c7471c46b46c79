import type { From, Offsets, Position } from './streams.ts'

/**
 * The frames of `fanfare.v1`. PROTOCOL.md is their specification; this file and `parse-frame.ts` are its code.
 * Unknown fields are ignored, so that a later version can add some.
 */
export const SUBPROTOCOL = 'fanfare.v1'

/** Offered beside it, with the token behind it, by clients that can send nothing else with their request. */
export const TOKEN_PROTOCOL = 'fanfare.token.'

/** JSON, parsed or on the hub as its text (`RawJson`), or bytes that travelled in a binary frame. */
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
  /** Maximum unanswered calls per connection; absent from hubs that have no limit. */
  readonly calls?: number
}

// Client to hub

export interface HelloFrame {
  readonly type: 'hello'
  /** Name and version of the client, for the hub's log. */
  readonly client?: string
  /** Says who it is: an API key, a JWT, or what the hub's program understands. */
  readonly token?: string
  /** The client answers checks: what its handlers have before them counts for its outbox. */
  readonly checks?: boolean
}

/** The answer to a check, when the client's handlers have been through everything before it. */
export interface CheckedFrame {
  readonly type: 'checked'
  readonly n: number
}

/** Another token, before the one that the connection has expires. */
export interface AuthFrame {
  readonly type: 'auth'
  /** From the same numbers as those of publishes. */
  readonly seq: number
  readonly token: string
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
  /** The subscription goes on after a cut, at `from`: what has arrived is newer than what the cursor has stored. */
  readonly resumes?: boolean
}

export interface UnsubscribeFrame {
  readonly type: 'unsubscribe'
  readonly sub: number
  /** Of an offer to answer: what is open is still answered. Otherwise its askers learn that the responder is lost. */
  readonly finish?: boolean
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

/** Asks for deliveries of a queue. */
export interface ConsumeFrame {
  readonly type: 'consume'
  /** Chosen by the client, unique in its connection. */
  readonly consumer: number
  readonly queue: string
  /** Most deliveries that may be unsettled. */
  readonly prefetch?: number
  /** Time for a delivery; the queue's own where it is missing. */
  readonly ackDeadlineMs?: number
  /** The client says what it begins, and gives back what it has not begun when it is asked to. */
  readonly begins?: boolean
}

/** All deliveries up to this one have begun. */
export interface BeginFrame {
  readonly type: 'begin'
  readonly consumer: number
  readonly delivery: number
}

/** These have not begun, and go back as they were. Without any: the client can take more. */
export interface ReturnFrame {
  readonly type: 'return'
  readonly consumer: number
  readonly deliveries: readonly number[]
}

/** No more deliveries: what has begun goes on until it is settled. */
export interface StopFrame {
  readonly type: 'stop'
  readonly consumer: number
}

export interface CancelFrame {
  readonly type: 'cancel'
  readonly consumer: number
}

/** Done; what is in `publish` is published in the same step, or nothing happens. */
export interface AckFrame {
  readonly type: 'ack'
  readonly consumer: number
  readonly delivery: number
  readonly publish?: readonly Omit<PublishFrame, 'type' | 'seq'>[]
}

/** Not done: another attempt, after a while. */
export interface NackFrame {
  readonly type: 'nack'
  readonly consumer: number
  readonly delivery: number
  readonly delayMs?: number
  readonly error?: string
}

/** Not to be done: to the dead letters at once. */
export interface RejectFrame {
  readonly type: 'reject'
  readonly consumer: number
  readonly delivery: number
  readonly error?: string
}

/** More time, from now. */
export interface ExtendFrame {
  readonly type: 'extend'
  readonly consumer: number
  readonly delivery: number
  readonly ms: number
}

/** Offers to answer what is asked on topics that match. `unsubscribe` ends it. */
export interface RespondFrame {
  readonly type: 'respond'
  readonly sub: number
  readonly pattern: string
}

export interface AskFrame {
  readonly type: 'ask'
  /** From the same numbers as those of publishes. */
  readonly seq: number
  readonly topic: string
  readonly data?: Data
  readonly headers?: Headers
  readonly timeoutMs: number
}

/** Of a responder: data, or an error in words. */
export interface ReplyFrame {
  readonly type: 'reply'
  readonly request: number
  readonly data?: Data
  readonly error?: string
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
  /** For queues: 0 to 9, the higher first; 4 where it is missing. */
  readonly priority?: number
  /** For queues: not to be delivered before; from now on, or milliseconds since 1970. */
  readonly delayMs?: number
  readonly deliverAt?: number
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
  /** The hub's time, in milliseconds since 1970. */
  readonly now?: number
  /** Who the client is; absent where it has not said so. */
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
  /** As it was asked for; absent from hubs that do not know of it. */
  readonly begins?: boolean
}

/** Give these back if they have not begun. */
export interface RecallFrame {
  readonly type: 'recall'
  readonly consumer: number
  readonly deliveries: readonly number[]
}

/** These are no longer leased to the consumer: their time ran out. */
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
  /** To be settled under this number. */
  readonly delivery: number
  /** 1 for the first. */
  readonly attempt: number
  /** What went wrong the last time. */
  readonly error?: string
  readonly message: MessageFrame
  /** Of the message, where it is bytes. */
  readonly data?: Data
}

/** Deliveries that have ended as their consumer said. */
export interface SettledFrame {
  readonly type: 'settled'
  readonly consumer: number
  readonly deliveries: readonly number[]
}

/** To a responder. */
export interface RequestFrame {
  readonly type: 'request'
  readonly sub: number
  readonly request: number
  readonly topic: string
  readonly data?: Data
  readonly headers?: Headers
}

/** To whoever asked. */
export interface AnswerFrame {
  readonly type: 'answer'
  readonly seq: number
  readonly data?: Data
  /** The responder's own words where it failed. */
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
  /** Where streams have kept it. */
  readonly positions?: Readonly<Record<string, Position>>
  /** Queues that it reached. */
  readonly queues?: readonly string[]
  /** A message with this id was published before; this is where that one is. */
  readonly duplicate?: boolean
}

/** The same bytes for every subscriber: nothing in it differs by connection. */
export interface MessageFrame {
  readonly type: 'message'
  readonly id: string
  readonly topic: string
  /** In a queue, of publishers with a subject: opaque. Messages of one topic with the same id and other scopes are others. */
  readonly scope?: string
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
  readonly consumer?: number
  readonly delivery?: number
  readonly request?: number
  /** Of a commit: the subscription itself goes on. */
  readonly offset?: number
}

export interface PongFrame {
  readonly type: 'pong'
}

/** Asks what the client has handled: everything up to here, if it is answered. */
export interface CheckFrame {
  readonly type: 'check'
  readonly n: number
}

export type ClientFrame =
  | HelloFrame
  | AuthFrame
  | SubscribeFrame
  | UnsubscribeFrame
  | PauseFrame
  | ResumeFrame
  | PublishFrame
  | CommitFrame
  | ConsumeFrame
  | BeginFrame
  | ReturnFrame
  | StopFrame
  | CancelFrame
  | AckFrame
  | NackFrame
  | RejectFrame
  | ExtendFrame
  | RespondFrame
  | AskFrame
  | ReplyFrame
  | CallFrame
  | PingFrame
  | CheckedFrame

export type HubFrame =
  | WelcomeFrame
  | AuthenticatedFrame
  | SubscribedFrame
  | SubscriptionFrame<'unsubscribed'>
  | SubscriptionFrame<'paused' | 'resumed'>
  | FeedFrame
  | CommittedFrame
  | ConsumingFrame
  | RecallFrame
  | LostFrame
  | CancelledFrame
  | DeliveryFrame
  | SettledFrame
  | RequestFrame
  | AnswerFrame
  | ResultFrame
  | ReceiptFrame
  | MessageFrame
  | OnlyFrame
  | GapFrame
  | ErrorFrame
  | PongFrame
  | CheckFrame

export type Frame = ClientFrame | HubFrame
