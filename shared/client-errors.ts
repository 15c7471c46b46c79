/** A row of the error table. */
export interface ErrorEntry {
  /** What was wrong and what to do, if the site that raises it has no more to say. */
  readonly text: string
  /** Whether trying again can help. */
  readonly retry: boolean
  /** The close code, if the error costs the connection. */
  readonly close?: number | undefined
}

export function refusal(text: string, close?: number): ErrorEntry {
  return { text, retry: false, close }
}

export function passing(text: string, close?: number): ErrorEntry {
  return { text, retry: true, close }
}

/**
 * The rows of the error table that a client raises itself, alone or as the hub does. They are part of every page that loads the
 * client; the texts of `HUB_ERRORS` are not, since the hub sends them. Their close codes are in `errors.ts`.
 */
export const CLIENT_ERRORS = {
  // A malformed frame: its sender gets this error, then loses the connection, unless the frame has a number that tells it apart.
  bad_frame: refusal('A field is missing or has a wrong value.'),
  forbidden_key: refusal('The keys __proto__ and constructor.prototype are not allowed. Rename the key.'),
  frame_too_large: refusal('The message exceeds frameBytes. Split it, or raise the limit.'),
  // Wrong in what is asked for.
  bad_topic: refusal('A topic is 1 to 32 words joined by dots, without wildcards, of at most 255 characters.'),
  bad_pattern: refusal('A pattern is a topic in which * matches one word and # any number of words.'),
  nested_too_deeply: refusal('Data may have at most 100 levels. Flatten it, or send it as bytes.'),
  bad_data: refusal('The data cannot be encoded as JSON, or does not match the schema of its topic.'),
  token_in_url: refusal('A token in the URL ends up in logs. Use the token option, or a header.'),
  // The connection, or what was asked for on it, took too long or is gone.
  hello_timeout: passing('Nothing was received in time after connecting.'),
  idle_timeout: passing('Nothing was received for two ping intervals.'),
  lease_lost: refusal('The lease has ended: the delivery was settled, or its ack deadline passed.'),
  request_timeout: passing('No reply arrived in time. The request may or may not have been handled.'),
  // Raised by the client only.
  token_unavailable: passing('getToken returned no token. The client tries again.'),
  responder_failed: refusal('The responder failed to answer.'),
  handler_timeout: refusal('The handler ran longer than its limit, and its delivery was nacked.'),
  client_closed: refusal('The client is closed. Connect again.'),
  connection_lost: passing('The connection was lost. The request may or may not have been handled.'),
  send_buffer_full: passing('The send buffer is full. Await earlier calls, or raise queueLimit or queueLimitBytes.'),
  connect_failed: passing('The hub could not be reached.'),
  bad_option: refusal('An option has a wrong name or value.'),
  bad_url: refusal('The URL of a hub is ws://host or wss://host.'),
  no_websocket: refusal('This platform has no WebSocket. Pass a class: connect(url, { WebSocket }).'),
} as const
