/** `fanfare/client`: for browsers, and for every platform that has a WebSocket. */
import { Client } from './client.ts'
import type { ClientOptions } from './client-options.ts'
import { Consumer } from './consumer.ts'
import { Delivery } from './delivery.ts'
import { ConnectionAdmin, HubAdmin, NodeAdmin, TopicAdmin } from './hub.ts'
import { DeadLetterAdmin, QueueAdmin } from './queues.ts'
import { StreamAdmin } from './streams.ts'
import { Subscription } from './subscription.ts'
import { unproxied } from './unproxied.ts'
import type { WebSocketClass } from './websocket.ts'

export type { Clock, Timer } from '../shared/clock.ts'
export { type Contract, defineTopics, type Exchange, type Schema } from '../shared/contract.ts'
export type { QueueDeclaration, StreamDeclaration } from '../shared/declarations.ts'
export { type ErrorCode, FanfareError } from '../shared/fanfare-error.ts'
export type { GapReason, HeaderFilter, MessageHeaders, SlowPolicy } from '../shared/frames.ts'
export type { Payload } from '../shared/payload.ts'
export type {
  Binding,
  DeadLetter,
  DeadLetterCount,
  DeadLetterFilter,
  DeadReason,
  Overflow,
  QueueInfo,
  QueueRow,
  QueueSort,
  QueuesFound,
} from '../shared/queues.ts'
export type { RawJson } from '../shared/raw-json.ts'
export type { CursorInfo, CursorPage, LastCount, Offsets, Position, StartAt, StreamInfo } from '../shared/streams.ts'
export type {
  Attention,
  AttentionEntry,
  AttentionLevel,
  AttentionSubject,
  ConnectionInfo,
  ConnectionSort,
  ConnectionsFound,
  ConnectionsPage,
  ConnectionsStatus,
  ConsumerInfo,
  Coverage,
  EndedConnection,
  History,
  HistoryParams,
  HistoryRange,
  HubInfo,
  NodeInfo,
  NodeStatus,
  NodesStatus,
  Search,
  SearchWithHistory,
  StreamRow,
  StreamSort,
  StreamStatus,
  StreamsFound,
  SubscriptionInfo,
  TopicInfo,
  TopicSort,
  TopicsFound,
  TopicsStatus,
  Trouble,
  TroubleKind,
} from '../shared/sys.ts'
export type { Duration, Instant } from '../shared/time.ts'
export { topicWord } from '../shared/topic.ts'
export type { GrantedPermissions, WhoAmI } from '../shared/whoami.ts'
export type { Admin } from './admin.ts'
export type { Backoff } from './backoff.ts'
export type { Client } from './client.ts'
export type { CallOptions, ClientOptions, CloseOptions } from './client-options.ts'
export type { ConsumeOptions, DeliveryHandler } from './consume-options.ts'
export type { Consumer } from './consumer.ts'
export type { AckPublish, Delivery } from './delivery.ts'
export type { ConnectionAdmin, HubAdmin, NodeAdmin, TopicAdmin } from './hub.ts'
export { idempotent, memoryStore, type ProcessedStore } from './idempotent.ts'
export type { Closed } from './link.ts'
export type { Message, SubscriptionGap } from './message.ts'
export type { PublishOptions, Receipt } from './publisher.ts'
export type { DeadLetterAdmin, QueueAdmin } from './queues.ts'
export { rawJson } from './raw-json.ts'
export type { RequestOptions } from './requests.ts'
export type { IncomingRequest, RequestHandler, Responder, RespondOptions } from './responders.ts'
export type { ConnectionState, ConnectionStateChange, ConnectionStateReason } from './state.ts'
export type { StreamAdmin } from './streams.ts'
export type { MessageHandler, OnSubscriptionError, SubscribeOptions } from './subscribe-options.ts'
export type { Subscription } from './subscription.ts'
export type { GetToken } from './tokens.ts'
export type { Tracing } from './tracing.ts'
export type { WebSocketClass, WebSocketLike } from './websocket.ts'

unproxied(Client, Subscription, Consumer, Delivery)
unproxied(StreamAdmin, QueueAdmin, DeadLetterAdmin, HubAdmin, NodeAdmin, ConnectionAdmin, TopicAdmin)

/**
 * Connects to a hub, and reconnects whenever the connection is lost: `connect('ws://localhost:4747')`, or in a page `connect('/')` for the page's own host.
 * Returns at once: publishes and subscriptions wait for the connection. Close the client when you are done, because it keeps a Node process alive.
 *
 * @typeParam Topics - which payload each topic or pattern carries: `connect<{ 'photos.uploaded': Photo }>(url)`; or what
 * `defineTopics` made: `connect(url, { topics })`
 * @throws FanfareError `no_websocket` if the platform has none and none was passed, `bad_url` (if only the WebSocket of
 * the platform refuses it and `getToken` is given, the client is closed with it instead), `token_in_url`, `bad_option`: an
 * option has an unknown name or a wrong value
 */
export function connect<Topics extends object = Record<string, unknown>>(
  url: string,
  options: ClientOptions<Topics> = {},
): Client<Topics> {
  return new Client<Topics>(url, globalThis.WebSocket as WebSocketClass | undefined, options).open()
}
