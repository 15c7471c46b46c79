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
 * client; the texts of `HUB_ERRORS` are not, since the hub sends them. Their close codes are in `errors.ts`.
 */
export const CLIENT_ERRORS = {
  // A broken frame: its sender gets this error, then loses the connection, unless the frame has a number that tells it apart.
  bad_frame: refusal('The frame breaks the rules of its type.'),
  forbidden_key: refusal('The key __proto__ is refused, and constructor with prototype. Rename it.'),
  frame_too_large: refusal('The frame exceeds limits.frameBytes. Split it, or raise the limit.'),
  // Wrong in what is asked for.
  bad_topic: refusal('A topic is 1 to 32 words joined by dots, without wildcards, 255 characters at most.'),
  bad_pattern: refusal('A pattern is a topic in which * is one word and # any number of words.'),
  nested_too_deeply: refusal('Data has 100 levels at most. Send it as bytes.'),
  bad_data: refusal("JSON cannot express the data, or it breaks the hub's contract."),
  token_in_url: refusal('URLs end up in logs. Use the option token, or a header.'),
  // The connection, or what was asked for on it, took too long or is gone.
  hello_timeout: passing('Nothing was received in time after connecting.'),
  idle_timeout: passing('Nothing was received for two ping intervals.'),
  lease_lost: refusal('The lease has ended: the delivery was settled, or its time ran out.'),
  request_timeout: passing('No reply came in time. The request may have been handled or not.'),
  // Raised by the client only.
  token_unavailable: passing('getToken gave no token. The client tries again.'),
  responder_failed: refusal('The responder could not answer.'),
  handler_timeout: refusal('The handler ran longer than maxRunTime, and its delivery was nacked.'),
  client_closed: refusal('The client was closed. Connect again.'),
  connect_failed: passing('The hub could not be reached.'),
  connection_lost: passing('The connection was lost. The request may have been handled or not.'),
  send_buffer_full: passing('Too much waits to be sent. Await it, or raise queueLimit or queueLimitBytes.'),
  bad_option: refusal('An option has a wrong name or value.'),
  bad_url: refusal('The address of a hub is ws://host or wss://host.'),
  no_websocket: refusal('Pass a WebSocket class: connect(url, { WebSocket }).'),
} as const
