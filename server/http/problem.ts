import { type ErrorCode, FanfareError } from '../../shared/errors.ts'

/** The status of a refusal; 500 where none is given. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  bad_params: 400,
  bad_frame: 400,
  bad_topic: 400,
  bad_data: 422,
  bad_pattern: 400,
  not_json: 400,
  token_in_url: 400,
  unauthenticated: 401,
  token_expired: 401,
  forbidden: 403,
  no_stream: 404,
  no_queue: 404,
  no_parked_group: 404,
  no_connection: 404,
  unknown_method: 404,
  stream_exists: 409,
  queue_exists: 409,
  queue_limit: 429,
  storage_full: 507,
  shutting_down: 503,
  auth_unavailable: 503,
}

/** An error as RFC 9457 has it, with the code of the one table. */
export function problem(error: unknown): Response {
  const known = error instanceof FanfareError ? error : new FanfareError('internal')
  const { code, message, retry } = known
  const status = STATUS[code] ?? 500
  const body = { type: 'about:blank', title: code, status, detail: message, code, retry }
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/problem+json' } })
}
