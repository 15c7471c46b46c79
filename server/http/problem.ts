import { STATUS_CODES } from 'node:http'
import { ERRORS, type ErrorCode, errorEntry, FanfareError } from '../../shared/errors.ts'

/** Codes that never occur over HTTP: raised by clients and commands, and at start. */
type Elsewhere =
  | 'responder_failed'
  | 'handler_timeout'
  | 'client_closed'
  | 'send_buffer_full'
  | 'token_unavailable'
  | 'no_websocket'
  | 'bad_option'
  | 'bad_url'
  | 'hub_unreachable'
  | 'connect_failed'
  | 'bad_config'
  | 'engine_missing'
  | 'data_locked'
  | 'data_foreign'
  | 'data_unusable'
  | 'port_in_use'
  | 'cluster_unreachable'

/** The status of every refusal that can occur over HTTP. */
const STATUS: Record<Exclude<ErrorCode, Elsewhere>, number> = {
  not_json: 400,
  bad_utf8: 400,
  cluster_live_only: 409,
  bad_frame: 400,
  bad_binary: 400,
  forbidden_key: 400,
  unknown_frame: 400,
  hello_late: 400,
  bad_topic: 400,
  nested_too_deeply: 400,
  too_many_calls: 429,
  call_failed: 500,
  bad_data: 422,
  bad_pattern: 400,
  bad_params: 400,
  bad_subprotocol: 400,
  policy_unsupported: 400,
  ambiguous_stream: 400,
  no_cursor: 404,
  cursor_limit: 409,
  token_in_url: 400,
  unauthenticated: 401,
  token_expired: 401,
  reserved_topic: 403,
  forbidden: 403,
  forbidden_origin: 403,
  no_stream: 404,
  no_queue: 404,
  no_parked_group: 404,
  no_responder: 404,
  no_connection: 404,
  unknown_method: 404,
  unknown_subscription: 404,
  unknown_consumer: 404,
  no_route: 404,
  method_not_allowed: 405,
  hello_timeout: 408,
  idle_timeout: 408,
  stream_exists: 409,
  queue_exists: 409,
  subscription_exists: 409,
  consumer_exists: 409,
  lease_lost: 409,
  frame_too_large: 413,
  bad_content_type: 415,
  too_many_streams: 429,
  too_many_queues: 429,
  too_many_patterns: 429,
  too_many_places: 422,
  queue_limit: 429,
  waiting_limit: 429,
  window_exceeded: 429,
  auth_backlog: 429,
  slow_consumer: 429,
  too_many_subscriptions: 429,
  internal: 500,
  storage_failed: 500,
  outcome_unknown: 503,
  data_damaged: 500,
  responder_lost: 502,
  outbox_total: 503,
  disconnected_by_operator: 503,
  shutting_down: 503,
  connection_lost: 503,
  request_timeout: 504,
  storage_full: 507,
  auth_unavailable: 503,
  rate_limited: 429,
  flooding: 429,
  hub_full: 503,
  address_limit: 429,
}

/** Refusals with one of these may be retried after a while. */
const LATER = [429, 503]

export function statusOf(code: string): number {
  return definedStatus(code) ?? 500
}

/** The status of a code; undefined for those of clients, commands and the start. */
export function definedStatus(code: string): number | undefined {
  return Object.hasOwn(STATUS, code) ? (STATUS as Record<string, number>)[code] : undefined
}

/** What is known about a refusal: an error of the table, or the frame that reported it. */
export interface Refusal {
  readonly code: string
  readonly message: string
  readonly retry: boolean
}

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  readonly retry: boolean
}

/** A refusal as a problem document (RFC 9457), with code and retry from the error table. */
export function problemOf({ code, message, retry }: Refusal): Problem {
  const status = statusOf(code)
  // When very many are refused, a refusal has no message.
  const detail = message === '' && Object.hasOwn(ERRORS, code) ? errorEntry(code as ErrorCode).text : message
  // For `about:blank` the title is the status as text; the code says more.
  return { type: 'about:blank', title: STATUS_CODES[status] as string, status, detail, code, retry }
}

export function problemResponse(refusal: Refusal, headers: Record<string, string> = {}): Response {
  const problem = problemOf(refusal)
  return new Response(JSON.stringify(problem), {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json',
      ...(LATER.includes(problem.status) && { 'retry-after': '1' }),
      ...headers,
    },
  })
}

/** The thrown error, if it is one of the table; anything else is the hub's own failure. */
export function refusalOf(thrown: unknown): Refusal {
  return thrown instanceof FanfareError ? thrown : new FanfareError('internal')
}
