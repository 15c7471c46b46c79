import { passing, refusal } from './client-errors.ts'

/** The rows of the error table that only the hub and its commands raise. A client has their texts from the hub. */
export const HUB_ERRORS = {
  // What was received cannot be read.
  not_json: refusal('A text frame has to be one JSON object, or an array of them. Check how it was serialised.', 4400),
  bad_utf8: refusal('A text frame has to be valid UTF-8. Send bytes in a binary frame.', 4400),
  bad_binary: refusal('A binary frame has to be whole records: two lengths, a JSON header, a payload.', 4400),
  unknown_frame: refusal('No frame of this type goes from a client to the hub in fanfare.v1. Check its "type".'),
  // The connection ends.
  window_exceeded: passing('More publishes and asks are unanswered than the window allows. Wait for answers.', 4429),
  unauthenticated: refusal(
    'Only who is known is let in. Send a valid token, in hello or as Authorization: Bearer.',
    4401,
  ),
  token_expired: refusal('The token has expired. Get another one, and connect with that.', 4402),
  auth_unavailable: passing(
    "Who this is could not be checked now. Try again later; the cause is in the hub's log.",
    4004,
  ),
  auth_backlog: refusal('More was sent than the hub keeps before it knows who it is. Wait for its answer.', 4430),
  // A refused request: the connection goes on.
  forbidden: refusal('The permissions of the token do not include it. Ask for a token that has it.'),
  hello_late: refusal('hello has to be the first frame of a connection. Leave it out, or connect again.'),
  reserved_topic: refusal("Topics that begin with $ are the hub's own. Publish under another name."),
  too_many_subscriptions: refusal('The connection holds limits.subscriptions already. Unsubscribe, or use a pattern.'),
  subscription_exists: refusal('This connection uses that "sub" number already. Choose another, or unsubscribe first.'),
  unknown_subscription: refusal('This connection has no subscription with that "sub" number. Subscribe first.'),
  policy_unsupported: refusal('The policy "pause" needs a stream that captures the topics. Choose another policy.'),
  no_stream: refusal('A stream has to capture the topics. Declare one, or subscribe without a start, cursor or pause.'),
  ambiguous_stream: refusal('Several streams capture that pattern. Say which one with "stream".'),
  stream_exists: refusal(
    'A stream of that name has other options. Delete it first, or change it in the configuration.',
  ),
  no_queue: refusal('Declare the queue first, in the configuration or with queues.declare, or correct the name.'),
  too_many_streams: refusal('The hub has maxStreams streams. Delete unused ones, or raise the limit.'),
  too_many_queues: refusal('The hub has maxQueues queues. Delete unused ones, or raise the limit.'),
  too_many_patterns: refusal(
    'All streams together, or all queues, would have more than maxPatterns patterns. Declare fewer, or raise the limit.',
  ),
  queue_exists: refusal('A queue of that name has other options. Delete it first, or change it in the configuration.'),
  no_parked_group: refusal('No group of that key is parked in the queue. queues.show lists those that are.'),
  unknown_consumer: refusal('This connection has no consumer with that "consumer" number. Consume first.'),
  consumer_exists: refusal('This connection uses that "consumer" number already. Choose another, or cancel first.'),
  no_cursor: refusal('There is no such cursor. Name one when subscribing; cursors.list lists the cursors of a stream.'),
  cursor_limit: refusal(
    'The stream has cursorsPerStream cursors, all in use. Delete some with cursors.delete, or raise the limit.',
  ),
  no_connection: refusal(
    'No open connection has that id, and none of the last ones that ended. connections.list lists the open ones.',
  ),
  unknown_method: refusal('The hub has no method of that name. PROTOCOL.md lists them.'),
  bad_content_type: refusal('This path does not take a body of that content type. Send it with the one expected.'),
  bad_params: refusal('The parameters of the call are wrong. PROTOCOL.md says what the method takes.'),
  too_many_calls: passing('The connection has more unanswered calls than limits.calls allows. Wait for their answers.'),
  call_failed: refusal("The hub failed to do the call, or to encode its result. The cause is in the hub's log."),
  queue_limit: passing('The queue has no room for the message. Publish later, add consumers, or raise its limits.'),
  waiting_limit: passing(
    'Publishes that wait for room in queues take up waitingPublishBytes. Publish later, add consumers, or raise the limit.',
  ),
  no_responder: passing('Nobody responds on that topic now. Start a responder, or try again later.'),
  responder_lost: passing('The responder went away before it replied: the request may have been handled or not.'),
  rate_limited: passing('More comes in a second than the named limit allows, and this was not done. Send it later.'),
  storage_full: passing('There is no room on the disk, and nothing was kept. Make room, then try again.'),
  storage_failed: passing("The message could not be stored, and nothing was kept. The cause is in the hub's log."),
  outcome_unknown: passing(
    'Whether this was stored is not known: it may have happened or not. Publish it again with the same id: it is kept once.',
  ),
  // The hub ends a connection that did nothing wrong in its frames: come back later.
  shutting_down: passing('The hub is shutting down. Reconnect: another one, or this one restarted, will answer.', 4000),
  slow_consumer: passing('The outbox is full and a policy says disconnect. Read faster, or subscribe to less.', 4001),
  outbox_total: passing(
    'The hub holds outboxTotalBytes for all connections together. Reconnect later, and send less at once.',
    4003,
  ),
  flooding: passing('The connection kept sending far more than a limit allows. Reconnect, and send less.', 4005),
  disconnected_by_operator: passing('An operator ended this connection. Reconnect, after a wait.', 4004),
  internal: passing("The hub failed while it handled this connection. The cause is in the hub's log.", 4011),
  // Refused before there is a connection, in the HTTP answer to the upgrade.
  hub_full: passing(
    'The hub has maxConnections connections, or their subscriptions take up subscriptionBytes. Try again later, or raise the limit.',
  ),
  address_limit: passing('Too many connections from one address. Try again later, or raise the named limit.'),
  bad_subprotocol: refusal('The hub speaks the subprotocol fanfare.v1. Offer it, or none.'),
  forbidden_origin: refusal(
    'Pages from there may not use the hub. If they shall, name their origin in allowedOrigins.',
  ),
  // Refused over HTTP alone.
  no_route: refusal('Nothing is served at that path. /v1/openapi.json describes what is.'),
  method_not_allowed: refusal('That path does not take this method. The header Allow lists those that it takes.'),
  // Raised by the commands.
  hub_unreachable: passing('No hub answers there. Start one with fanfare serve, or correct --url.'),
  // Raised at start.
  bad_config: refusal('The configuration is wrong.'),
  engine_missing: refusal(
    'The engine uws needs the package uWebSockets.js. Run npm install uWebSockets.js@npm:@btc-vision/uwebsockets.js@20.57.0, or use --engine ws.',
  ),
  data_locked: refusal('Another hub uses this data directory. Stop it, or choose another with --data.'),
  data_foreign: refusal("The directory is not a hub's, or of another version. Choose an empty one with --data."),
  data_damaged: refusal(
    'The data cannot be read, and nothing was changed. Restore a backup, or choose another --data.',
  ),
  data_unusable: refusal('The data directory cannot be used. Check its path, owner, rights and disk.'),
  port_in_use: refusal('The address cannot be listened on. Stop what uses it, or choose another port.'),
} as const
