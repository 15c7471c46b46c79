import { passing, refusal } from './error-entry.ts'

/** The rows of the error table that only the hub and its commands raise. A client has their texts from the hub. */
export const HUB_ERRORS = {
  // What was received cannot be read.
  not_json: refusal('The text is not valid JSON. Check how it was serialized.', 4400),
  bad_utf8: refusal('The text is not valid UTF-8. Send binary data as bytes.', 4400),
  bad_binary: refusal('A binary message must consist of whole records: two lengths, a JSON header, a payload.', 4400),
  unknown_frame: refusal('Clients cannot send frames of this type. Check the "type" of the frame.'),
  // The connection ends.
  window_exceeded: passing(
    'More publishes and requests are unanswered than the window allows. Wait for answers.',
    4429,
  ),
  unauthenticated: refusal('Authentication is required. Send a valid token.', 4401),
  token_expired: refusal('The token has expired. Connect with a new one.', 4402),
  auth_unavailable: passing(
    "The credentials could not be checked right now. Try again later; the cause is in the hub's log.",
    4004,
  ),
  auth_backlog: refusal('Too much was sent before authentication finished. Wait for the welcome.', 4430),
  // A refused request: the connection stays open.
  forbidden: refusal('The permissions of this client do not allow it. Use a token that has the permission.'),
  hello_late: refusal('"hello" must be the first frame of a connection. Leave it out, or connect again.'),
  reserved_topic: refusal('Topics that begin with $ are reserved for the hub. Publish to another topic.'),
  too_many_subscriptions: refusal(
    'The connection has the maximum number of subscriptions. Unsubscribe, or use a pattern.',
  ),
  subscription_exists: refusal('The connection already uses this subscription number. Choose another.'),
  unknown_subscription: refusal('The connection has no subscription with this number. Subscribe first.'),
  policy_unsupported: refusal('The policy "pause" needs a stream that captures the topics. Choose another policy.'),
  no_stream: refusal('There is no such stream. Declare it, or correct its name.'),
  ambiguous_stream: refusal('Several streams capture the pattern. Choose one with the stream option.'),
  stream_exists: refusal(
    'A stream of this name already exists with different options. Use the same options, or update it.',
  ),
  no_queue: refusal('There is no such queue. Declare it, or correct its name.'),
  too_many_streams: refusal('The hub has the maximum number of streams. Delete unused ones, or raise maxStreams.'),
  too_many_queues: refusal('The hub has the maximum number of queues. Delete unused ones, or raise maxQueues.'),
  too_many_patterns: refusal(
    'All streams or all queues together would exceed maxPatterns. Declare fewer patterns, or raise the limit.',
  ),
  too_many_places: refusal(
    'A publish to a cluster may go to 1,000 streams and queues, and this one would go to more. Let fewer of them match the topic.',
  ),
  queue_exists: refusal(
    'A queue of this name already exists with different options. Use the same options, or update it.',
  ),
  no_parked_group: refusal('No parked group has this key. queues.show lists the parked groups.'),
  unknown_consumer: refusal('The connection has no consumer with this number. Consume first.'),
  consumer_exists: refusal('The connection already uses this consumer number. Choose another.'),
  no_cursor: refusal('There is no such cursor. cursors.list lists the cursors of a stream.'),
  cursor_limit: refusal('The stream has the maximum number of cursors. Delete unused ones, or raise cursorsPerStream.'),
  no_connection: refusal('No open connection has this id. connections.list lists the open ones.'),
  unknown_method: refusal('The hub has no such method.'),
  bad_content_type: refusal('This path does not accept a body of this content type.'),
  bad_params: refusal('The parameters are wrong.'),
  too_many_calls: passing('The connection has too many unanswered calls. Wait for their answers.'),
  call_failed: refusal("The hub failed to run the call. The cause is in the hub's log."),
  queue_limit: passing('The queue is full. Publish later, add consumers, or raise its limits.'),
  waiting_limit: passing(
    'Publishes that wait for capacity in queues exceed waitingPublishBytes. Publish later, add consumers, or raise the limit.',
  ),
  no_responder: passing('No responder is available on this topic. Start one, or try again later.'),
  responder_lost: passing(
    'The responder disconnected before it replied. The request may or may not have been handled.',
  ),
  rate_limited: passing('A rate limit was exceeded; the request was not processed. Send it later.'),
  storage_full: passing('The disk is full; nothing was stored. Free some space, then try again.'),
  storage_failed: passing("The message could not be stored. The cause is in the hub's log."),
  outcome_unknown: passing('Whether this was stored is unknown. Publish it again with the same id: it is stored once.'),
  // The hub ends a connection whose frames were all right: come back later.
  shutting_down: passing('The hub is shutting down. Reconnect after a wait.', 4000),
  slow_consumer: passing('The outbox is full and the policy is "disconnect". Read faster, or subscribe to less.', 4001),
  outbox_total: passing('The outboxes of all connections exceed outboxTotalBytes. Reconnect later.', 4003),
  flooding: passing('The connection kept exceeding a rate limit. Reconnect, and send less.', 4005),
  disconnected_by_operator: passing('An operator ended this connection. Reconnect after a wait.', 4004),
  internal: passing("The hub failed. The cause is in the hub's log.", 4011),
  // Refused before there is a connection, in the HTTP response to the upgrade.
  hub_full: passing('The hub has the maximum number of connections. Try again later, or raise maxConnections.'),
  address_limit: passing('Too many connections from one address. Try again later, or raise the limit.'),
  bad_subprotocol: refusal('The hub speaks the subprotocol fanfare.v1. Offer it, or none.'),
  forbidden_origin: refusal('This origin is not allowed. Add it to allowedOrigins.'),
  // Refused over HTTP only.
  no_route: refusal('Nothing is served at this path. /v1/openapi.json describes the API.'),
  method_not_allowed: refusal('This path does not support this method. The Allow header lists those that it does.'),
  // Raised by the commands.
  hub_unreachable: passing('The hub cannot be reached. Start one with fanfare serve, or correct --url.'),
  // Raised at start.
  bad_config: refusal('The configuration is wrong.'),
  engine_missing: refusal(
    'The engine uws needs the package uWebSockets.js. Run npm install uWebSockets.js@npm:@btc-vision/uwebsockets.js@20.57.0, or use --engine ws.',
  ),
  data_locked: refusal('Another hub uses the data directory. Stop it, or choose another directory with --data.'),
  data_foreign: refusal('Not a Fanfare data directory, or one of another version. Choose an empty one with --data.'),
  data_damaged: refusal('The data cannot be read; nothing was changed. Restore a backup, or choose another directory.'),
  data_unusable: refusal('The data directory cannot be used. Check its path, owner, permissions and disk.'),
  cluster_unreachable: passing('Redis cannot be reached. Check the address of the cluster, and that Redis runs.'),
  cluster_live_only: refusal(
    'This Redis can lose messages that were acknowledged. Set appendonly yes and appendfsync always in it.',
  ),
  port_in_use: refusal('The hub cannot listen on this address. Stop what uses it, or choose another port.'),
} as const
