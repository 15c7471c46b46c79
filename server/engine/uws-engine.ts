import uws from 'uWebSockets.js'
import { Buffer } from 'node:buffer'
import { STATUS_CODES } from 'node:http'
import { sentence } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { SUBPROTOCOL } from '../../shared/frames.ts'
import type { Certificate } from '../tls/certificate.ts'
import { type Batch, COMPRESSED_FROM_BYTES, PART_BYTES, type Part } from './batch.ts'
import {
  type Address,
  CLOSE_TIMEOUT_MS,
  type Engine,
  type EngineApp,
  type EngineSocket,
  type Listener,
  protocolsIn,
  type Refused,
  type SocketHandlers,
  type UpgradeRequest,
} from './engine.ts'
import { portInUse } from './port-in-use.ts'
import { MALFORMED, urlOf } from './request-target.ts'
import { RequestTurns } from './request-turns.ts'
import { Door, type Listen } from './uws-door.ts'
import { closeIfOpen, serveHttp, type UwsHttp, type UwsRequest } from './uws-http.ts'
import { later } from './uws-later.ts'

/**
 * µWebSockets ends a connection without an error when a message exceeds its limit. Its limit is therefore this many times the
 * hub's, and the hub reports sizes in between.
 */
const HARD_LIMIT_FACTOR = 16

// Some builds of the package replace a missing native binary with JavaScript, which is slower than ws and lacks TLS.
if (!('SSLApp' in uws)) {
  const { modules } = process.versions
  throw new Error(`uWebSockets.js has no native binary for ${process.platform}-${process.arch} and Node ABI ${modules}`)
}

/** The engine on uWebSockets.js: native, with less memory and CPU per connection. */
export const uwsEngine: Engine = {
  name: 'uws',
  async listen(address, app, certificate) {
    return certificate ? listenWithTls(address, later(app), certificate) : listenWithout(address, app)
  },
}

async function listenWithout(address: Address, app: EngineApp): Promise<Listener> {
  const server = serve(uws.App(), address, app, false)
  const door = await Door.open(app, listenFor(server, address), address, false)
  return { port: door.port, renew: async () => {}, stop: () => door.stop(), end: () => closeSoon([server]) }
}

/**
 * An app of µWebSockets keeps the certificate that it was created with. Another certificate needs another app, which listens on the
 * same port alongside the first before that stops listening; the open connections of the first app stay.
 */
async function listenWithTls(address: Address, app: EngineApp, certificate: Certificate): Promise<Listener> {
  const apps = [serve(tlsApp(certificate), address, app, true)]
  const door = await Door.open(app, listenFor(apps[0] as uws.TemplatedApp, address), address, true)
  return {
    port: door.port,
    async renew(renewed) {
      if (door.stopped) return
      const next = serve(tlsApp(renewed), address, app, true)
      await door.replace(listenFor(next, address))
      apps.push(next)
    },
    stop: () => door.stop(),
    end: () => closeSoon(apps),
  }
}

/** µWebSockets reads the files itself, and does not report what is wrong with them. */
function tlsApp({ certFile, keyFile }: Certificate): uws.TemplatedApp {
  try {
    return uws.SSLApp({ cert_file_name: certFile, key_file_name: keyFile })
  } catch (error) {
    const { message } = error as Error
    throw new FanfareError(
      'bad_config',
      `tls: uWebSockets.js cannot use ${certFile} with ${keyFile}: ${sentence(message)}`,
    )
  }
}

