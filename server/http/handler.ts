import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { Hono, type MiddlewareHandler } from 'hono'
import { z } from 'zod'
import { FanfareError } from '../../shared/errors.ts'
import type { EngineApp } from '../engine/engine.ts'
import { authentication, ownToken } from './authentication.ts'
import { type CrossSiteContext, guarded } from './cross-site.ts'
import { dashboard } from './dashboard.ts'
import { passingAsEvents } from './end-event.ts'
import { eventOperations } from './event-operations.ts'
import type { HttpEnv } from './http-env.ts'
import { hubOperations } from './hub-operations.ts'
import { login } from './login.ts'
import { openApi } from './openapi.ts'
import { type HttpContext, json, type Operation } from './operation.ts'
import { problemResponse, refusalOf } from './problem.ts'
import { publishOperations } from './publish-operations.ts'
import { queueOperations } from './queue-operations.ts'
import { routes } from './routes.ts'
import { streamOperations } from './stream-operations.ts'

/** The client as one ES module, for pages without a bundler. Created by the build. */
const BROWSER_CLIENT = 'fanfare/browser'

/** The OpenAPI document. It is the same for every request and takes 15 ms, so it is created once. */
let document: string | undefined

/** All operations of `/v1`, which the document describes. */
const OPERATIONS: readonly Operation[] = [
  {
    id: 'document',
    summary: 'This document',
    method: 'get',
    path: '/openapi.json',
    params: z.object({}),
    rest: 'query',
    answers: [{ status: 200, description: 'OpenAPI 3.1', type: 'application/json', schema: z.looseObject({}) }],
    refusals: [],
    run: async ({ hub }) => {
      document ??= JSON.stringify(openApi(OPERATIONS, hub.version))
      return new Response(document, { headers: { 'content-type': 'application/json' } })
    },
  },
  ...publishOperations,
  ...eventOperations,
  ...streamOperations,
  ...queueOperations,
  ...hubOperations,
]

/** Everything that the hub serves over HTTP, as one fetch-style handler. */
export function httpHandler(hub: HttpContext, crossSite: CrossSiteContext): EngineApp['fetch'] {
  const app = httpApp(hub)
  const fetch = guarded(async (request, peer) => app.fetch(request, { peer }), crossSite)
  return async (request, peer) => {
    try {
      return await fetch(request, peer)
    } catch (error) {
      hub.unexpected.report('http', error)
      return problemResponse(new FanfareError('internal'))
    }
  }
}

export function httpApp(hub: HttpContext): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>()
  app.use(lengthOfHead)
  app.use('/v1/events', passingAsEvents)
  // After this, every client's identity and permissions are known.
  app.use(authentication(hub.authenticate))
  app.get('/healthz', () => json(200, { status: 'ok' }))
  app.get('/readyz', () => readiness(hub))
  app.get('/fanfare.js', async (c) => {
    const source = await browserClient().catch(() => undefined)
    if (source === undefined) return c.json({ error: 'The browser client is not built. Run: npm run build' }, 404)
    // Any page may import it, even one opened from disk.
    return c.body(source, 200, { 'content-type': 'text/javascript; charset=utf-8', 'access-control-allow-origin': '*' })
  })
  app.route('/', login(hub.authenticate))
  app.route('/', dashboard(hub.path))
  app.get('/token', ownToken)
  app.get('/metrics', async (c) => {
    c.get('access').require('admin', '$sys.metrics')
    return c.body(await hub.metrics.scrape(), 200, { 'content-type': hub.metrics.contentType })
  })
  app.route('/v1', routes(OPERATIONS, hub))
  app.onError((error, { req }) => {
    // A client that disconnected while its body was read is not a failure.
    if (!(error instanceof FanfareError) && !req.raw.signal.aborted) hub.unexpected.report('http', error)
    return problemResponse(refusalOf(error))
  })
  app.notFound(({ req }) =>
    problemResponse(
      new FanfareError(
        'no_route',
        `Nothing is served at ${req.path.slice(0, 100)}. /v1/openapi.json describes the API; the WebSocket endpoint needs an upgrade.`,
      ),
    ),
  )
  return app
}

/** Errors that cost one request or connection each leave the hub ready, but are listed; an error that escaped does not. */
function readiness(hub: HttpContext): Response {
  const { total, escaped } = hub.unexpected
  const note = total > 0 && { unexpectedErrors: total }
  if (!hub.accepts()) return json(503, { status: 'not ready', ...note })
  const reason = escaped ? 'unexpected error in the process, see the log' : unusable(hub)
  if (reason !== undefined) return json(503, { status: 'not ready', reason, ...note })
  return json(200, { status: 'ready', ...note })
}

function unusable({ isCutOff, storageFailure, brokerCutOff }: HttpContext): string | undefined {
  const cause = brokerCutOff()
  const reasons = [
    isCutOff() && 'cut off from the other hubs of the cluster',
    cause !== undefined && `cannot use the Redis that keeps streams and queues: ${cause}`,
  ].filter((reason) => reason !== false)
  return reasons.length > 0 ? reasons.join('; ') : storageFailure()
}

/** The response to a HEAD request has the length of the response to GET. */
const lengthOfHead: MiddlewareHandler<HttpEnv> = async (c, next) => {
  await next()
  if (c.req.method !== 'HEAD' || c.res.headers.has('transfer-encoding')) return
  const { byteLength } = await c.res.clone().arrayBuffer()
  c.res.headers.set('content-length', String(byteLength))
}

async function browserClient(): Promise<string> {
  return readFile(createRequire(import.meta.url).resolve(BROWSER_CLIENT), 'utf8')
}
