import { isLoopbackName } from '../auth/loopback.ts'
import type { RequestClient } from './proxies.ts'

/** Any site: to be said openly. */
const ANY = '*'
/** What browsers say of a page from the disk, but also of any site's sandboxed frame. */
const NO_SITE = 'null'

/** Whether it can stand in the list: `https://app.example.com`, `null` or `*`. */
export function isAllowable(origin: string): boolean {
  if (origin === ANY || origin === NO_SITE) return true
  if (origin.includes('*')) return false
  const url = urlOf(origin)
  // Extensions and apps have schemes of their own, of which URL knows no origin.
  if (url && !['http:', 'https:'].includes(url.protocol)) return /^[a-z][a-z0-9+.-]*:\/\/[^/?#]+$/.test(origin)
  return url?.origin === origin
}

/**
 * Pages of which sites may use the hub. A browser lets any page open a WebSocket to anywhere and sends its user's cookies, and
 * reaches what listens on its own machine: the hub itself has to look where the page is from.
 */
export class Origins {
  private readonly listed: ReadonlySet<string>
  private readonly local: () => boolean

  /** `local`: the hub listens on this machine alone. */
  constructor(allowed: readonly string[], local: () => boolean) {
    this.listed = new Set(allowed)
    this.local = local
  }

  /** Any site may. */
  get any(): boolean {
    return this.listed.has(ANY)
  }

  /** Whether pages of a site may use the hub as `client` has asked for it. */
  allows(origin: string, client: Pick<RequestClient, 'host' | 'secure'>): boolean {
    if (this.any || this.listed.has(origin)) return true
    const page = urlOf(origin)
    if (!page || !['http:', 'https:'].includes(page.protocol)) return false
    if (isOwn(origin, client)) return true
    const own = client.host === undefined ? undefined : urlOf(`http://${client.host}`)
    // The pages that a developer serves on his own machine, whatever their port. The name that was asked for counts as well: the
    // hub may stand behind a proxy.
    return this.local() && isLoopbackName(page.hostname) && own !== undefined && isLoopbackName(own.hostname)
  }
}

/** Whether a page is the hub's own, by the name that `client` has asked for. */
export function isOwn(origin: string, { host, secure }: Pick<RequestClient, 'host' | 'secure'>): boolean {
  const page = urlOf(origin)
  if (!page || !['http:', 'https:'].includes(page.protocol) || host === undefined) return false
  // A page that came without TLS may be somebody else's on the way.
  if (page.protocol === 'http:' && secure) return false
  // With the page's scheme, so that its default port is as good as none.
  return urlOf(`${page.protocol}//${host}`)?.host === page.host
}

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}
