import { Buffer } from 'node:buffer'
import type { Context } from 'hono'
import { FanfareError } from '../../shared/errors.ts'
import type { Credentials } from '../auth/identity.ts'
import { isOwn } from '../network/origins.ts'
import type { HttpEnv } from './http-env.ts'
import { tokenInCookie } from './token-cookie.ts'

/** Paths of the dashboard. */
const OF_DASHBOARD = /^\/(icon\.svg|token|login|logout|assets\/.*)?$/

export function credentialsOf(c: Context<HttpEnv>): Credentials {
  const headers = c.req.header()
  return { token: tokenOf(c), address: c.env.peer?.remoteAddress ?? '', origin: headers['origin'], headers }
}

/**
 * The token of a request: `Authorization: Bearer`, or `Basic` with the token as its password. A browser that has been given a
 * password sends it by itself, pages of other sites included, and so it is worth nothing for what changes something. Neither is the
 * cookie of the dashboard: it is taken for the page itself and its files, and for nothing else.
 */
export function tokenOf(c: Context<HttpEnv>): string | undefined {
  const [scheme = '', value = ''] = (c.req.header('authorization') ?? '').split(' ', 2)
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() === 'basic' && ['GET', 'HEAD'].includes(c.req.method)) {
    const pair = Buffer.from(value, 'base64').toString()
    return pair.slice(pair.indexOf(':') + 1)
  }
  return OF_DASHBOARD.test(c.req.path) ? tokenInCookie(c) : undefined
}

/**
 * Whether a request comes from a page of the hub itself, or from no page at all. Those that the hub otherwise allows are others, too.
 * Browsers send both headers over TLS and from this machine, and over plain HTTP of another only `Origin`.
 */
export function isOwnPage({ env, req }: Context<HttpEnv>): boolean {
  const site = req.header('sec-fetch-site') ?? 'none'
  if (site !== 'same-origin' && site !== 'none') return false
  const origin = req.header('origin')
  const { host = req.header('host'), secure = new URL(req.url).protocol === 'https:' } = env.peer ?? {}
  return origin === undefined || isOwn(origin, { host, secure })
}

/** Throws `forbidden`. */
export function requireOwnPage(c: Context<HttpEnv>): void {
  if (!isOwnPage(c)) throw new FanfareError('forbidden', "Only the hub's own pages may request this.")
}
