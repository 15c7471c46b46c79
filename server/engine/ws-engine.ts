import type { Buffer } from 'node:buffer'
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import type { AddressInfo, ListenOptions, Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { type ServerOptions, WebSocket, WebSocketServer } from 'ws'
import { sentence } from '../../shared/error-text.ts'
import { FanfareError } from '../../shared/errors.ts'
import { SUBPROTOCOL } from '../../shared/frames.ts'
import type { Certificate } from '../tls/certificate.ts'
import type { Batch } from './batch.ts'
import {
  type Address,
  CLOSE_TIMEOUT_MS,
  type Engine,
  type EngineApp,
  type EngineSocket,
  GREETING_TIMEOUT_MS,
  HEADER_BYTES,
  type Listener,
  protocolsIn,
  REQUEST_TIMEOUT_MS,
  type Refused,
  type SocketHandlers,
  type UpgradeRequest,
} from './engine.ts'
import { portInUse } from './port-in-use.ts'
import { MALFORMED, urlOf } from './request-target.ts'
import { isSecure, NodeHttp } from './ws-http.ts'

/** Connections that the system queues until they are accepted, as far as it allows: all clients may reconnect at once. */
const BACKLOG = 4096

/** Each message is compressed independently: then one compression serves all connections, and none needs its own window. */
const NO_CONTEXT = { serverNoContextTakeover: true, clientNoContextTakeover: true }

/** The engine on `ws`: pure JavaScript, and the only one that can share an existing `http.Server`. */
export const wsEngine: Engine = {
  name: 'ws',
  listen(address, app, certificate) {
    const server = certificate ? createTlsServer({ ...BOUNDS, ...secureContext(certificate) }) : createServer(BOUNDS)
    const http = new NodeHttp(server, app)
    attachTo(server, address, app, (socket) => http.upgraded(socket))
    return listenOn(server, address)
  },
}

/** Node's defaults would wait for minutes, and check twice a minute. */
const BOUNDS = {
  handshakeTimeout: GREETING_TIMEOUT_MS,
  headersTimeout: GREETING_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: 1000,
  maxHeaderSize: HEADER_BYTES,
}

function secureContext({ cert, key }: Certificate): SecureContextOptions {
  return { cert, key, minVersion: 'TLSv1.2' }
}

/** Serves the WebSocket endpoint on a server that the hub does not own; the server's HTTP requests stay with its owner. */
export function attachTo(
  server: Server,
  address: Pick<Address, 'path' | 'frameBytes' | 'compression'>,
  app: EngineApp,
  upgraded: (socket: Socket) => void = () => {},
): void {
  const options: ServerOptions<typeof HubWebSocket> & { closeTimeout: number } = {
    noServer: true,
    // Supported by ws, but missing in its types.
    closeTimeout: CLOSE_TIMEOUT_MS,
    WebSocket: HubWebSocket,
    clientTracking: false,
    perMessageDeflate: address.compression === 'on' && NO_CONTEXT,
    maxPayload: address.frameBytes,
    // The hub does it, and reports what was wrong.
    skipUTF8Validation: true,
    handleProtocols: () => SUBPROTOCOL,
  }
  const webSockets = new WebSocketServer(options)
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on('error', ignore)
    try {
      const target = urlOf(false, undefined, request.url ?? '')
      if (target?.pathname !== address.path) {
        // Another listener may handle it; if there is none, the request would never be answered.
        if (server.listenerCount('upgrade') > 1) return
        return answer(
          socket,
          target ? app.misplaced(target.pathname, address.path) : { status: 400, message: MALFORMED },
        )
      }
      const copied = copyRequest(request, target.search.slice(1))
      const accepted = app.accept(copied)
      if (accepted !== true) return answer(socket, accepted)
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        upgraded(socket)
        webSocket.serve(socket, app, copied)
      })
    } catch (error) {
      app.failed(error)
      socket.destroy()
    }
  })
}

/**
 * The socket of one connection. Listeners are shared functions, and their state is kept here: closures per connection would be a
 * large part of its memory.
 */
class HubWebSocket extends WebSocket implements EngineWebSocket {
  tcp: Socket | undefined = undefined
  handlers: SocketHandlers | undefined = undefined
  private app: EngineApp | undefined = undefined
  private ending = false

  serve(tcp: Socket, app: EngineApp, request: UpgradeRequest): void {
    this.tcp = tcp
    this.app = app
    this.handlers = app.open(new WsSocket(this, tcp), request)
    this.on('message', onMessage)
    this.on('pong', onPong)
    this.on('close', onClose)
    // `close` below has reported a broken frame; a broken socket closes by itself.
    this.on('error', ignore)
  }

  /**
   * ws also calls this, without a reason, when a frame breaks RFC 6455 or is too large. This is the only moment to report why,
   * before the close frame is sent.
   */
  override close(code?: number, reason?: string | Buffer): void {
    const broken = code === undefined ? undefined : BROKEN[code]
    if (broken && reason === undefined && !this.ending) {
      this.ending = true
      this.tell((handlers) =>
        handlers.broken(
          broken,
          broken === 'bad_frame' ? 'The peer broke the WebSocket protocol (RFC 6455).' : undefined,
        ),
      )
    } else {
      this.ending = true
      super.close(code, reason)
    }
  }

