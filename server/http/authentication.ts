import type { Context, MiddlewareHandler } from 'hono'
import { type ErrorCode, FanfareError } from '../../shared/errors.ts'
import type { Access } from '../auth/access.ts'
import type { Credentials } from '../auth/identity.ts'
import { hasToken } from '../auth/token-in-url.ts'
import { credentialsOf, requireOwnPage, tokenOf } from './credentials.ts'
import type { HttpEnv } from './http-env.ts'
import { loginRefused } from './login.ts'
import { problemResponse } from './problem.ts'

/** Paths that need no authentication: health, and logging in. */
const OPEN = ['/healthz', '/readyz', '/login', '/logout']
const REFUSED: readonly ErrorCode[] = ['unauthenticated', 'token_expired']

/** Requires authentication except for open paths. A browser that opens the dashboard is sent to the login page. */
export function authentication(
  authenticate: (credentials: Credentials) => Promise<Access>,
): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    if (OPEN.includes(c.req.path)) return next()
    try {
      if (hasToken(new URL(c.req.url).search)) throw new FanfareError('token_in_url')
      c.set('access', await authenticate(credentialsOf(c)))
    } catch (error) {
      if (c.req.path === '/' && c.req.header('accept')?.includes('text/html')) return loginRefused(c, error)
      if (!(error instanceof FanfareError && REFUSED.includes(error.code))) throw error
      return problemResponse(error, { 'www-authenticate': 'Bearer realm="fanfare"' })
    }
    return next()
  }
}

/**
 * Returns the token that the browser stores to a page of the hub, so that it can use it in its hello. Pages of other sites cannot
 * read the response, and do not get it either.
 */
export function ownToken(c: Context<HttpEnv>): Response {
  requireOwnPage(c)
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
  }
  const token = tokenOf(c)
  return token === undefined ? new Response(null, { status: 204, headers }) : new Response(token, { headers })
}
