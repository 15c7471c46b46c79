import { Hono } from 'hono'

/** What the HTTP side needs to know of the hub. */
export interface HttpContext {
  ready(): boolean
}

/** Everything that the hub serves over HTTP, as one fetch-style handler. */
export function httpHandler(hub: HttpContext): (request: Request) => Response | Promise<Response> {
  const app = new Hono()
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', (c) => (hub.ready() ? c.json({ status: 'ready' }) : c.json({ status: 'not ready' }, 503)))
  app.notFound((c) => c.json({ error: `Nothing at ${c.req.path}. The WebSocket endpoint wants an upgrade.` }, 404))
  return (request) => app.fetch(request)
}
