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

export interface PublishFrame {
  readonly type: 'publish'
  /** Chosen by the client; its receipt or error bears it. */
  readonly seq: number
  readonly topic: string
  readonly data?: Data
  readonly id?: string
  readonly key?: string
  readonly headers?: Headers
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

/** The answers to subscribe, unsubscribe, pause and resume, in order with the messages. */
export interface SubscriptionFrame {
  readonly type: 'subscribed' | 'unsubscribed' | 'paused' | 'resumed'
  readonly sub: number
}

export interface ReceiptFrame {
  readonly type: 'receipt'
  readonly seq: number
  readonly id: string
}

/** The same bytes for every subscriber: nothing in it differs by connection. */
export interface MessageFrame {
  readonly type: 'message'
  readonly id: string
  readonly topic: string
  readonly key?: string
  readonly headers?: Headers
  readonly data?: Data
}

/** First in a WebSocket message: its messages are for this subscription alone, whichever others they match. */
export interface OnlyFrame {
  readonly type: 'only'
  readonly sub: number
}

export type GapReason = 'drop-oldest' | 'drop-newest' | 'conflate' | 'outbox-total'

/** Messages that were left out at this very place. */
export interface GapFrame {
  readonly type: 'gap'
  readonly sub: number
  readonly count: number
  /** Ids of the first and the last message left out. */
  readonly from: string
  readonly to: string
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
  | PingFrame

export type HubFrame =
  | WelcomeFrame
  | SubscriptionFrame
  | ReceiptFrame
  | MessageFrame
  | OnlyFrame
  | GapFrame
  | ErrorFrame
  | PongFrame

export type Frame = ClientFrame | HubFrame
