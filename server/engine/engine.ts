import type { Certificate } from '../tls/certificate.ts'
import type { Batch } from './batch.ts'

/**
 * The contract between the hub and the code that speaks WebSocket and HTTP on a port. The hub gets sockets and never names an
 * engine; an engine knows nothing about frames, topics or policies.
 */
export interface Engine {
  readonly name: 'ws' | 'uws'
  /**
   * Uses TLS 1.2 or later if a certificate is given. Rejects with `port_in_use` if the address is not available, and with
   * `bad_config` if the engine cannot use the certificate or cannot share the port.
   */
  listen(address: Address, app: EngineApp, certificate: Certificate | undefined): Promise<Listener>
}

export interface Address {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** `'on'`: other hubs may listen on the port too; the system spreads connections over them. */
  readonly reusePort: 'off' | 'on'
  /** The path of the WebSocket endpoint. */
  readonly path: string
  /** Maximum size of a WebSocket message, in bytes. */
  readonly frameBytes: number
  /** For peers that offer it. */
  readonly compression: 'off' | 'on'
}

export interface Listener {
  readonly port: number
  /** Uses this certificate for new connections, on a listener with TLS. If it rejects with `bad_config`, nothing has changed. */
  renew(certificate: Certificate): Promise<void>
  /** Accepts no more connections; open ones stay. */
  stop(): void
  /** Ends within a few seconds what is still open. Call after `stop`. */
  end(): void
}

/** What the hub provides to an engine. */
export interface EngineApp {
  /**
   * Answers every HTTP request that is not an upgrade. Never rejects. A response with `transfer-encoding: chunked` is sent as its
   * body arrives. The body is read only as fast as the peer takes it, and cancelled when the peer disconnects.
   */
  fetch(request: Request, peer?: HttpPeer): Response | Promise<Response>
  /** A client requests a WebSocket: true accepts the connection. */
  accept(request: UpgradeRequest): true | Refused
  /** Logs and counts an error of the engine itself, which cost one request or one connection. */
  failed(error: unknown): void
  /**
   * A connection has started to use HTTP, or sends another request. An engine that learns about a connection only from its first
   * request reports it from then until the response. To stay within its limits the hub ends connections, this one or others: see
   * `HttpConnection`.
   */
  arrived(connection: HttpConnection): void
  /**
   * The connection was closed, has become a WebSocket, or carries a response that does not end (server-sent events). May be called
   * repeatedly.
   */
  left(connection: HttpConnection): void
  /** The connection sent more requests than `PIPELINED_REQUESTS` before it had the responses, and is refused. */
  pipelined(connection: HttpConnection): void
  /**
   * Whether so few file descriptors are left that the engine should accept no connection. The hub has already ended idle
   * connections, if there were any.
   */
  crowded(): boolean
  /** A connection is open: the hub takes the socket and returns the handlers of its events. */
  open(socket: EngineSocket, request: UpgradeRequest): SocketHandlers
}

/** The HTTP response to a refused upgrade. */
export interface Refused {
  readonly status: number
  readonly message: string
  /** Seconds until a retry makes sense. */
  readonly retryAfter?: number | undefined
}

/** A request for a WebSocket: a copy, so that it outlives the engine's objects. */
export interface UpgradeRequest {
  /** Address of the peer. */
  readonly remoteAddress: string
  /** Whether the hub itself uses TLS on this connection. */
  readonly secure: boolean
  /** The offered subprotocols. */
  readonly protocols: readonly string[]
  /** The part of its URL after the `?`. */
  readonly query: string
  /** With names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

export function protocolsIn(header: string | undefined): string[] {
  return header ? header.split(',').map((name) => name.trim()) : []
}

/** The peer that sent an HTTP request. */
export interface HttpPeer {
  readonly remoteAddress: string
  /** Whether the hub itself uses TLS on this connection. */
  readonly secure: boolean
  /** The requested host, with a port if there is one, seen past trusted proxies. Absent before the proxies are evaluated. */
  readonly host?: string | undefined
  /** Ends the connection immediately, whatever is still to be sent. */
  destroy(): void
}

/** A connection that uses HTTP, and counts as one. */
export interface HttpConnection {
  /** Address of the peer. */
  readonly remoteAddress: string
  /** Whether the hub has received a whole request and owes the response. Otherwise the hub waits for the peer, and may end the connection. */
  readonly answering: boolean
  /** Ends it immediately. */
  destroy(): void
}

/** Called one at a time, never from within a call of the socket's own methods, and never after `close`. */
export interface SocketHandlers {
  /** A whole message. The engine reuses the bytes when this returns: copy what is kept. */
  message(data: Uint8Array, binary: boolean): void
  /** The peer broke a rule that the engine checks: one of RFC 6455, or the maximum size. */
  broken(code: 'frame_too_large' | 'bad_utf8' | 'bad_frame', message?: string): void
  /** A sign of life other than a message: the answer to a ping. */
  alive(): void
  /** All written data has left the process. */
  drain(): void
  close(): void
}

export interface EngineSocket {
  /**
   * Writes a batch as a whole and in order. Returns true if the kernel has all of it; false if the engine holds `bufferedBytes` of
   * it: then write no more before `drain`.
   */
  write(batch: Batch): boolean
  readonly bufferedBytes: number
  /** Sends a WebSocket ping, unless data is buffered: then the peer has enough to answer. */
  ping(): void
  /**
   * Whether the engine reads from the peer. With false, data that was already read still arrives, but nothing more if the engine
   * can stop reading.
   */
  setReading(reading: boolean): void
  /** Sends a close frame after all buffered data, and ends the connection within a few seconds whatever the peer does. */
  close(code: number, reason: string): void
  /** Ends the connection immediately. */
  terminate(): void
}

/** How long a peer may take to answer a close frame, in milliseconds. */
export const CLOSE_TIMEOUT_MS = 5_000
/** How long a peer may take for a TLS handshake, and then for the head of a request, in milliseconds. */
export const GREETING_TIMEOUT_MS = 10_000
/** How long a peer may take for a whole request, head and body, in milliseconds. */
export const REQUEST_TIMEOUT_MS = 30_000
/** Maximum size of a request's head: a token of 16,384 characters fits, together with cookies and headers of proxies. */
export const HEADER_BYTES = 32 * 1024
/** Maximum requests that one connection may send before it has the responses. */
export const PIPELINED_REQUESTS = 100