  /** Passes an event to the hub. An error in it costs this connection. */
  tell(event: (handlers: SocketHandlers) => void): void {
    if (!this.handlers) return
    try {
      event(this.handlers)
    } catch (error) {
      this.failed(error)
    }
  }

  failed(error: unknown): void {
    this.app?.failed(error)
    this.terminate()
  }
}

interface EngineWebSocket {
  tcp: Socket | undefined
  handlers: SocketHandlers | undefined
}

const BROKEN: Record<number, 'frame_too_large' | 'bad_utf8' | 'bad_frame'> = {
  1002: 'bad_frame',
  1007: 'bad_utf8',
  1008: 'bad_frame',
  1009: 'frame_too_large',
}

function onMessage(this: WebSocket, data: unknown, binary: boolean): void {
  const webSocket = this as HubWebSocket
  // Like `tell`, but without a closure per message.
  try {
    webSocket.handlers?.message(data as Buffer, binary)
  } catch (error) {
    webSocket.failed(error)
  }
}

function onPong(this: WebSocket): void {
  ;(this as HubWebSocket).tell((handlers) => handlers.alive())
}

function onClose(this: WebSocket): void {
  const webSocket = this as HubWebSocket
  webSocket.tell((handlers) => {
    webSocket.handlers = undefined
    handlers.close()
  })
}

function ignore(): void {}

class WsSocket implements EngineSocket {
  private readonly webSocket: HubWebSocket
  private readonly tcp: Socket
  /** Node's TLS reports only in a later turn that it has passed on what it got, so this many buffered bytes mean nothing. */
  private readonly unsaid: number
  private readonly compresses: boolean
  private full = false

  constructor(webSocket: HubWebSocket, tcp: Socket) {
    this.webSocket = webSocket
    this.tcp = tcp
    this.unsaid = isSecure(tcp) ? tcp.writableHighWaterMark : 0
    this.compresses = webSocket.extensions !== ''
  }

  get bufferedBytes(): number {
    return this.tcp.writableLength
  }

  // Directly to the socket, which handleUpgrade left with us: the frames are built already, once for all connections. ws adds its
  // own control frames between these writes, never inside one.
  write(batch: Batch): boolean {
    if (this.webSocket.readyState !== WebSocket.OPEN) return true
    this.tcp.write(this.compresses ? batch.compressed : batch.framed)
    if (this.tcp.writableLength <= this.unsaid) return true
    if (!this.full) {
      this.full = true
      // There is no 'drain' event for buffered data below the high-water mark; the callback of an empty write is always called.
      this.tcp.write('', () => this.drained())
    }
    return false
  }

  ping(): void {
    if (this.webSocket.readyState === WebSocket.OPEN && this.tcp.writableLength <= this.unsaid) this.webSocket.ping()
  }

  setReading(reading: boolean): void {
    if (reading) this.webSocket.resume()
    else this.webSocket.pause()
  }

  close(code: number, reason: string): void {
    this.webSocket.close(code, reason)
  }

  terminate(): void {
    this.webSocket.terminate()
  }

  private drained(): void {
    this.full = false
    this.webSocket.tell((handlers) => handlers.drain())
  }
}

function copyRequest({ headers, socket }: IncomingMessage, query: string): UpgradeRequest {
  const copied: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) copied[name] = String(value)
  const protocols = protocolsIn(copied['sec-websocket-protocol'])
  return { remoteAddress: socket.remoteAddress ?? '', secure: isSecure(socket), protocols, query, headers: copied }
}

function answer(socket: Socket, { status, message, retryAfter }: Refused): void {
  // A peer that leaves its end open does not keep ours open.
  socket.setTimeout(CLOSE_TIMEOUT_MS, () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `${retryAfter === undefined ? '' : `Retry-After: ${retryAfter}\r\n`}` +
      `Content-Length: ${new TextEncoder().encode(message).length}\r\n\r\n${message}`,
  )
}

/** Earlier versions ignore the option, so the port would not be shared. */
function checkSharing(): void {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)) return
  throw new FanfareError(
    'bad_config',
    `reusePort needs Node 22.12, 23.1 or later on the engine ws (this is ${process.versions.node}). Use a later one, or engine uws.`,
  )
}

async function listenOn(server: Server, { host, port, reusePort }: Address): Promise<Listener> {
  const isShared = reusePort === 'on'
  if (isShared) checkSharing()
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(portInUse({ host, port, reusePort }, sentence(error.message))))
    // Supported by Node, but missing in its types.
    const options: ListenOptions & { reusePort: boolean } = { host, port, backlog: BACKLOG, reusePort: isShared }
    server.listen(options, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        renew: async (certificate) => {
          if (server instanceof TlsServer) server.setSecureContext(secureContext(certificate))
        },
        stop: () => stop(server),
        // Responses have this much time to arrive.
        end: () => void setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS).unref(),
      })
    })
  })
}

function stop(server: Server): void {
  server.close()
  server.closeIdleConnections()
}
