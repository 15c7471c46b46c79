import { Buffer } from 'node:buffer'
import type { Context, MiddlewareHandler } from 'hono'
import { type ErrorCode, FanfareError } from '../../shared/errors.ts'
import type { Access } from '../auth/access.ts'
import type { Credentials } from '../auth/identity.ts'
import { hasToken } from '../auth/token-in-url.ts'
import type { HttpPeer } from '../engine/engine.ts'
import { problemResponse } from './problem.ts'

/** What handlers find in their context: who asks. */
export interface HttpEnv {
  Bindings: { readonly peer: HttpPeer | undefined }
  Variables: { access: Access }
}

/** What may be asked by anybody: whether the hub lives. */
const OPEN = ['/healthz', '/readyz']
const REFUSED: readonly ErrorCode[] = ['unauthenticated', 'token_expired']

/** Lets nobody by who is not known, but for health. */
export function authentication(
  authenticate: (credentials: Credentials) => Promise<Access>,
): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    if (OPEN.includes(c.req.path)) return next()
    if (hasToken(new URL(c.req.url).search)) throw new FanfareError('token_in_url')
    try {
      c.set('access', await authenticate(credentialsOf(c)))
    } catch (error) {
      if (!(error instanceof FanfareError && REFUSED.includes(error.code))) throw error
      return problemResponse(error, { 'www-authenticate': challenge(c) })
    }
    return next()
  }
}

/**
 * The token of a request: `Authorization: Bearer`. A browser that opens a page can send none, but it asks its user for
 * a password: with GET and HEAD that one is the token, whatever the user name. It sends the password by itself from
 * then on, pages of other sites included, and so it is worth nothing for what changes something, nor for a WebSocket.
 */
export function tokenOf(c: Context<HttpEnv>): string | undefined {
  const [scheme = '', value = ''] = (c.req.header('authorization') ?? '').split(' ', 2)
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic' || !['GET', 'HEAD'].includes(c.req.method)) return undefined
  const pair = Buffer.from(value, 'base64').toString()
  return pair.slice(pair.indexOf(':') + 1)
}

function credentialsOf(c: Context<HttpEnv>): Credentials {
  const headers = c.req.header()
  return { token: tokenOf(c), address: c.env.peer?.remoteAddress ?? '', origin: headers['origin'], headers }
}

/** Only who opens a page is asked for a password; programs would else make the browser ask. */
function challenge(c: Context<HttpEnv>): string {
  const bearer = 'Bearer realm="fanfare"'
  return c.req.header('accept')?.includes('text/html')
    ? `Basic realm="fanfare: the password is a token", ${bearer}`
    : bearer
}

/**
 * Hands a page of the hub the token that its browser has asked the user for, so that it can say hello with it. A page of
 * another site cannot read the answer, and is not given it either.
 */
export function ownToken(c: Context<HttpEnv>): Response {
  const site = c.req.header('sec-fetch-site')
  if (site !== undefined && site !== 'same-origin') throw new FanfareError('forbidden', 'Only pages of the hub get it')
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
  }
  const token = tokenOf(c)
  return token === undefined ? new Response(null, { status: 204, headers }) : new Response(token, { headers })
}
