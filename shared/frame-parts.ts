// What several frames are made of.

/** JSON, parsed or on the hub as its text (`RawJson`), or bytes that travelled in a binary frame. */
export type Data = unknown

export type MessageHeaders = Readonly<Record<string, string>>

/** Which headers a message must have: all of the given ones, or any. RabbitMQ's headers exchange, per subscription. */
export type HeaderFilter = { readonly all: MessageHeaders } | { readonly any: MessageHeaders }

export const POLICIES = ['drop-oldest', 'drop-newest', 'conflate', 'pause', 'disconnect'] as const
/** What happens to a subscription's messages when they come faster than they are read. */
export type SlowPolicy = (typeof POLICIES)[number]

export interface Limits {
  /** Largest WebSocket message that the hub takes, in bytes. */
  readonly frameBytes: number
  /** Most subscriptions of one connection. */
  readonly subscriptions: number
  /** Maximum unanswered calls per connection; absent from hubs that have no limit. */
  readonly calls?: number
}
