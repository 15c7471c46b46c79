import { decodeBinary, decodeText, encodeFrame } from '../shared/codec.ts'
import { errorFrom, FanfareError } from '../shared/fanfare-error.ts'
import type { ErrorFrame, Headers, PublishFrame, ReceiptFrame } from '../shared/frames.ts'
import type { Position } from '../shared/streams.ts'
import { parseTopic } from '../shared/topic.ts'
import { reasonOf, throwIfAborted } from './abort.ts'
import { encodeChecked } from './encode-checked.ts'
import { randomId } from './random-id.ts'
import type { Session } from './session.ts'
import { exceeds } from './writer.ts'

/** What a message has beside its topic and data. */
export interface PublishOptions {
  /** Conflation, last values and a queue's groups go by it: 255 characters at most. */
  readonly key?: string
  /** 32 at most; filters and bindings look at them. */
  readonly headers?: Headers
  /** Milliseconds since 1970; from then on the message is not delivered. */
  readonly expiresAt?: number
  /** For queues: 0 to 9, the higher first; 4 by default. */
  readonly priority?: number
  /** For queues: not to be delivered before so many milliseconds have passed; a year at most. */
  readonly delayMs?: number
  /** For queues: not to be delivered before, in milliseconds since 1970; `delayMs` is the stronger. */
  readonly deliverAt?: number
  /**
   * 1 to 64 letters, digits and `_ . : ~ -`; one is made if it is missing. Streams and queues keep one message of an id,
   * within two minutes by default. An id belongs to one publisher (the authenticated subject; all anonymous clients are one
   * publisher) and one destination (the topic published to, or the queue enqueued to): the same id of another subject, on
   * another topic or queue, or after everything it went to has been deleted or purged, is another message.
   */
  readonly id?: string
  /** Takes the publish back while it still waits. */
  readonly signal?: AbortSignal
}

/** What a publish resolves to. */
export interface Receipt {
  /** Of the message. */
  readonly id: string
  /** A message with this id had been kept before; this is where that one is. */
  readonly duplicate: boolean
  /** Where it is kept, by stream. */
  readonly positions: Readonly<Record<string, Position>>
  /** Queues that it reached. Nothing here nor there: it went to whoever was there, and is not kept. */
  readonly queues: readonly string[]
}

interface Waiting {
  frame: string | Uint8Array
  readonly seq: number
  readonly resolve: (receipt: Receipt) => void
  readonly reject: (error: unknown) => void
  /** It was sent on a connection that has been lost. */
  retry: boolean
}

/** Publishes within the window that the hub grants; what does not fit waits here, in order and bounded. */
export class Publisher {
  private readonly session: Session
  private readonly queueLimit: number
  private readonly sent = new Map<number, Waiting>()
  private queue: Waiting[] = []
  /** First of the queue: shifting an array of thousands for each publish would cost more than the publish. */
  private head = 0
  private readonly nextSeq: () => number
  // An id is a random prefix and a count: unique like a nanoid, at a fraction of its cost.
  private readonly idPrefix = `${randomId()}.`
  private window = 0
  private whenIdle: (() => void) | undefined

  constructor(session: Session, queueLimit: number, nextSeq: () => number) {
    this.session = session
    this.queueLimit = queueLimit
    this.nextSeq = nextSeq
  }

  async publish(topic: string, data: unknown, options: PublishOptions): Promise<Receipt> {
    const { signal, ...fields } = options
    throwIfAborted(signal)
    parseTopic(topic)
    if (this.session.state === 'closed') throw new FanfareError('client_closed')
    if (this.queue.length - this.head >= this.queueLimit) throw new FanfareError('queue_full')
    const seq = this.nextSeq()
    const id = options.id ?? this.idPrefix + seq.toString(36)
    const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : data
    // Encoded now: the caller may change the data afterwards. Undefined fields vanish in JSON.
    const frame = encodeChecked({ type: 'publish', seq, topic, ...fields, id, data: bytes } as PublishFrame)
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { frame, seq, resolve, reject, retry: false }
      if (signal) abortWith(signal, waiting, () => this.takeBack(waiting))
      this.queue.push(waiting)
      this.pump()
    })
  }

  /** Resolves when every publish has been answered, or the connection is lost. */
  idle(): Promise<void> {
    if (this.sent.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.whenIdle = resolve
    })
  }

  welcomed(window: number): void {
    this.window = window
    this.pump()
  }

  receipt({ seq, id, duplicate = false, positions = {}, queues = [] }: ReceiptFrame): void {
    this.take(seq)?.resolve({ id, duplicate, positions, queues })
  }

  refused(frame: ErrorFrame): void {
    this.take(frame.seq as number)?.reject(errorFrom(frame))
  }

  /**
   * What was sent may have happened or not: it goes out again on the next connection, before what still waits. A hub
   * that keeps it knows its id; one that does not says `connection_lost`.
   */
  lost(): void {
    this.window = 0
    const again = [...this.sent.values()]
    for (const waiting of again) {
      if (!waiting.retry) waiting.frame = asRetry(waiting.frame)
      waiting.retry = true
    }
    this.queue = [...again, ...this.queue.slice(this.head)]
    this.head = 0
    this.sent.clear()
    this.whenIdle?.()
  }

  ended(error: FanfareError): void {
    for (const { reject, retry } of this.queue.slice(this.head)) {
      reject(retry ? new FanfareError('connection_lost') : error)
    }
    this.queue = []
    this.head = 0
  }

  private take(seq: number): Waiting | undefined {
    const waiting = this.sent.get(seq)
    this.sent.delete(seq)
    this.pump()
    if (this.sent.size === 0) this.whenIdle?.()
    return waiting
  }

  private takeBack(waiting: Waiting): void {
    const at = this.queue.indexOf(waiting, this.head)
    if (at >= 0) this.queue.splice(at, 1)
  }

  private pump(): void {
    while (this.sent.size < this.window && this.head < this.queue.length) {
      const waiting = this.queue[this.head++] as Waiting
      if (exceeds(waiting.frame, this.session.writer.limit)) {
        waiting.reject(new FanfareError('frame_too_large', `The limit is ${this.session.writer.limit} bytes`))
        continue
      }
      this.sent.set(waiting.seq, waiting)
      this.session.write(waiting.frame)
    }
    if (this.head > 1000 && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head)
      this.head = 0
    }
    if (this.head === this.queue.length && this.head > 0) {
      this.queue.length = 0
      this.head = 0
    }
  }
}

function asRetry(frame: string | Uint8Array): string | Uint8Array {
  const [decoded] = typeof frame === 'string' ? decodeText(frame) : decodeBinary(frame)
  return encodeFrame({ ...(decoded as PublishFrame), retry: true })
}

/** Rejects on abort; what was sent already cannot be taken back, and its receipt then goes unheard. */
function abortWith(signal: AbortSignal, waiting: Waiting, takeBack: () => void): void {
  const abort = () => {
    takeBack()
    waiting.reject(reasonOf(signal))
  }
  signal.addEventListener('abort', abort, { once: true })
  const { resolve, reject } = waiting
  Object.assign(waiting, {
    resolve(receipt: Receipt) {
      signal.removeEventListener('abort', abort)
      resolve(receipt)
    },
    reject(error: unknown) {
      signal.removeEventListener('abort', abort)
      reject(error)
    },
  })
}
