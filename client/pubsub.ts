/** `@fanfare/client/pubsub`: the part of the client that most pages need, at four fifths of its size: publish, subscribe, request. */
import type { ClientOptions } from './client-options.ts'
import { PubSubClient } from './pub-sub-client.ts'
import { Subscription } from './subscription.ts'
import { unproxied } from './unproxied.ts'
import type { WebSocketClass } from './websocket.ts'

export { type Contract, defineTopics, type Exchange, type Schema } from '../shared/contract.ts'
export { type ErrorCode, FanfareError } from '../shared/fanfare-error.ts'
export type { GapReason, HeaderFilter, MessageHeaders, SlowPolicy } from '../shared/frames.ts'
export type { LastCount, Offsets, Position, StartAt } from '../shared/streams.ts'
export type { Duration, Instant } from '../shared/time.ts'
export { topicWord } from '../shared/topic.ts'
export type { ClientOptions, CloseOptions } from './client-options.ts'
export type { Closed } from './link.ts'
export type { Message, SubscriptionGap } from './message.ts'
export type { PubSubClient } from './pub-sub-client.ts'
export type { PublishOptions, Receipt } from './publisher.ts'
export { rawJson } from './raw-json.ts'
export type { RequestOptions } from './requests.ts'
export type { ConnectionState, ConnectionStateChange, ConnectionStateReason } from './state.ts'
export type { MessageHandler, OnSubscriptionError, SubscribeOptions } from './subscribe-options.ts'
export type { Subscription } from './subscription.ts'
export type { WebSocketClass, WebSocketLike } from './websocket.ts'

unproxied(PubSubClient, Subscription)

/** Connects to a hub, and reconnects whenever the connection is lost. Options and errors are those of `connect` of `@fanfare/client`. */
export function connect<Topics extends object = Record<string, unknown>>(
  url: string,
  options: ClientOptions<Topics> = {},
): PubSubClient<Topics> {
  return new PubSubClient<Topics>(url, globalThis.WebSocket as WebSocketClass | undefined, options).open()
}
