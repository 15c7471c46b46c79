import { type ErrorCode, FanfareError } from '../../shared/errors.ts'
import { isLoopbackName } from '../auth/loopback.ts'
import type { EngineApp, HttpPeer } from '../engine/engine.ts'
import type { Origins } from '../network/origins.ts'
import type { Proxies, RequestClient } from '../network/proxies.ts'
import { foreignForm } from './login-page.ts'
import { problemResponse } from './problem.ts'

type Fetch = EngineApp['fetch']

export interface CrossSiteContext {
  readonly origins: Origins
  readonly proxies: Proxies
  /** Called for each refusal. */
  refused(code: ErrorCode, origin: string | undefined): void
  /** Whether the hub itself uses TLS. */
  readonly tls: boolean
}

/** Open to any page and any load balancer: nothing in them is confidential. */
const PUBLIC = ['/fanfare.js', '/healthz', '/readyz']
/** Methods that change nothing. */
const SAFE = ['GET', 'HEAD', 'OPTIONS']
const A_DAY = '86400'

/** Headers of every response. A page sets its own policy; all other responses are not pages. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

/** Keeps pages of other sites away from `fetch`, except for allowed origins (CORS). */
export function guarded(fetch: Fetch, context: CrossSiteContext): Fetch {
  return async (request, peer) => {
    const client = clientOf(request, peer, context.proxies)
    const origin = request.headers.get('origin')
    const { pathname } = new URL(request.url)
    const open = PUBLIC.includes(pathname)
    const refused = open ? undefined : refusal(request, client, context.origins)
    const preflight = request.method === 'OPTIONS' && request.headers.has('access-control-request-method')
    let answer: Response
    if (refused) {
      context.refused(refused.code, origin ?? undefined)
      answer = pathname === '/login' ? foreignForm() : problemResponse(refused)
    } else if (preflight) answer = new Response(null, { status: 204 })
    else {
      answer = await fetch(
        request,
        // From here on it is the client's address, seen past the proxies.
        peer && {
          remoteAddress: client.address,
          secure: client.secure,
          host: client.host,
          destroy: () => peer.destroy(),
        },
      )
    }
    const { headers } = answer
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) if (!headers.has(name)) headers.set(name, value)
    if (open) headers.set('cross-origin-resource-policy', 'cross-origin')
    if (context.tls && !isThisMachine(client)) headers.set('strict-transport-security', 'max-age=31536000')
    if (origin !== null && !open) {
      headers.append('vary', 'Origin')
      if (!refused) allow(headers, origin, preflight ? request : undefined)
    }
    return answer
  }
}

function clientOf({ headers, url }: Request, peer: HttpPeer | undefined, proxies: Proxies): RequestClient {
  const secure = peer?.secure ?? new URL(url).protocol === 'https:'
  return proxies.clientOf(peer?.remoteAddress ?? '', (name) => headers.get(name) ?? undefined, secure)
}

function allow(headers: Headers, origin: string, preflight: Request | undefined): void {
  headers.set('access-control-allow-origin', origin)
  if (!preflight) return
  headers.set('access-control-allow-methods', 'GET, HEAD, POST, PUT, PATCH, DELETE')
  const asked = preflight.headers.get('access-control-request-headers')
  if (asked !== null) headers.set('access-control-allow-headers', asked)
  headers.set('access-control-max-age', A_DAY)
}

/** The reason why a request from this origin is refused. */
function refusal(request: Request, client: RequestClient, origins: Origins): FanfareError | undefined {
  const origin = request.headers.get('origin')
  if (origin !== null)
    return origins.allows(origin, client)
      ? undefined
      : forbidden(`Origin ${origin.slice(0, 200)} is not allowed. Add it to allowedOrigins.`)
  if (origins.any) return undefined
  const site = request.headers.get('sec-fetch-site')
  if (site === 'cross-site' || site === 'same-site') {
    // A link is followed by a person, who sees where it leads; the page with the link gets nothing of the response.
    const followed = request.headers.get('sec-fetch-mode') === 'navigate' && SAFE.includes(request.method)
    return followed ? undefined : forbidden('Pages of other sites are not allowed. Add their origin to allowedOrigins.')
  }
  return undefined
}

/** All servers of this machine share its name, and a browser would require TLS on all of their ports. */
function isThisMachine({ host = '' }: RequestClient): boolean {
  return URL.canParse(`https://${host}`) && isLoopbackName(new URL(`https://${host}`).hostname)
}

function forbidden(message: string): FanfareError {
  return new FanfareError('forbidden_origin', message)
}
