import { setImmediate, setTimeout } from 'node:timers'
import { ERRORS, type ErrorCode, errorEntry, FanfareError } from '../../shared/errors.ts'
import type { HubFrame } from '../../shared/frames.ts'
import type { Batch } from '../engine/batch.ts'
import { CLOSE_TIMEOUT_MS, type EngineSocket, type HttpPeer, type SocketHandlers } from '../engine/engine.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import { endEvent } from './end-event.ts'
import type { EventWriter } from './event-writer.ts'
import type { Refusal } from './problem.ts'
import { framesOf } from './wire-frames.ts'

const utf8 = new TextEncoder()
const HEARTBEAT = utf8.encode(':\n\n')

/**
 * An HTTP response as a connection's socket: frames become events. The body produces a piece only when it is read, and the engine
 * reads only as fast as the peer takes it. So the outbox fills up for a slow reader just as it does for a slow WebSocket.
 */
export class EventSocket implements EngineSocket {
  readonly body: ReadableStream<Uint8Array>
  /** Resolves when all subscriptions are confirmed; rejects with the first refusal. */
  readonly started: Promise<void>
  bufferedBytes = 0
  handlers: SocketHandlers | undefined = undefined
  private readonly peer: HttpPeer | undefined
  private readonly writer: EventWriter
  private readonly unexpected: UnexpectedErrors
  private waiting: Uint8Array[] = []
  private controller: ReadableStreamDefaultController<Uint8Array> | undefined = undefined
  /** The reader wants a piece, but there is none. */
  private asked = false
  private full = false
  private state: 'starting' | 'open' | 'ending' | 'ended' = 'starting'
  private missing: number
  private begin: () => void = () => {}
  private refuse: (refusal: Refusal) => void = () => {}
  /** The reported reason why the connection ends, if there is one. */
  private lastError: Refusal | undefined = undefined

  constructor(peer: HttpPeer | undefined, writer: EventWriter, subscriptions: number, unexpected: UnexpectedErrors) {
    this.unexpected = unexpected
    this.peer = peer
    this.writer = writer
    this.missing = subscriptions
    this.started = new Promise((resolve, reject) => {
      this.begin = resolve
      this.refuse = reject
    })
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.controller = controller
        },
        pull: () => this.pull(),
        cancel: () => this.gone(),
      },
      { highWaterMark: 0 },
    )
  }

  write(batch: Batch): boolean {
    let text = ''
    for (const frames of framesOf(batch)) {
      text += this.writer.events(frames)
      for (const frame of frames) text += this.note(frame)
    }
    if (text !== '') this.push(utf8.encode(text))
    return !this.full
  }

  /** Sends a comment, so that proxies know that the response is alive. */
  ping(): void {
    if (this.asked && this.state === 'open') this.push(HEARTBEAT)
  }

  // The client sends nothing after its subscriptions.
  setReading(): void {}

  close(code: number): void {
    if (this.state === 'ended' || this.state === 'ending') return
    const refusal = this.lastError ?? new FanfareError(codeOfClose(code))
    this.refuse(refusal)
    this.push(utf8.encode(endEvent(refusal)))
    this.state = 'ending'
    if (this.asked) this.finish()
    else setTimeout(() => this.unexpected.run('http', () => this.terminate()), CLOSE_TIMEOUT_MS).unref()
  }

  terminate(): void {
    if (this.state === 'ended') return
    if (this.peer) this.peer.destroy()
    else this.controller?.error(new FanfareError('connection_lost'))
    this.gone()
  }

  /** The peer is gone, or has received everything: the hub is notified once, and never from within a call of its own. */
  gone(): void {
    if (this.state === 'ended') return
    this.state = 'ended'
    this.refuse(new FanfareError('connection_lost'))
    this.waiting = []
    this.bufferedBytes = 0
    setImmediate(() => this.handlers?.close())
  }

  private note(frame: HubFrame): string {
    if (frame.type === 'subscribed' && --this.missing === 0) {
      this.state = 'open'
      this.begin()
      // The positions come first: a reader that is cut off before the first message resumes here.
      return `${retryLine()}${this.writer.id}\n`
    }
    if (frame.type !== 'error') return ''
    this.lastError ??= frame
    // Only one subscription is refused, and the connection could continue without it. But a response stands for all of them or
    // none.
    if (frame.sub !== undefined) setImmediate(() => this.unexpected.run('http', () => this.close(0)))
    return ''
  }

  private push(bytes: Uint8Array): void {
    if (this.state === 'ended' || this.state === 'ending') return
    if (this.asked) {
      this.asked = false
      this.controller?.enqueue(bytes)
    } else {
      this.waiting.push(bytes)
      this.bufferedBytes += bytes.length
      this.full = true
    }
  }

  private pull(): void {
    if (this.state === 'ended') return
    // What was produced before has been taken, which is a sign of life.
    this.handlers?.alive()
    const bytes = this.waiting.shift()
    if (bytes) {
      this.bufferedBytes -= bytes.length
      this.controller?.enqueue(bytes)
    } else if (this.state === 'ending') {
      return this.finish()
    } else {
      this.asked = true
    }
    if (!this.full || this.waiting.length > 0) return
    this.full = false
    if (this.state !== 'ending') this.handlers?.drain()
  }

  private finish(): void {
    this.controller?.close()
    this.gone()
  }
}

/** How long `EventSource` waits before it reconnects; random, so that not all reconnect at the same time. */
function retryLine(): string {
  return `retry: ${Math.round(1000 + Math.random() * 1000)}\n`
}

/** The only error that closes with this code; errors that share a code were reported in a frame before. */
function codeOfClose(close: number): ErrorCode {
  return (Object.keys(ERRORS) as ErrorCode[]).find((code) => errorEntry(code).close === close) ?? 'internal'
}
