import { Buffer } from 'node:buffer'
import { setImmediate } from 'node:timers'
import { PART_BYTES } from './batch.ts'
import type { EngineApp } from './engine.ts'

/** What is used of an HTTP response of uWebSockets.js, which only `uws-engine.ts` may import. */
export interface UwsResponse {
  onAborted(handler: () => void): unknown
  onData(handler: (chunk: ArrayBuffer, last: boolean) => void): unknown
  onWritable(handler: (offset: number) => boolean): unknown
  pause(): void
  resume(): void
  cork(run: () => void): unknown
  writeStatus(status: string): unknown
  writeHeader(name: string, value: string): unknown
  /** False: it holds a rest. */
  write(chunk: Uint8Array<ArrayBuffer>): boolean
  end(body?: ArrayBuffer): unknown
  close(): unknown
  getRemoteAddressAsText(): ArrayBuffer
}

/** What was copied of a request while it was there. */
export interface UwsRequest {
  readonly method: string
  readonly url: string
  /** It came over TLS. */
  readonly secure: boolean
  readonly headers: readonly (readonly [string, string])[]
}

/** Bytes of a request's body that may wait for whoever reads it; then the peer is held back. */
const BODY_BYTES = 64 * 1024

/** Headers that the engine writes by itself. */
const OWN_HEADERS = ['content-length', 'transfer-encoding', 'connection']

/** Serves one HTTP request through the fetch-style handler. To be called before anything is awaited. */
export async function serveHttp(response: UwsResponse, copied: UwsRequest, app: EngineApp): Promise<void> {
  const gone = new AbortController()
  const { signal } = gone
  response.onAborted(() => gone.abort())
  const peer = {
    remoteAddress: Buffer.from(response.getRemoteAddressAsText()).toString(),
    secure: copied.secure,
    destroy: () => void (signal.aborted || response.close()),
  }
  const body = copied.method === 'GET' || copied.method === 'HEAD' ? undefined : new RequestBody(response, signal)
  const request = toRequest(copied, body, signal)
  const answer = request ? await app.fetch(request, peer) : new Response(null, { status: 400 })
  if (answer.body && answer.headers.has('transfer-encoding')) {
    await stream(answer, answer.body.getReader(), response, signal)
    return
  }
  const content = await answer.arrayBuffer()
  if (signal.aborted) return
  // What still comes of it belongs to no response.
  body?.discard()
  response.cork(() => {
    writeHead(response, answer)
    response.end(content)
  })
}

/** Undefined where the request is none that `fetch` has: a method, host or header that it refuses. */
function toRequest(copied: UwsRequest, body: RequestBody | undefined, signal: AbortSignal): Request | undefined {
  const { method, url } = copied
  try {
    const headers = new Headers()
    // The engine takes the bytes for UTF-8, and HTTP for Latin-1.
    for (const [name, value] of copied.headers) headers.append(name, Buffer.from(value).toString('latin1'))
    return new Request(url, { method, headers, signal, ...(body && { body: body.stream, duplex: 'half' as const }) })
  } catch {
    return undefined
  }
}

/** A body as it comes, at the speed at which it is read. */
class RequestBody {
  readonly stream: ReadableStream<Uint8Array>
  private readonly response: UwsResponse
  private readonly signal: AbortSignal
  private state: 'flowing' | 'paused' | 'ended' = 'flowing'

  constructor(response: UwsResponse, signal: AbortSignal) {
    this.response = response
    this.signal = signal
    this.stream = new ReadableStream<Uint8Array>(
      { start: (controller) => this.start(controller), pull: () => this.resume(), cancel: () => this.discard() },
      { highWaterMark: BODY_BYTES, size: (chunk) => chunk.byteLength },
    )
  }

  /** What has not been read is not wanted. */
  discard(): void {
    this.resume()
    this.state = 'ended'
  }

  private start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.response.onData((chunk, last) => {
      // A copy: the chunk is the engine's again afterwards. And not at once: see `uws-later.ts`.
      const bytes = new Uint8Array(chunk.slice(0))
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

/** Sends an answer piece by piece, at the speed at which the peer takes it, until it ends or the peer goes away. */
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
    // In pieces, for the reason that WebSocket messages go out in fragments.
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
