import { CLIENT_RETRIES, CLIENT_TEXTS } from './client-errors.ts'
import type { ErrorEntry } from './error-entry.ts'

/** The rows of the error table that a client raises itself, alone or as the hub does. */
export const CLIENT_ERRORS = {
  // A malformed frame: its sender gets this error, then loses the connection, unless the frame has a number that tells it apart.
  bad_frame: row('bad_frame', 'A field is missing or has a wrong value.', 4400),
  forbidden_key: row('forbidden_key', CLIENT_TEXTS.forbidden_key, 4400),
  frame_too_large: row('frame_too_large', 'The message exceeds frameBytes. Split it, or raise the limit.', 4413),
  // Wrong in what is asked for.
  bad_topic: row('bad_topic', 'A topic is 1 to 32 words joined by dots, without wildcards, of at most 255 characters.'),
  bad_pattern: row('bad_pattern', 'A pattern is a topic in which * matches one word and # any number of words.'),
  nested_too_deeply: row('nested_too_deeply', CLIENT_TEXTS.nested_too_deeply),
  bad_data: row('bad_data', 'The data cannot be encoded as JSON, or does not match the schema of its topic.'),
  token_in_url: row('token_in_url', CLIENT_TEXTS.token_in_url),
  // The connection, or what was asked for on it, took too long or is gone.
  hello_timeout: row('hello_timeout', 'Nothing was received in time after connecting.', 4008),
  idle_timeout: row('idle_timeout', CLIENT_TEXTS.idle_timeout, 4002),
  lease_lost: row('lease_lost', CLIENT_TEXTS.lease_lost),
  request_timeout: row('request_timeout', CLIENT_TEXTS.request_timeout),
  // Raised by the client only.
  token_unavailable: row('token_unavailable', 'getToken returned no token. The client tries again.'),
  responder_failed: row('responder_failed', 'The responder failed to answer.'),
  handler_timeout: row('handler_timeout', CLIENT_TEXTS.handler_timeout),
  client_closed: row('client_closed', CLIENT_TEXTS.client_closed),
  connection_lost: row('connection_lost', CLIENT_TEXTS.connection_lost),
  send_buffer_full: row(
    'send_buffer_full',
    'The send buffer is full. Await earlier calls, or raise queueLimit or queueLimitBytes.',
  ),
  connect_failed: row('connect_failed', 'The hub could not be reached.'),
  bad_option: row('bad_option', 'An option has a wrong name or value.'),
  bad_url: row('bad_url', 'The URL of a hub is ws://host or wss://host.'),
  no_websocket: row('no_websocket', CLIENT_TEXTS.no_websocket),
} as const

function row(code: string, text: string, close?: number): ErrorEntry {
  return { text, retry: CLIENT_RETRIES.includes(code), close }
}
