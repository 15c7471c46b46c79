import { Buffer } from 'node:buffer'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { getRequestListener } from '@hono/node-server'
import { type EngineApp, type HttpConnection, PIPELINED_REQUESTS, REQUEST_TIMEOUT_MS } from './engine.ts'
import { MALFORMED, NO_HOST, urlOf } from './request-target.ts'
import { RequestTurns } from './request-turns.ts'

/** A connection that exceeds `PIPELINED_REQUESTS` this many times over is ended without its responses. */
const CUT_OFF_FACTOR = 10

export function isSecure(socket: Socket): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true
}

/** One connection of a server since it was accepted. It uses HTTP until it becomes a WebSocket. */
class NodeConnection implements HttpConnection {
  readonly remoteAddress: string
  /** Requests without a response; the last one may still be arriving. */
  unanswered = 0
  /** Bytes of the previous responses. */
  bytesWritten = 0
  /** Resolves when the previous request is answered. */
  turn: Promise<unknown> = Promise.resolve()
  newest: IncomingMessage | undefined = undefined
  private readonly socket: Socket

  constructor(socket: Socket) {
    this.socket = socket
    this.remoteAddress = socket.remoteAddress ?? ''
  }

  get answering(): boolean {
    return this.unanswered > 0 && this.newest?.complete === true
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** The connections of a server that belongs to the hub, and their requests. */
export class NodeHttp {
  private readonly app: EngineApp
  private readonly listener: (request: IncomingMessage, response: ServerResponse) => unknown
  /** By address and port of the peer: with TLS, a request has a different socket from its connection. */
  private readonly connections = new Map<string, NodeConnection>()
  private readonly requests = new RequestTurns()

  constructor(server: Server, app: EngineApp) {
    this.app = app
    this.listener = getRequestListener(
      (request, { incoming, outgoing }) => this.fetch(request, incoming.socket as Socket, outgoing),
      {
        hostname: NO_HOST,
      },
    )
    server.on('connection', (socket: Socket) => this.contained(socket, () => this.connected(socket)))
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.contained(request.socket, () => this.serve(request, response))
    })
  }

  /** The connection no longer uses HTTP. */
  upgraded(socket: Socket): void {
    const connection = this.connections.get(nameOf(socket))
    if (connection) this.app.left(connection)
  }

  private connected(socket: Socket): void {
    const name = nameOf(socket)
    const connection = new NodeConnection(socket)
    this.connections.set(name, connection)
    socket.once('close', () => {
      this.connections.delete(name)
      this.app.left(connection)
    })
    this.app.arrived(connection)
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const connection = this.connections.get(nameOf(socket))
    if (!connection) return void socket.destroy()
    connection.newest = request
    const waiting = ++connection.unanswered
    const answered = new Promise((resolve) => response.once('close', resolve)).then(() => connection.unanswered--)
    // A complete response that the peer does not take.
    response.once('prefinish', () => {
      socket.setTimeout(REQUEST_TIMEOUT_MS)
      this.requests.answered(socket.bytesWritten - connection.bytesWritten)
      connection.bytesWritten = socket.bytesWritten
    })
    if (waiting > PIPELINED_REQUESTS) {
      if (waiting === PIPELINED_REQUESTS + 1) this.app.pipelined(connection)
      return this.refusePipelined(waiting, response)
    }
    this.app.arrived(connection)
    const before = connection.turn
    connection.turn = answered
    const turn = waiting === 1 ? this.requests.next() : before.then(() => this.requests.later())
    if (turn) void turn.then(() => this.answerLater(request, response))
    else this.answer(request, response)
  }

  private answerLater(request: IncomingMessage, response: ServerResponse): void {
    if (!request.socket.destroyed) this.contained(request.socket, () => this.answer(request, response))
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const { socket, headers, url = '' } = request
    const hosts = request.headersDistinct['host'] ?? []
    if (hosts.length > 1 || !urlOf(isSecure(socket), headers.host, url)) {
      return refuse(response, 400, MALFORMED)
    }
    Promise.resolve(this.listener(request, response)).catch((error: unknown) => {
      this.app.failed(error)
      socket.destroy()
    })
  }

  private async fetch(request: Request, socket: Socket, outgoing: { destroy(): unknown }): Promise<Response> {
    try {
      const answer = await this.app.fetch(request, {
        remoteAddress: socket.remoteAddress ?? '',
        secure: isSecure(socket),
        destroy: () => void outgoing.destroy(),
      })
      // The response does not end by itself, and the hub has counted it.
      if (answer.body && answer.headers.has('transfer-encoding')) this.upgraded(socket)
      return answer
    } catch (error) {
      this.app.failed(error)
      return new Response(null, { status: 500 })
    }
  }

  private refusePipelined(waiting: number, response: ServerResponse): void {
    if (waiting > PIPELINED_REQUESTS * CUT_OFF_FACTOR) return void response.req.socket.destroy()
    if (waiting > PIPELINED_REQUESTS + 1) return
    refuse(response, 429, `rate_limited: ${PIPELINED_REQUESTS} requests of this connection wait for their answers.`)
  }

  private contained(socket: Socket, task: () => void): void {
    try {
      task()
    } catch (error) {
      this.app.failed(error)
      socket.destroy()
    }
  }
}

/** The last response on its connection. */
function refuse(response: ServerResponse, status: number, text: string): void {
  const headers = { connection: 'close', 'content-type': 'text/plain; charset=utf-8' }
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) }).end(text)
}

function nameOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
