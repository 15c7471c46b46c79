import { Buffer } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { EngineApp } from './engine.ts'
import { NO_HOST } from './request-target.ts'
import { isSecure } from './ws-http.ts'

/** A request listener for `node:http`, and middleware for Express and similar frameworks. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => void

/** Properties that Express adds to a request. */
interface MiddlewareRequest extends IncomingMessage {
  /** The path at which the middleware is mounted; it is removed from `url`. */
  readonly baseUrl?: string
  /** The body as read by a parser such as `express.json()`. */
  readonly body?: unknown
  /** Where the listener looks for a body that was read before. */
  rawBody?: Buffer
}

/** The hub's paths in an application that has other paths. Mounted at a path, the hub answers everything below it. */
const OWN_PATHS = /^\/(v1\/.*|healthz|readyz|metrics|fanfare\.js)$/

/** Passes requests of a server that the hub does not own to the hub. */
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
    // The body was read before, and cannot be read again.
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
