import { Buffer } from 'node:buffer'
import { clearTimeout, setImmediate, setTimeout } from 'node:timers'
import { PART_BYTES } from './batch.ts'
import { type EngineApp, type HttpConnection, REQUEST_TIMEOUT_MS } from './engine.ts'
import type { RequestTurns } from './request-turns.ts'

/** The parts of an HTTP response of uWebSockets.js that are used; only `uws-engine.ts` may import the package. */
export interface UwsResponse {
  onAborted(handler: () => void): unknown
  onData(handler: (chunk: ArrayBuffer, last: boolean) => void): unknown
  onWritable(handler: (offset: number) => boolean): unknown
  pause(): void
  resume(): void
  cork(run: () => void): unknown
  writeStatus(status: string): unknown
  writeHeader(name: string, value: string): unknown
  /** Returns false if data is buffered. */
  write(chunk: Uint8Array<ArrayBuffer>): boolean
  end(body?: ArrayBuffer | string, close?: boolean): unknown
  endWithoutBody(length?: number): unknown
  close(): unknown
  getRemoteAddressAsText(): ArrayBuffer
}

/** The copied parts of a request. */
export interface UwsRequest {
  readonly method: string
  /** Path and query as received. */
  readonly target: string
  /** Empty if there is none. */
  readonly host: string
  /** Number of Host headers. */
  readonly hosts: number
  /** The protocol of its Upgrade header, in lower case. */
  readonly upgrade: string
  readonly headers: readonly (readonly [string, string])[]
}

/** What serves HTTP on one listener. */
export interface UwsHttp {
  readonly app: EngineApp
  /** Whether the listener uses TLS. */
  readonly secure: boolean
  readonly requests: RequestTurns
}

/** Maximum bytes of a request's body that wait to be read; beyond it the peer is held back. */
const BODY_BYTES = 64 * 1024

/** Headers that the engine writes itself. */
const OWN_HEADERS = ['content-length', 'transfer-encoding', 'connection']

/** Serves one HTTP request through the fetch-style handler. Call before anything is awaited. */
export function serveHttp(response: UwsResponse, request: UwsRequest, url: URL, http: UwsHttp): void {
  const exchange = new UwsExchange(response)
  const { app } = http
  app.arrived(exchange)
  exchange
    .serve(request, url, http)
    .catch((error: unknown) => {
      app.failed(error)
      exchange.destroy()
    })
    .finally(() => {
      exchange.finished()
      app.left(exchange)
    })
}

/** Closes a connection that may be closed already, which uWebSockets.js reports by throwing. */
export function closeIfOpen(connection: { close(): unknown }): void {
  try {
    connection.close()
  } catch {
    // It is already closed.
  }
}

/**
 * One request and its response. uWebSockets.js does not tell which connection a request belongs to, or that a connection exists
 * before its first request.
 */
class UwsExchange implements HttpConnection {
  readonly remoteAddress: string
  private readonly response: UwsResponse
  private readonly gone = new AbortController()
  private body: RequestBody | undefined = undefined
  private deadline: NodeJS.Timeout | undefined = undefined

  constructor(response: UwsResponse) {
    this.response = response
    this.remoteAddress = Buffer.from(response.getRemoteAddressAsText()).toString()
    response.onAborted(() => this.gone.abort())
  }

  get answering(): boolean {
    return this.body === undefined || this.body.whole
  }

  destroy(): void {
    if (!this.gone.signal.aborted) closeIfOpen(this.response)
    this.gone.abort()
  }

  finished(): void {
    clearTimeout(this.deadline)
  }

  async serve(copied: UwsRequest, url: URL, { app, secure, requests }: UwsHttp): Promise<void> {
    const { response } = this
    const { signal } = this.gone
    if (copied.method !== 'GET' && copied.method !== 'HEAD') {
      this.body = new RequestBody(response, signal)
      this.deadline = setTimeout(() => this.late(), REQUEST_TIMEOUT_MS)
    }
    // uWebSockets.js ends a connection if a request arrives while another waits for its response.
    const turn = requests.next()
    if (turn) await turn
    if (signal.aborted) return
    const request = toRequest(copied, url, this.body, signal)
    const peer = { remoteAddress: this.remoteAddress, secure, destroy: () => this.destroy() }
    const answer = request ? await app.fetch(request, peer) : new Response(null, { status: 400 })
    if (answer.body && answer.headers.has('transfer-encoding')) {
      // The response does not end by itself, and the hub has counted it.
      app.left(this)
      await stream(answer, answer.body.getReader(), response, signal)
      return
    }
    const content = await answer.arrayBuffer()
    requests.answered(content.byteLength)
    if (signal.aborted) return
    // No response uses the rest of the body.
    this.body?.discard()
    response.cork(() => {
      writeHead(response, answer)
      if (copied.method === 'HEAD') response.endWithoutBody(Number(answer.headers.get('content-length') ?? 0))
      else response.end(content)
    })
  }

