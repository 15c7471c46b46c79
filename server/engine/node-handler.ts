import { Buffer } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { EngineApp } from './engine.ts'
import { NO_HOST } from './request-target.ts'
import { isSecure } from './ws-http.ts'

/** A listener for requests of `node:http`, and middleware for Express and what is like it. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => void

/** What Express adds to a request. */
interface MiddlewareRequest extends IncomingMessage {
  /** Where the middleware is mounted: it is taken off `url`. */
  readonly baseUrl?: string
  /** What a parser such as `express.json()` has read. */
  readonly body?: unknown
  /** Where the listener looks for a body that was read before. */
  rawBody?: Buffer
}

/** The paths of the hub in an application that has others. Mounted below a path of its own, it answers everything there. */
const OWN_PATHS = /^\/(v1\/.*|healthz|readyz|metrics|fanfare\.js)$/

/** Hands requests of a server that belongs to somebody else to the hub. */
export function nodeHandler(app: Pick<EngineApp, 'fetch' | 'failed'>): NodeHandler {
  const listener = getRequestListener(
    (request, { incoming, outgoing }) => {
      const { socket } = incoming as IncomingMessage
      const remoteAddress = socket.remoteAddress ?? ''
      return app.fetch(request, { remoteAddress, secure: isSecure(socket), destroy: () => void outgoing.destroy() })
    },
    { hostname: NO_HOST },
  )
  return (request: MiddlewareRequest, response, next) => {
    const [path = ''] = (request.url ?? '').split('?')
    if (next && !request.baseUrl && !OWN_PATHS.test(path)) return next()
    // Somebody read it before, and it does not come again.
    if (request.readableDidRead && request.body !== undefined) request.rawBody ??= bytesOf(request.body)
    Promise.resolve(listener(request, response)).catch((error: unknown) => {
      app.failed(error)
      response.destroy()
    })
  }
}

function bytesOf(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}