function serve(server: uws.TemplatedApp, address: Address, app: EngineApp, secure: boolean): uws.TemplatedApp {
  const { path, frameBytes, compression } = address
  server.ws<PerConnection>(path, {
    compression: compression === 'on' ? uws.SHARED_COMPRESSOR | uws.SHARED_DECOMPRESSOR : uws.DISABLED,
    maxPayloadLength: frameBytes * HARD_LIMIT_FACTOR,
    // The outbox limits what is written, and the heartbeat ends idle connections.
    maxBackpressure: 64 * 1024 * 1024,
    idleTimeout: 0,
    sendPingsAutomatically: false,
    maxLifetime: 0,
    upgrade: (response, request, context) => {
      contained(app, response, () => upgrade(response, request, context, app, secure))
    },
    open(webSocket) {
      const connection = webSocket.getUserData()
      contained(app, webSocket, () => {
        connection.socket = new UwsSocket(webSocket)
        connection.handlers = app.open(connection.socket, connection.request as UpgradeRequest)
        connection.request = undefined
      })
    },
    message(webSocket, data, binary) {
      const { handlers } = webSocket.getUserData()
      // Like `contained`, but without a closure per message.
      try {
        if (data.byteLength <= frameBytes) handlers?.message(new Uint8Array(data), binary)
        else
          handlers?.broken(
            'frame_too_large',
            `The message has ${data.byteLength} bytes, and frameBytes is ${frameBytes}. Split it, or raise the limit.`,
          )
      } catch (error) {
        app.failed(error)
        webSocket.close()
      }
    },
    drain(webSocket) {
      const { socket, handlers } = webSocket.getUserData()
      contained(app, webSocket, () => socket?.drained(handlers))
    },
    pong(webSocket) {
      contained(app, webSocket, () => webSocket.getUserData().handlers?.alive())
    },
    close(webSocket) {
      const { socket, handlers } = webSocket.getUserData()
      socket?.closed()
      contained(app, GONE, () => handlers?.close())
    },
  })
  const requests = new RequestTurns()
  return server.any('/*', (response, request) => {
    contained(app, response, () => any(response, copyRequest(request), { app, address, secure, requests }))
  })
}

/** Every request except upgrades that uWebSockets.js recognises: it requires a key of 24 characters, and the path. */
function any(response: uws.HttpResponse, request: UwsRequest, context: UwsHttp & { address: Address }): void {
  const url = request.hosts > 1 ? undefined : urlOf(context.secure, request.host, request.target)
  if (!url) return refuse(response, { status: 400, message: MALFORMED })
  if (request.upgrade !== 'websocket') return serveHttp(response, request, url, context)
  const { app, address } = context
  if (url.pathname !== address.path) return refuse(response, app.misplaced(url.pathname, address.path))
  if (request.method !== 'GET') return refuse(response, { status: 405, message: 'An upgrade is a GET' })
  refuse(response, { status: 400, message: 'Missing or invalid Sec-WebSocket-Key header' })
}

/** Closes the connection afterwards, because an upgrade is its last request. */
function refuse(response: uws.HttpResponse, { status, message, retryAfter }: Refused): void {
  response.writeStatus(`${status} ${STATUS_CODES[status]}`)
  response.writeHeader('content-type', 'text/plain; charset=utf-8')
  if (retryAfter !== undefined) response.writeHeader('retry-after', String(retryAfter))
  response.end(message, true)
}

/** Runs the handler of an event. An error in it costs one connection, not the process. */
function contained(app: EngineApp, connection: { close(): unknown }, task: () => void): void {
  try {
    task()
  } catch (error) {
    app.failed(error)
    closeIfOpen(connection)
  }
}

const GONE = { close() {} }

interface PerConnection {
  request: UpgradeRequest | undefined
  socket: UwsSocket | undefined
  handlers: SocketHandlers | undefined
}

class UwsSocket implements EngineSocket {
  private webSocket: uws.WebSocket<PerConnection> | undefined
  private full = false

  constructor(webSocket: uws.WebSocket<PerConnection>) {
    this.webSocket = webSocket
  }

  get bufferedBytes(): number {
    return this.webSocket?.getBufferedAmount() ?? 0
  }

  write({ parts }: Batch): boolean {
    if (!this.webSocket) return true
    for (const part of parts) {
      if (sendPart(this.webSocket, part) !== 1) this.full = true
    }
    return !this.full
  }

  ping(): void {
    if (!this.full) this.webSocket?.ping()
  }

  // µWebSockets cannot stop reading a single socket.
  setReading(): void {}

  close(code: number, reason: string): void {
    this.webSocket?.end(code, reason)
    if (this.webSocket) setTimeout(() => this.terminate(), CLOSE_TIMEOUT_MS).unref()
  }

  terminate(): void {
    this.webSocket?.close()
  }

  /** Some data was written; `drain` of the contract means that everything was. */
  drained(handlers: SocketHandlers | undefined): void {
    if (!this.full || this.bufferedBytes > 0) return
    this.full = false
    handlers?.drain()
  }

  closed(): void {
    this.webSocket = undefined
  }
}

/** The methods return a status, like `send`, although the package's types say boolean. */
interface FragmentSender {
  sendFirstFragment(bytes: Uint8Array, binary: boolean, compress: boolean): number
  sendFragment(bytes: Uint8Array, compress: boolean): number
  sendLastFragment(bytes: Uint8Array, compress?: boolean): number
}

