import uws from 'uWebSockets.js'
import { Buffer } from 'node:buffer'
import { STATUS_CODES } from 'node:http'
import { setImmediate } from 'node:timers/promises'
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
  type SocketHandlers,
  type UpgradeRequest,
} from './engine.ts'
import { serveHttp, type UwsRequest } from './uws-http.ts'
import { later } from './uws-later.ts'

/**
 * µWebSockets cuts a connection off without a word when a message exceeds its limit. Its limit is therefore this many
 * times the hub's, which has words for what lies between.
 */
const HARD_LIMIT_FACTOR = 16

// Some builds of the package replace a missing native binary with JavaScript, which is slower than ws and lacks TLS.
if (!('SSLApp' in uws)) {
  const { modules } = process.versions
  throw new Error(`uWebSockets.js has no native binary for ${process.platform}-${process.arch} and Node ABI ${modules}`)
}

/** The engine on uWebSockets.js: native, with less memory and CPU for each connection. */
export const uwsEngine: Engine = {
  name: 'uws',
  async listen(address, app, certificate) {
    return certificate ? listenWithTls(address, later(app), certificate) : listenWithout(address, app)
  },
}

async function listenWithout(address: Address, app: EngineApp): Promise<Listener> {
  const server = serve(uws.App(), address, app, false)
  const socket = await listenOn(server, address.host, address.port, EXCLUSIVE)
  return { port: localPort(socket), renew: async () => {}, stop: () => closeListener(socket) }
}

/**
 * An app of µWebSockets keeps the certificate that it was made with. For another one there has to be another app that
 * listens beside it on the same port, before it stops to; its open connections stay.
 */
async function listenWithTls(address: Address, app: EngineApp, certificate: Certificate): Promise<Listener> {
  const { host } = address
  const server = serve(tlsApp(certificate), address, app, true)
  // Who shares a port shares it with anybody who is willing to: first it has to be had alone.
  const alone = await listenOn(server, host, address.port, EXCLUSIVE)
  const port = localPort(alone)
  closeListener(alone)
  let socket = await listenOn(server, host, port, SHARED)
  let stopped = false
  return {
    port,
    async renew(renewed) {
      if (stopped) return
      const before = socket
      socket = await listenOn(serve(tlsApp(renewed), address, app, true), host, port, SHARED)
      // Connections that the kernel has ready for the one before are taken first, or they would be cut.
      await setImmediate()
      await setImmediate()
      closeListener(before)
    },
    stop() {
      stopped = true
      closeListener(socket)
    },
  }
}

/** It reads the files by itself, and has no words for what it finds wrong with them. */
function tlsApp({ certFile, keyFile }: Certificate): uws.TemplatedApp {
  try {
    return uws.SSLApp({ cert_file_name: certFile, key_file_name: keyFile })
  } catch (error) {
    const { message } = error as Error
    throw new FanfareError('bad_config', `tls: uWebSockets.js cannot use ${certFile} and ${keyFile}: ${message}`)
  }
}

function serve(server: uws.TemplatedApp, address: Address, app: EngineApp, secure: boolean): uws.TemplatedApp {
  const { path, frameBytes, compression } = address
  server.ws<PerConnection>(path, {
    compression: compression === 'on' ? uws.SHARED_COMPRESSOR | uws.SHARED_DECOMPRESSOR : uws.DISABLED,
    maxPayloadLength: frameBytes * HARD_LIMIT_FACTOR,
    // The outbox bounds what is written, and the heartbeat ends what is idle.
    maxBackpressure: 64 * 1024 * 1024,
    idleTimeout: 0,
    sendPingsAutomatically: false,
    maxLifetime: 0,
    upgrade: (response, request, context) => upgrade(response, request, context, app, secure),
    open(webSocket) {
      const connection = webSocket.getUserData()
      connection.socket = new UwsSocket(webSocket)
      connection.handlers = app.open(connection.socket, connection.request as UpgradeRequest)
      connection.request = undefined
    },
    message(webSocket, data, binary) {
      const { handlers } = webSocket.getUserData()
      if (data.byteLength <= frameBytes) handlers?.message(new Uint8Array(data), binary)
      else handlers?.broken('frame_too_large', `It has ${data.byteLength} bytes`)
    },
    drain(webSocket) {
      webSocket.getUserData().socket?.drained(webSocket.getUserData().handlers)
    },
    pong: (webSocket) => webSocket.getUserData().handlers?.alive(),
    close(webSocket) {
      const connection = webSocket.getUserData()
      connection.socket?.closed()
      connection.handlers?.close()
    },
  })
  return server.any('/*', (response, request) => void serveHttp(response, copyRequest(request, secure), app))
}

