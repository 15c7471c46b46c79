import type { Context } from 'hono'
import type { HttpEnv } from './http-env.ts'

/** Maximum token that is stored, in characters of the cookie: browsers accept 4,096 bytes of name and value. */
export const MAX_KEPT = 4000
/** Browsers store no cookie for longer, in seconds. */
const MOST_SECONDS = 400 * 86_400

/**
 * The cookie in which a browser stores the token of the dashboard. Scripts cannot read it, and pages of other sites do not cause it
 * to be sent. It has no path, so that the browser uses that of the address as it sees it, which may be below a path prefix of a
 * proxy. Its name includes the port, because cookies are not separated by port.
 */
export function tokenInCookie(c: Context<HttpEnv>): string | undefined {
  const prefix = `${nameOf(c)}=`
  const pair = (c.req.header('cookie') ?? '').split(/; */).find((each) => each.startsWith(prefix))
  try {
    return pair && decodeURIComponent(pair.slice(prefix.length))
  } catch {
    return undefined
  }
}

/** The header that makes a browser store a token until it expires; without an expiry, until the browser is closed. */
export function keepToken(c: Context<HttpEnv>, token: string, expiresAt: number | undefined): string {
  const seconds = expiresAt === undefined ? undefined : Math.ceil((expiresAt - Date.now()) / 1000)
  const age = seconds === undefined ? '' : `; Max-Age=${Math.min(MOST_SECONDS, Math.max(1, seconds))}`
  return `${nameOf(c)}=${encodeURIComponent(token)}${age}${attributesOf(c)}`
}

export function forgetToken(c: Context<HttpEnv>): string {
  return `${nameOf(c)}=; Max-Age=0${attributesOf(c)}`
}

function attributesOf({ env, req }: Context<HttpEnv>): string {
  const secure = env.peer?.secure ?? new URL(req.url).protocol === 'https:'
  return `; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`
}

function nameOf(c: Context<HttpEnv>): string {
  return `fanfare_${new URL(c.req.url).port || 'token'}`
}
