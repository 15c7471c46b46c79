import type { Certificate } from '../tls/certificate.ts'
import type { Batch } from './batch.ts'

/**
 * The contract between the hub and what speaks WebSocket and HTTP on a port. The hub is handed sockets and never names
 * an engine; an engine knows nothing of frames, topics or policies.
 */
export interface Engine {
  readonly name: 'ws' | 'uws'
  /**
   * Speaks TLS, 1.2 or later, where there is a certificate. Rejects with `port_in_use` where the address cannot be had, and
   * with `bad_config` where the engine cannot use the certificate, or cannot share the port.
   */
  listen(address: Address, app: EngineApp, certificate: Certificate | undefined): Promise<Listener>
}

export interface Address {
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Other hubs may listen on the port too; the system spreads connections over them. */
  readonly reusePort: 'off' | 'on'
  /** The path of the WebSocket endpoint. */
  readonly path: string
  /** Largest WebSocket message taken, in bytes. */
  readonly frameBytes: number
  /** For peers that offer it. */
  readonly compression: 'off' | 'on'
}

export interface Listener {
  readonly port: number
  /** Gives new connections this certificate, on a listener with TLS. Rejects with `bad_config`, and nothing has changed. */
  renew(certificate: Certificate): Promise<void>
  /** Accepts no more connections; those that are open stay. */
  stop(): void
  /** Ends within some seconds what is still open. Call after `stop`. */
  end(): void
}

/** What the hub gives an engine. */
export interface EngineApp {
  /**
   * Answers every HTTP request that is not an upgrade. Never rejects. An answer with `transfer-encoding: chunked` is
   * sent as its body comes, which is read only as fast as the peer takes it, and cancelled when the peer goes away.
   */
  fetch(request: Request, peer?: HttpPeer): Response | Promise<Response>
  /** Somebody wants a WebSocket: true accepts the connection. */
  accept(request: UpgradeRequest): true | Refused
  /** Logs and counts an error of the engine itself, which has cost one request or one connection. */
  failed(error: unknown): void
  /**
   * A connection has come to speak HTTP, or sends another request. An engine that learns of a connection only from its first request
   * reports it from then until the answer. To stay within its limits the hub ends connections, this one or others: see `HttpConnection`.
   */
  arrived(connection: HttpConnection): void
  /** It is closed, has become a WebSocket, or carries an answer that does not end (server-sent events). May be called again. */
  left(connection: HttpConnection): void
  /** It sent more requests than `PIPELINED_REQUESTS` before it had their answers, and is refused. */
  pipelined(connection: HttpConnection): void
  /**
   * Whether so few file descriptors are left that the engine should accept no connection. The hub has ended connections that it was
   * waiting for, if there were any.
   */
  crowded(): boolean
  /** A connection is open: the hub takes the socket and gives the handlers of its events. */
  open(socket: EngineSocket, request: UpgradeRequest): SocketHandlers
}

/** The HTTP answer to who gets no WebSocket. */
export interface Refused {
  readonly status: number
  readonly message: string
  /** Seconds until another try makes sense. */
  readonly retryAfter?: number | undefined
}

/** A request for a WebSocket: copied, so that it outlives the engine's own. */
export interface UpgradeRequest {
  /** Of the other end of the socket. */
  readonly remoteAddress: string
  /** The hub itself speaks TLS with it. */
  readonly secure: boolean
  /** The subprotocols that were offered. */
  readonly protocols: readonly string[]
  /** What stands behind the `?` of its URL. */
  readonly query: string
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

export function protocolsIn(header: string | undefined): string[] {
  return header ? header.split(',').map((name) => name.trim()) : []
}

/** Who sent an HTTP request: the other end of the socket. */
export interface HttpPeer {
  readonly remoteAddress: string
  /** The hub itself speaks TLS with it. */
  readonly secure: boolean
  /** The name that was asked for, with a port where it has one, past the proxies that are trusted. Absent before those are looked at. */
  readonly host?: string | undefined
  /** Cuts the connection at once, whatever is still to be sent. */
  destroy(): void
}

/** A connection that speaks HTTP and counts as one. */
export interface HttpConnection {
  /** Of the other end of the socket. */
  readonly remoteAddress: string
  /** The hub has a whole request and owes the answer. Otherwise it waits for the peer, and may end the connection. */
  readonly answering: boolean
  /** Ends it at once. */
  destroy(): void
}

/** Called one at a time, never from within a call of the socket's own methods, and not at all after `close`. */
export interface SocketHandlers {
  /** A whole message. The bytes are the engine's again when this returns: copy what is kept. */
  message(data: Uint8Array, binary: boolean): void
  /** What came breaks a rule that the engine checks: one of RFC 6455, or the maximum size. */
  broken(code: 'frame_too_large' | 'bad_utf8' | 'bad_frame', message?: string): void
  /** A sign of life that is no message: the answer to a ping. */
  alive(): void
  /** Everything written has left the process. */
  drain(): void
  close(): void
}

export interface EngineSocket {
  /**
   * Writes a batch, whole and in order. True: the kernel has it all. False: the engine holds a rest, of
   * `bufferedBytes`; write no more before `drain`.
   */
  write(batch: Batch): boolean
  readonly bufferedBytes: number
  /** A WebSocket ping, unless a rest is held: then the peer has enough to answer. */
  ping(): void
  /**
   * Whether the peer is read. False: what has been read already still comes, and nothing more if the engine can stop reading.
   */
  setReading(reading: boolean): void
  /** Sends a close frame behind what is buffered, and ends the connection within some seconds whatever the peer does. */
  close(code: number, reason: string): void
  /** Ends the connection at once. */
  terminate(): void
}

/** Time that a peer has to answer a close frame, in milliseconds. */
export const CLOSE_TIMEOUT_MS = 5_000
/** Time that a peer has for a handshake of TLS, and then for the head of a request, in milliseconds. */
export const GREETING_TIMEOUT_MS = 10_000
/** Time that a peer has for a whole request, head and body, in milliseconds. */
export const REQUEST_TIMEOUT_MS = 30_000
/** Bytes of the head of a request: a token of 16,384 characters fits, with the cookies and proxies' headers around it. */
export const HEADER_BYTES = 32 * 1024
/** Requests that one connection may send before it has their answers. */
export const PIPELINED_REQUESTS = 100
