// Parts of several frames.

/** JSON, parsed or on the hub as its text (`RawJson`), or bytes that travelled in a binary frame. */
export type Data = unknown

export type MessageHeaders = Readonly<Record<string, string>>

/** The headers that a message must have: all of the given ones, or any. Like RabbitMQ's headers exchange, per subscription. */
export type HeaderFilter = { readonly all: MessageHeaders } | { readonly any: MessageHeaders }

export const POLICIES = ['drop-oldest', 'drop-newest', 'conflate', 'pause', 'disconnect'] as const
/** What happens to the messages of a subscription when they arrive faster than they are read. */
export type SlowPolicy = (typeof POLICIES)[number]

export interface Limits {
  /** Largest WebSocket message that the hub accepts, in bytes. */
  readonly frameBytes: number
  /** Maximum subscriptions per connection. */
  readonly subscriptions: number
  /** Maximum unanswered calls per connection; absent from hubs that have no limit. */
  readonly calls?: number
}
