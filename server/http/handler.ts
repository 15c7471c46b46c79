import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Hono } from 'hono'
import type { Access } from '../auth/access.ts'
import type { Credentials } from '../auth/identity.ts'
import type { HttpPeer } from '../engine/engine.ts'
import { authentication, type HttpEnv, ownToken } from './authentication.ts'
import { dashboard } from './dashboard.ts'
import { problem } from './problem.ts'
import { queueRoutes } from './queue-routes.ts'

/** What the HTTP side needs to know of the hub. */
export interface HttpContext {
  ready(): boolean
  /** Of the WebSocket endpoint. */
  readonly path: string
  /** Rejects with `unauthenticated`, `token_expired`, `auth_unavailable`. */
  authenticate(credentials: Credentials): Promise<Access>
  /** Runs a method of the operators', where it is permitted. */
  call(method: string, params: unknown, access: Access): Promise<unknown>
  readonly metrics: { readonly contentType: string; scrape(): Promise<string> }
}

/** The client as one ES module, for pages without a bundler. The build makes it. */
const BROWSER_CLIENT = 'fanfare/browser'

/** Everything that the hub serves over HTTP, as one fetch-style handler. */
export function httpHandler(hub: HttpContext): (request: Request, peer?: HttpPeer) => Response | Promise<Response> {
  const app = new Hono<HttpEnv>()
  app.use(authentication(hub.authenticate))
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', (c) => (hub.ready() ? c.json({ status: 'ready' }) : c.json({ status: 'not ready' }, 503)))
  app.get('/fanfare.js', async (c) => {
    const source = await browserClient().catch(() => undefined)
    if (source === undefined) return c.json({ error: 'The browser client is not built. Run: npm run build' }, 404)
    // Any page may import it, also one that is opened from the disk.
    return c.body(source, 200, { 'content-type': 'text/javascript; charset=utf-8', 'access-control-allow-origin': '*' })
  })
  app.route('/', dashboard(hub.path))
  app.get('/token', ownToken)
  app.get('/metrics', async (c) => {
    c.get('access').require('admin', '$sys.metrics')
    return c.body(await hub.metrics.scrape(), 200, { 'content-type': hub.metrics.contentType })
  })
  app.route('/v1/queues', queueRoutes(hub.call))
  app.onError((error) => problem(error))
  app.notFound((c) => c.json({ error: `Nothing at ${c.req.path}. The WebSocket endpoint wants an upgrade.` }, 404))
  return (request, peer) => app.fetch(request, { peer })
}

async function browserClient(): Promise<string> {
  return readFile(createRequire(import.meta.url).resolve(BROWSER_CLIENT), 'utf8')
}
