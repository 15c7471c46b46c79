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
 * The token of a request: `Authorization: Bearer`, or `Basic` with the token as its password. A browser that was given a password
 * sends it automatically, even for pages of other sites, so it is not accepted for requests that change something. Neither is the
 * dashboard's cookie: it is accepted for the page itself and its files only.
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
 * Whether a request comes from a page of the hub itself, or from no page at all. Pages of other origins that may use the hub do not
 * count. Browsers send both headers over TLS and from this machine, but only `Origin` over plain HTTP from another machine.
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
