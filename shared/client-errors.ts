/** A row of the error table. */
export interface ErrorEntry {
  /** What was wrong and what to do. */
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
 * client; the texts of `HUB_ERRORS` are not, since the hub sends them.
 */
export const CLIENT_ERRORS = {
  // A broken frame: its sender gets this error, then loses the connection, unless the frame has a number that tells it apart.
  bad_frame: refusal('The frame breaks the rules of PROTOCOL.md for its type.', 4400),
  forbidden_key: refusal('The keys "__proto__" and "constructor" with "prototype" are refused. Rename them.', 4400),
  frame_too_large: refusal('The frame exceeds limits.frameBytes. Send less at once, or raise the limit.', 4413),
  // Wrong in what is asked for.
  bad_topic: refusal('A topic is 1 to 32 words joined by dots, 255 characters at most.'),
  bad_pattern: refusal('A pattern is a topic in which * is one word and # any number of words.'),
  nested_too_deeply: refusal('Data has 100 levels at most. Send it flatter, or as bytes.'),
  bad_data: refusal("JSON cannot express the data, or it breaks the hub's contract."),
  token_in_url: refusal('URLs end up in logs. Send the token as PROTOCOL.md says.'),
  // The connection, or what was asked for on it, took too long or is gone.
  hello_timeout: passing('Nothing was received in time after connecting.', 4008),
  idle_timeout: passing('Nothing was received for two ping intervals. Reconnect.', 4002),
  lease_lost: refusal('The lease has ended: the delivery was settled, or its time ran out.'),
  request_timeout: passing('No reply came in time. The request may have been handled or not.'),
  // Raised by the client only.
  token_unavailable: passing('getToken gave no token. The client tries again.'),
  responder_failed: refusal('The responder could not answer.'),
  handler_timeout: refusal('The handler ran longer than maxRunTimeMs, and its delivery was nacked.'),
  client_closed: refusal('The client was closed. Connect again with connect().'),
  connection_lost: passing('The connection was lost. The request may have been handled or not.'),
  queue_full: passing('Too much waits to be sent. Await it, or raise queueLimit or queueLimitBytes.'),
  bad_option: refusal('An option has a wrong name or value.'),
  bad_url: refusal('The address of a hub is like wss://hub.example.com.'),
  no_websocket: refusal('There is no WebSocket here. Pass one: connect(url, { WebSocket }).'),
} as const
