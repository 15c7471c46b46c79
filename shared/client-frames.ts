import type { Data, HeaderFilter, MessageHeaders, SlowPolicy } from './frame-parts.ts'
import type { StartAt } from './streams.ts'

// The frames that go from a client to the hub.

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

/** Another token, before the current one of the connection expires. */
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
  readonly policy?: SlowPolicy
  /** The stream that feeds it; required only if several capture the pattern. */
  readonly stream?: string
  /** Where it starts, on a stream. */
  readonly from?: StartAt
  /** Name under which its position is stored on the hub; a stored position takes precedence over `from`. */
  readonly cursor?: string
  /** The subscription resumes at `from` after a lost connection: what has arrived is newer than what the cursor has stored. */
  readonly resumes?: boolean
}

export interface UnsubscribeFrame {
  readonly type: 'unsubscribe'
  readonly sub: number
  /** Only for a responder: open requests are still answered. Otherwise their requesters get `responder_lost`. */
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
  /** Maximum unsettled deliveries. */
  readonly prefetch?: number
  /** Time for a delivery; by default that of the queue. */
  readonly ackDeadlineMs?: number
  /** The client reports what it begins, and returns deliveries that it has not begun on request. */
  readonly begins?: boolean
}

/** All deliveries up to this one have begun. */
export interface BeginFrame {
  readonly type: 'begin'
  readonly consumer: number
  readonly delivery: number
}

/** These have not begun, and go back to the queue unchanged. An empty list means that the client can take more. */
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

/** Completes a delivery; what is in `publish` is published in the same step, or nothing happens. */
export interface AckFrame {
  readonly type: 'ack'
  readonly consumer: number
  readonly delivery: number
  readonly publish?: readonly Omit<PublishFrame, 'type' | 'seq'>[]
}

/** Fails a delivery: another attempt follows after a wait. */
export interface NackFrame {
  readonly type: 'nack'
  readonly consumer: number
  readonly delivery: number
  readonly delayMs?: number
  readonly error?: string
}

/** Moves a delivery to the dead letters at once. */
export interface RejectFrame {
  readonly type: 'reject'
  readonly consumer: number
  readonly delivery: number
  readonly error?: string
}

/** Extends a lease, counted from now. */
export interface ExtendFrame {
  readonly type: 'extend'
  readonly consumer: number
  readonly delivery: number
  readonly ms: number
}

/** Registers a responder for matching topics. `unsubscribe` ends it. */
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
  readonly headers?: MessageHeaders
  readonly timeoutMs: number
}

/** The answer of a responder: data, or an error message. */
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
  readonly headers?: MessageHeaders
  /** Milliseconds since 1970; from then on the message is not delivered. */
  readonly expiresAt?: number
  /** For queues: 0 to 9, higher priorities first; 4 by default. */
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
