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
  readonly policy?: SlowPolicy
  /** The stream that feeds it; needed only where several capture the pattern. */
  readonly stream?: string
  /** Where it starts, on a stream. */
  readonly from?: StartAt
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
  readonly headers?: MessageHeaders
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
  readonly headers?: MessageHeaders
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
