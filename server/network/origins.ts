import { isLoopbackName } from '../auth/loopback.ts'
import type { RequestClient } from './proxies.ts'

/** Any site. */
const ANY = '*'
/** The origin that browsers send for pages opened from disk, but also for sandboxed frames of any site. */
const NO_SITE = 'null'

/** Whether an origin is valid in the list: `https://app.example.com`, `null` or `*`. */
export function isAllowable(origin: string): boolean {
  if (origin === ANY || origin === NO_SITE) return true
  if (origin.includes('*')) return false
  const url = urlOf(origin)
  // Extensions and apps have their own schemes, whose origin URL does not compute.
  if (url && !['http:', 'https:'].includes(url.protocol)) return /^[a-z][a-z0-9+.-]*:\/\/[^/?#]+$/.test(origin)
  return url?.origin === origin
}

/**
 * Decides which sites' pages may use the hub. A browser lets any page open a WebSocket to anywhere, sends its user's cookies, and
 * reaches servers on its own machine, so the hub itself has to check the origin.
 */
export class Origins {
  private readonly listed: ReadonlySet<string>
  private readonly local: () => boolean

  /** `local`: whether the hub listens only on this machine. */
  constructor(allowed: readonly string[], local: () => boolean) {
    this.listed = new Set(allowed)
    this.local = local
  }

  /** Whether any site may use the hub. */
  get any(): boolean {
    return this.listed.has(ANY)
  }

  /** Whether pages of an origin may use the hub under the name that `client` requested. */
  allows(origin: string, client: Pick<RequestClient, 'host' | 'secure'>): boolean {
    if (this.any || this.listed.has(origin)) return true
    const page = urlOf(origin)
    if (!page || !['http:', 'https:'].includes(page.protocol)) return false
    if (isOwn(origin, client)) return true
    const own = client.host === undefined ? undefined : urlOf(`http://${client.host}`)
    // Pages that developers serve on their own machine, on any port. The requested host name counts as well, because the hub may be
    // behind a proxy.
    return this.local() && isLoopbackName(page.hostname) && own !== undefined && isLoopbackName(own.hostname)
  }
}

/** Whether a page is the hub's own, by the host that `client` requested. */
export function isOwn(origin: string, { host, secure }: Pick<RequestClient, 'host' | 'secure'>): boolean {
  const page = urlOf(origin)
  if (!page || !['http:', 'https:'].includes(page.protocol) || host === undefined) return false
  // A page loaded without TLS may have been changed in transit.
  if (page.protocol === 'http:' && secure) return false
  // With the page's scheme, so that its default port equals no port.
  return urlOf(`${page.protocol}//${host}`)?.host === page.host
}

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}
