import type { MiddlewareHandler } from 'hono'
import type { HttpEnv } from './http-env.ts'
import { type Problem, problemOf, type Refusal } from './problem.ts'

/** `no-transform` and the header for nginx: proxies must not buffer events. */
export const EVENT_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
}

/** The last event of a response that the hub ends. `EventSource` reconnects by itself, but not immediately: the hub may be restarting. */
export function endEvent(refusal: Refusal): string {
  return lastEvent(problemOf(refusal))
}

function lastEvent(problem: Problem): string {
  return `retry: ${Math.round(4000 + Math.random() * 2000)}\nevent: end\ndata: ${JSON.stringify(problem)}\n\n`
}

/**
 * `EventSource` gives up permanently after a response that is not an event stream. A temporary refusal is therefore an event stream
 * that contains only the reason, for clients that accept one; other clients get the problem document and its status.
 */
export const passingAsEvents: MiddlewareHandler<HttpEnv> = async (c, next) => {
  await next()
  if (c.res.status < 400 || c.req.method !== 'GET' || !c.req.header('accept')?.includes('text/event-stream')) return
  if (c.res.headers.get('content-type') !== 'application/problem+json') return
  const problem = (await c.res.clone().json()) as Problem
  if (problem.retry) c.res = new Response(lastEvent(problem), { headers: EVENT_HEADERS })
}