/** Whether another app may listen on the port too. µWebSockets lets it by itself, were it another hub's. */
const EXCLUSIVE = 1
const SHARED = 0

const { us_socket_local_port: localPort, us_listen_socket_close: closeListener } = uws

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

  close(code: number, reason: string): void {
    this.webSocket?.end(code, reason)
    if (this.webSocket) setTimeout(() => this.terminate(), CLOSE_TIMEOUT_MS).unref()
  }

  terminate(): void {
    this.webSocket?.close()
  }

  /** Something was written; `drain` of the contract means everything. */
  drained(handlers: SocketHandlers | undefined): void {
    if (!this.full || this.bufferedBytes > 0) return
    this.full = false
    handlers?.drain()
  }

  closed(): void {
    this.webSocket = undefined
  }
}

/** The methods return a status, as `send` does, where the package's types promise a boolean. */
interface FragmentSender {
  sendFirstFragment(bytes: Uint8Array, binary: boolean, compress: boolean): number
  sendFragment(bytes: Uint8Array, compress: boolean): number
  sendLastFragment(bytes: Uint8Array, compress?: boolean): number
}

/**
 * Sends one WebSocket message; 1 says that the kernel has all of it. Larger ones go out as fragments (RFC 6455, 5.4):
 * in some builds of the package a single send of more than 16 kB that meets a full kernel buffer arrives damaged.
 */
function sendPart(socket: uws.WebSocket<PerConnection>, { payload, binary }: Part): number {
  const bytes = payload as Uint8Array<ArrayBuffer>
  // To a peer without compression it goes as it is; fragments always do, since each would be compressed for itself.
  if (bytes.length <= PART_BYTES) return socket.send(bytes, binary, bytes.length >= COMPRESSED_FROM_BYTES)
  const webSocket = socket as unknown as FragmentSender
  webSocket.sendFirstFragment(bytes.subarray(0, PART_BYTES), binary, false)
  let at = PART_BYTES
  for (; at + PART_BYTES < bytes.length; at += PART_BYTES) {
    webSocket.sendFragment(bytes.subarray(at, at + PART_BYTES), false)
  }
  return webSocket.sendLastFragment(bytes.subarray(at), false)
}

function upgrade(
  response: uws.HttpResponse,
  request: uws.HttpRequest,
  context: uws.us_socket_context_t,
  app: EngineApp,
  secure: boolean,
): void {
  const headers: Record<string, string> = {}
  // Joined where one comes more than once, as Node has it.
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
  const accepted = app.accept(copied)
  if (accepted !== true) {
    const { status, message, retryAfter } = accepted
    response.writeStatus(`${status} ${STATUS_CODES[status]}`)
    if (retryAfter !== undefined) response.writeHeader('retry-after', String(retryAfter))
    response.end(message)
    return
  }
  response.upgrade<PerConnection>(
    { request: copied, socket: undefined, handlers: undefined },
    headers['sec-websocket-key'] ?? '',
    copied.protocols.length === 0 ? '' : SUBPROTOCOL,
    headers['sec-websocket-extensions'] ?? '',
    context,
  )
}

/** The request is gone after the handler: everything is copied. */
function copyRequest(request: uws.HttpRequest, secure: boolean): UwsRequest {
  const method = request.getMethod().toUpperCase()
  const origin = `${secure ? 'https' : 'http'}://${request.getHeader('host') || 'hub'}`
  const url = `${origin}${request.getUrl()}?${request.getQuery() ?? ''}`
  return { method, url, secure, headers: copyHeaders(request) }
}

function copyHeaders(request: uws.HttpRequest): [string, string][] {
  const headers: [string, string][] = []
  request.forEach((name, value) => void headers.push([name, value]))
  return headers
}

/** A form of `listen` that both have, and their types lack. */
interface HostListener {
  listen(host: string, port: number, options: number, listening: (socket: uws.us_listen_socket | false) => void): void
}

function listenOn(
  server: uws.TemplatedApp,
  host: string,
  port: number,
  options: number,
): Promise<uws.us_listen_socket> {
  return new Promise((resolve, reject) => {
    ;(server as unknown as HostListener).listen(host, port, options, (socket) => {
      if (socket) resolve(socket)
      else reject(new FanfareError('port_in_use', `${host}:${port}`))
    })
  })
}
