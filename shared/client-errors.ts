/**
 * Texts of the errors that a client raises with nothing more to say. Every page that loads the client loads them, and no other text of
 * the error table.
 */
export const CLIENT_TEXTS = {
  forbidden_key: 'The keys __proto__ and constructor.prototype are not allowed. Rename the key.',
  nested_too_deeply: 'Data may have at most 100 levels. Flatten it, or send it as bytes.',
  token_in_url: 'A token in the URL ends up in logs. Use the token option, or a header.',
  idle_timeout: 'Nothing was received for two ping intervals.',
  lease_lost: 'The lease has ended: the delivery was settled, or its ack deadline passed.',
  request_timeout: 'No reply arrived in time. The request may or may not have been handled.',
  handler_timeout: 'The handler ran longer than its limit, and its delivery was nacked.',
  client_closed: 'The client is closed. Connect again.',
  connection_lost: 'The connection was lost. The request may or may not have been handled.',
  no_websocket: 'This platform has no WebSocket. Pass a class: connect(url, { WebSocket }).',
} as const

/** Errors of a client after which trying again can help. */
export const CLIENT_RETRIES: readonly string[] = [
  'hello_timeout',
  'idle_timeout',
  'request_timeout',
  'token_unavailable',
  'connection_lost',
  'send_buffer_full',
  'connect_failed',
]