/**
 * Sends one WebSocket message; 1 means that the kernel has all of it. Larger messages are sent as fragments (RFC 6455, section
 * 5.4): in some builds of the package, a single send of more than 16 kB that meets a full kernel buffer arrives damaged.
 */
function sendPart(socket: uws.WebSocket<PerConnection>, { payload, binary }: Part): number {
  const bytes = payload as Uint8Array<ArrayBuffer>
  // Peers without compression get it uncompressed; so are fragments, because each would be compressed separately.
  if (bytes.length <= PART_BYTES) return socket.send(bytes, binary, bytes.length >= COMPRESSED_FROM_BYTES)
  const webSocket = socket as unknown as FragmentSender
  webSocket.sendFirstFragment(bytes.subarray(0, PART_BYTES), binary, false)
  let at = PART_BYTES
  for (; at + PART_BYTES < bytes.length; at += PART_BYTES) {
    webSocket.sendFragment(bytes.subarray(at, at + PART_BYTES), false)
  }
  return webSocket.sendLastFragment(bytes.subarray(at), false)
}

/** Versions of the WebSocket protocol that `ws` accepts. */
const VERSIONS = ['13', '8']

function upgrade(
  response: uws.HttpResponse,
  request: uws.HttpRequest,
  context: uws.us_socket_context_t,
  app: EngineApp,
  secure: boolean,
): void {
  const headers: Record<string, string> = {}
  // Repeated headers are joined, as Node does.
  for (const [name, value] of copyHeaders(request)) {
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value
  }
  const copied: UpgradeRequest = {
    remoteAddress: Buffer.from(response.getRemoteAddressAsText()).toString(),
    secure,
    protocols: protocolsIn(headers['sec-websocket-protocol']),
    query: request.getQuery() ?? '',
    headers,
  }
  if (!VERSIONS.includes(headers['sec-websocket-version'] ?? '')) {
    return refuse(response, { status: 400, message: 'Missing or invalid Sec-WebSocket-Version header' })
  }
  const accepted = app.accept(copied)
  if (accepted !== true) return refuse(response, accepted)
  response.upgrade<PerConnection>(
    { request: copied, socket: undefined, handlers: undefined },
    headers['sec-websocket-key'] ?? '',
    copied.protocols.length === 0 ? '' : SUBPROTOCOL,
    headers['sec-websocket-extensions'] ?? '',
    context,
  )
}

/** The request is invalid after the handler returns, so everything is copied. */
function copyRequest(request: uws.HttpRequest): UwsRequest {
  const headers = copyHeaders(request)
  const query = request.getQuery() as string | undefined
  return {
    method: request.getMethod().toUpperCase(),
    target: query === undefined || query === '' ? request.getUrl() : `${request.getUrl()}?${query}`,
    host: request.getHeader('host'),
    hosts: headers.filter(([name]) => name === 'host').length,
    upgrade: request.getHeader('upgrade').toLowerCase(),
    headers,
  }
}

function copyHeaders(request: uws.HttpRequest): [string, string][] {
  const headers: [string, string][] = []
  request.forEach((name, value) => void headers.push([name, value]))
  return headers
}

/**
 * Ends what is open, after giving responses and close frames time to arrive. Older builds, and the types of this one, lack `close`:
 * there, open connections end by their own timeouts.
 */
function closeSoon(apps: readonly uws.TemplatedApp[]): void {
  const close = () => {
    for (const app of apps) (app as unknown as { close?(): void }).close?.()
  }
  setTimeout(close, CLOSE_TIMEOUT_MS).unref()
}

/** A form of `listen` that both builds of the package support, but that is missing in their types. */
interface HostListener {
  listen(host: string, port: number, options: number, listening: (socket: uws.us_listen_socket | false) => void): void
}

function listenFor(server: uws.TemplatedApp, { host, reusePort }: Address): Listen {
  return (port, options) =>
    new Promise((resolve, reject) => {
      ;(server as unknown as HostListener).listen(host, port, options, (socket) => {
        if (!socket) return reject(portInUse({ host, port, reusePort }))
        resolve({
          // A listening socket is a socket, although the package's types do not say so.
          port: uws.us_socket_local_port(socket as unknown as uws.us_socket),
          close: () => uws.us_listen_socket_close(socket),
        })
      })
    })
}