  /** The peer took too long for its request. */
  private late(): void {
    if (this.answering || this.gone.signal.aborted) return
    this.response.cork(() => {
      this.response.writeStatus('408 Request Timeout')
      this.response.end('', true)
    })
    this.gone.abort()
  }
}

/**
 * A request with the signal of its exchange. `Request` would derive its own signal from it, and register both for cleanup after
 * garbage collection: the request and its body would survive until two major collections have run.
 */
class ExchangeRequest extends Request {
  override readonly signal: AbortSignal

  constructor(url: URL, init: RequestInit, signal: AbortSignal) {
    super(url, init)
    this.signal = signal
  }
}

/** Undefined if `fetch` refuses its method or a header. */
function toRequest(
  copied: UwsRequest,
  url: URL,
  body: RequestBody | undefined,
  signal: AbortSignal,
): Request | undefined {
  const { method } = copied
  try {
    const headers = new Headers()
    // The engine decodes the bytes as UTF-8, but HTTP uses Latin-1.
    for (const [name, value] of copied.headers) headers.append(name, Buffer.from(value).toString('latin1'))
    const init = { method, headers, ...(body && { body: body.stream, duplex: 'half' as const }) }
    return new ExchangeRequest(url, init, signal)
  } catch {
    return undefined
  }
}

/** The body of a request as it arrives, at the speed at which it is read. */
class RequestBody {
  readonly stream: ReadableStream<Uint8Array>
  private readonly response: UwsResponse
  private readonly signal: AbortSignal
  private state: 'flowing' | 'paused' | 'ended' = 'flowing'
  private arrived = false

  constructor(response: UwsResponse, signal: AbortSignal) {
    this.response = response
    this.signal = signal
    this.stream = new ReadableStream<Uint8Array>(
      { start: (controller) => this.start(controller), pull: () => this.resume(), cancel: () => this.discard() },
      { highWaterMark: BODY_BYTES, size: (chunk) => chunk.byteLength },
    )
  }

  /** Whether all of it has arrived, or the peer is held back until the body is read. */
  get whole(): boolean {
    return this.arrived || this.state === 'paused'
  }

  /** The unread rest is not needed. */
  discard(): void {
    this.resume()
    this.state = 'ended'
  }

  private start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.response.onData((chunk, last) => {
      // A copy, because the engine reuses the chunk. And not immediately: see `uws-later.ts`.
      const bytes = new Uint8Array(chunk.slice(0))
      if (last) this.arrived = true
      setImmediate(() => this.came(bytes, last, controller))
    })
    this.signal.addEventListener('abort', () => {
      if (this.state !== 'ended') controller.error(new Error('The client went away'))
      this.state = 'ended'
    })
  }

  private came(bytes: Uint8Array, last: boolean, controller: ReadableStreamDefaultController<Uint8Array>): void {
    if (this.state === 'ended') return
    if (bytes.length > 0) controller.enqueue(bytes)
    if (last) {
      this.state = 'ended'
      controller.close()
    } else if (this.state === 'flowing' && (controller.desiredSize ?? 0) <= 0) {
      this.state = 'paused'
      this.response.pause()
    }
  }

  private resume(): void {
    if (this.state !== 'paused' || this.signal.aborted) return
    this.state = 'flowing'
    this.response.resume()
  }
}

type AnswerBody = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>

/** Sends a response in pieces, at the speed at which the peer takes them, until it ends or the peer disconnects. */
async function stream(answer: Response, body: AnswerBody, response: UwsResponse, signal: AbortSignal): Promise<void> {
  const cancel = () => body.cancel().catch(() => {})
  if (signal.aborted) return cancel()
  signal.addEventListener('abort', cancel)
  let writable = () => {}
  signal.addEventListener('abort', () => writable())
  response.onWritable(() => {
    writable()
    return true
  })
  response.cork(() => writeHead(response, answer))
  for (;;) {
    const { done, value } = await body.read()
    if (signal.aborted) return
    if (done) break
    // In pieces, for the same reason that WebSocket messages are sent as fragments.
    for (let at = 0; at < value.length; at += PART_BYTES) {
      let written = true
      response.cork(() => {
        written = response.write(value.subarray(at, at + PART_BYTES))
      })
      if (written) continue
      await new Promise<void>((resolve) => {
        writable = resolve
      })
      if (signal.aborted) return
    }
  }
  signal.removeEventListener('abort', cancel)
  response.cork(() => response.end())
}

function writeHead(response: UwsResponse, answer: Response): void {
  response.writeStatus(`${answer.status} ${answer.statusText}`)
  answer.headers.forEach((value, name) => {
    if (!OWN_HEADERS.includes(name)) response.writeHeader(name, value)
  })
}
