import type { ErrorCode } from '../../shared/errors.ts'

/** What causes each error, and how it is fixed: for docs/reference/error-codes.md. The message itself is in the table of `shared`. */
export const ERROR_GUIDE: Record<ErrorCode, readonly [cause: string, fix: string]> = {
  bad_frame: [
    'A field of a publish, request or frame is missing, unknown or has a wrong value. The message names it, what is expected and what was got.',
    'Correct the field. Frames that cannot be identified by a number close the connection.',
  ],
  forbidden_key: [
    'JSON data has a key `__proto__`, or `prototype` inside `constructor`, which could change the prototype of objects in readers.',
    'Rename the key, or send the data as bytes.',
  ],
  frame_too_large: [
    'A message exceeds `frameBytes` (256 KiB by default).',
    'Send less at once, send a reference to the data instead, or raise `frameBytes` together with `outboxBytes`.',
  ],
  bad_topic: [
    'The name is empty, too long, has more than 32 words, wildcards, spaces or other characters that topics do not have.',
    'Use letters, digits and `_ : @ / + = ~ -` in words joined by dots. `topicWord()` turns any text into one word.',
  ],
  bad_pattern: [
    'The pattern is not a topic with `*` and `#` as whole words.',
    'Write `orders.*` or `orders.#`; a wildcard cannot be part of a word.',
  ],
  nested_too_deeply: ['Data has more than 100 levels of arrays and objects.', 'Flatten the data, or send it as bytes.'],
  bad_data: [
    'The data has a value that JSON cannot express, such as a function or a `Map`, or it does not match the schema that the hub has for its topic or queue. The message says where.',
    'Convert the value first, or correct it according to the schema.',
  ],
  token_in_url: [
    'The URL has a `token` or `access_token` parameter. URLs end up in the logs of proxies and browsers.',
    'Use the `token` or `getToken` option of the client, or the `Authorization: Bearer` header.',
  ],
  hello_timeout: [
    'A connection sent no frame within `helloTimeout`, or the hub sent no welcome to the client in time.',
    'Send the first frame right after connecting. If it happens to clients, look for a proxy that buffers WebSockets, and at the load of the hub.',
  ],
  idle_timeout: [
    'Neither data nor an answer to pings arrived for two ping intervals: the peer hangs, sleeps or has lost its network.',
    'Nothing: the client reconnects. If it happens often, look for a main thread that is blocked for long.',
  ],
  lease_lost: [
    'The delivery was settled already, its ack deadline passed, or its connection was lost. Another consumer may have it.',
    'Do not ack twice. Make handlers idempotent, and raise `ackDeadline` or call `extend()` if they need longer.',
  ],
  request_timeout: [
    'No reply arrived within the timeout of the request.',
    'Raise the timeout, add responders, or repeat the request if handling it twice does no harm.',
  ],
  token_unavailable: [
    '`getToken` threw an error, took too long or did not return a string.',
    'Correct `getToken`. The client calls it again before each try.',
  ],
  responder_failed: [
    'The handler of the responder threw an error. Its message is the message of this error.',
    'Correct the request or the responder.',
  ],
  handler_timeout: [
    'A handler of a queue ran longer than its maximum run time; its delivery was nacked and is tried again.',
    'Make the handler faster or let it observe its `signal`, or raise the maximum.',
  ],
  client_closed: [
    'A method was called after `close()`, or after the hub ended the client for good.',
    'Call `connect()` again.',
  ],
  connect_failed: [
    'No connection to the hub could be opened. The message has the reason of the platform; browsers do not tell pages.',
    'Check the URL, that the hub runs, and its log for refused upgrades. The client keeps trying.',
  ],
  connection_lost: [
    'The connection ended before the answer arrived. What was sent may or may not have been handled.',
    'Repeat it. Publishes with an `id` are stored once, so the client repeats them by itself.',
  ],
  send_buffer_full: [
    'More calls wait to be sent than `queueLimit` or `queueLimitBytes` allow, because the hub is slow or away.',
    'Await each `publish()`, which slows the sender to the speed of the hub, or raise the limits.',
  ],
  bad_option: [
    'An option or argument of a method has an unknown name or a wrong value. The message names it.',
    'Correct the option.',
  ],
  bad_url: [
    'The URL is not that of a hub, or the platform refuses it, such as `ws://` from a page that was loaded over HTTPS.',
    'Use `ws://host` or `wss://host`; on pages loaded over HTTPS always `wss://`.',
  ],
  no_websocket: ['The platform has no global `WebSocket`.', 'Pass a class: `connect(url, { WebSocket })`.'],
  not_json: [
    'A text frame or an HTTP body is not valid JSON.',
    'Serialize it with `JSON.stringify` or its like. Check that nothing in between has changed or consumed the body.',
  ],
  bad_utf8: [
    'A text frame or an HTTP body is not valid UTF-8.',
    'Encode text as UTF-8, and send other bytes as binary data.',
  ],
  bad_binary: [
    'A binary WebSocket message is not made of whole records.',
    'Write both lengths, the JSON header and the payload, see [PROTOCOL.md](../../PROTOCOL.md).',
  ],
  unknown_frame: [
    'The frame has a type that clients do not send, or that this version of the hub does not know.',
    'Correct its `type`.',
  ],
  window_exceeded: [
    'A client sent more publishes and requests without waiting for answers than the `window` of the welcome allows.',
    'Count unanswered ones and wait. The client library does.',
  ],
  unauthenticated: [
    'No token was sent to a hub that requires one, or the token is wrong: its signature, issuer, audience or an unknown API key. The message says which.',
    'Send a valid token. After `server.listen()` on all interfaces the hub requires authentication: configure `auth`.',
  ],
  token_expired: [
    'The token has expired, at connect or while the connection was open.',
    'Pass `getToken` instead of `token`: the client then renews tokens in time.',
  ],
  auth_unavailable: [
    'The hub could not check the credentials: `authenticate` failed, or the server of keys did not answer.',
    "Look at the hub's log. Clients try again by themselves.",
  ],
  auth_backlog: ['A client sent much before its authentication finished.', 'Wait for the welcome before sending more.'],
  forbidden: [
    'The permissions of the client do not include what it asked for. The message names the verb and the target.',
    'Add the permission to the token or to its role.',
  ],
  hello_late: ['`hello` was sent after another frame.', 'Send it first, or not at all.'],
  reserved_topic: [
    'A client published to a topic that begins with `$`.',
    'Choose another name. `$queue.<name>` is for enqueueing only.',
  ],
  too_many_subscriptions: [
    'The connection has as many subscriptions, consumers or responders as `subscriptions` allows.',
    'Subscribe to a pattern instead of many topics, unsubscribe what is unused, or raise the limit.',
  ],
  subscription_exists: [
    'A raw client used the same `sub` number twice.',
    'Choose another number, or unsubscribe first.',
  ],
  unknown_subscription: ['A frame names a `sub` number that the connection does not have.', 'Subscribe first.'],
  policy_unsupported: [
    '`pause` was requested for topics that no stream captures.',
    'Declare a stream, or choose another policy.',
  ],
  no_stream: [
    'There is no stream of this name, it was deleted, or no stream captures all topics of the pattern.',
    'Declare the stream, or correct the name or pattern.',
  ],
  ambiguous_stream: [
    'Several streams capture the pattern, so the hub cannot know which one to read.',
    'Set the `stream` option.',
  ],
  stream_exists: [
    'A stream of this name was declared with other options. The message names the first that differs.',
    'Use the same options. To change a stream, use `streams.update`, or change it in the configuration.',
  ],
  no_queue: [
    'There is no queue of this name, or it was deleted.',
    'Declare it in the configuration or with `queues.declare`, or correct the name.',
  ],
  too_many_streams: ['The hub has `maxStreams` streams.', 'Delete unused streams, or raise the limit.'],
  too_many_queues: ['The hub has `maxQueues` queues.', 'Delete unused queues, or raise the limit.'],
  too_many_patterns: [
    'All streams or all queues together would have more than `maxPatterns` patterns.',
    'Use fewer, wider patterns, or raise the limit.',
  ],
  too_many_places: [
    'In a cluster, more than 1,000 streams and queues match the topic of the publish; or of all publishes of an ack together.',
    'Let fewer streams and queues match the topic, or use one queue or stream with many consumers or readers.',
  ],
  queue_exists: [
    'A queue of this name was declared with other options. The message names the first that differs, with both values.',
    'Use the same options. To change a queue, use `queues.update`, or change it in the configuration.',
  ],
  no_parked_group: [
    'No group of this key is parked in the queue.',
    'Check the key; `queues.show` lists the parked groups.',
  ],
  unknown_consumer: ['A frame names a consumer number that the connection does not have.', 'Consume first.'],
  consumer_exists: ['A raw client used the same consumer number twice.', 'Choose another number, or cancel first.'],
  no_cursor: [
    'The stream has no cursor of this name, or the subscription was started without one.',
    'Pass `cursor` when you subscribe; `cursors.list` lists the cursors of a stream.',
  ],
  cursor_limit: [
    'The stream has `cursorsPerStream` cursors and none of them is idle, or the client has its maximum in a stream that it sees in part.',
    'Delete unused cursors, or raise the limit.',
  ],
  no_connection: ['The connection has ended, or never existed.', 'List the open ones with `connections.list`.'],
  unknown_method: ['The call names a method that this hub does not have.', 'Correct the name, or update the hub.'],
  bad_content_type: [
    'An HTTP body has the content type of a form, or none, where JSON is expected.',
    'Send `content-type: application/json`, or `application/octet-stream` for bytes.',
  ],
  bad_params: [
    'Parameters of a call, a query or a JSON body are missing, unknown or wrong. The message names the first of them.',
    'Correct them; `/v1/openapi.json` of a running hub lists all.',
  ],
  too_many_calls: ['The connection has `calls` unanswered administration calls.', 'Wait for answers.'],
  call_failed: ['The hub failed while it ran an administration call.', "Look at the hub's log, and report the bug."],
  queue_limit: [
    'The queue has reached `maxMessages` or `maxBytes`, and its `overflow` is `reject`.',
    'Add consumers, publish more slowly, raise the limits, or choose another `overflow`.',
  ],
  waiting_limit: [
    'Publishes that wait for queues with `overflow: block` take up `waitingPublishBytes`.',
    'Add consumers, publish more slowly, or raise the limit.',
  ],
  no_responder: [
    'No connected responder takes requests on this topic.',
    'Start a responder, check its pattern, or try again later.',
  ],
  responder_lost: [
    'The responder disconnected before it replied.',
    'Repeat the request if handling it twice does no harm.',
  ],
  rate_limited: [
    'The client exceeded a rate limit, which the message names. Nothing was processed.',
    'Send less per second, or raise the limit.',
  ],
  storage_full: [
    'The disk of the data directory is full, or Redis has reached its `maxmemory`.',
    'Free some space, or give Redis more memory. Consuming, purging and deleting still work.',
  ],
  storage_failed: [
    'Writing to the data directory failed. The message has the reason of the platform.',
    "Look at the hub's log and at the disk; restart the hub if the message says so.",
  ],
  outcome_unknown: [
    'A write failed in such a way that the message may have been stored.',
    'Publish again with the same `id`: it is stored once. Restart the hub.',
  ],
  shutting_down: ['The hub is stopping or restarting.', 'Nothing: the client reconnects.'],
  slow_consumer: [
    'The outbox of the connection is full and the policy of a subscription is `disconnect`.',
    'Handle messages faster, subscribe to less, or choose another policy.',
  ],
  outbox_total: [
    'The outboxes of all connections together exceed `outboxTotalBytes`, and this one held most.',
    'Read faster, or raise the limit if the machine has the memory.',
  ],
  flooding: ['The connection kept exceeding a rate limit for about ten seconds.', 'Send less, or raise the limit.'],
  disconnected_by_operator: ['An operator ended the connection.', 'Nothing: the client reconnects after a wait.'],
  internal: ['The hub has a bug.', "Look at the hub's log, and report it."],
  hub_full: [
    'The hub has `maxConnections` connections, or their subscriptions take up `subscriptionBytes`.',
    'Raise the limit if the machine has the capacity. Clients try again by themselves.',
  ],
  address_limit: [
    'One address has too many connections, or opens too many per second.',
    'Raise `connectionsPerAddress` or `connectsPerSecondPerAddress`, or set `trustedProxies` if a proxy brings all clients.',
  ],
  bad_subprotocol: ['A WebSocket client offers subprotocols, but not `fanfare.v1`.', 'Offer `fanfare.v1`, or none.'],
  forbidden_origin: [
    'A page of another site connects to the hub.',
    'Add its origin to `allowedOrigins` (`--allowed-origins`). Pages opened from files have the origin `null`.',
  ],
  no_route: [
    'Nothing is served at the path, or a WebSocket endpoint was requested without an upgrade.',
    'Correct the path; `/v1/openapi.json` describes the API.',
  ],
  method_not_allowed: ['The path exists, but not for this HTTP method.', 'Use a method that the `Allow` header lists.'],
  hub_unreachable: [
    'A command could not connect to the hub. The message has the reason.',
    'Start one with `fanfare serve`, or correct `--url`.',
  ],
  bad_config: [
    'An option of the hub or a command has an unknown name or a wrong value. The message names each, with its source.',
    'Correct the option in the flag, variable or file that the message names.',
  ],
  engine_missing: [
    'The engine `uws` was requested, but uWebSockets.js is not installed or has no binary for this machine.',
    'Install it, or use the engine `ws`.',
  ],
  data_locked: ['Another running hub uses the data directory.', 'Stop the other hub, or choose another directory.'],
  data_foreign: [
    'The directory is not empty and not a data directory, or it has data of another version.',
    'Choose an empty directory, or the version of the hub that wrote it.',
  ],
  data_damaged: [
    'The database or its marker cannot be read; or, in a cluster, a block of a stream, or the state of a stream or queue in Redis.',
    'Restore a backup. The hub changes nothing in a damaged directory. In a cluster, do what the message says.',
  ],
  data_unusable: [
    'The hub cannot create, open or lock files in the data directory. The message has the reason of the platform.',
    'Check path, owner, permissions and free space. Use a local disk or a volume, not a shared folder.',
  ],
  cluster_unreachable: [
    'A hub of a cluster starts, and Redis does not answer at the address of `cluster`.',
    'Check the address, the network and the certificate, and that Redis runs. Start the hub again.',
  ],
  cluster_live_only: [
    'A stream or queue was declared in a cluster whose Redis can lose what it has acknowledged. The message says why.',
    'Set `appendonly yes` and `appendfsync always` in Redis, or accept the loss with `clusterDurability: relaxed`.',
  ],
  port_in_use: [
    'Another program listens on the address, or the hub may not use it.',
    'Stop the other program, or choose another port. Hubs of a cluster share a port if all of them have `reusePort`.',
  ],
}
