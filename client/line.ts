import type { Timer } from '../shared/clock.ts'
import { FanfareError } from '../shared/fanfare-error.ts'
import { onAbort, reasonOf, throwIfAborted } from './abort.ts'
import type { Session } from './session.ts'
import { exceeds } from './writer.ts'

/** How long a caller waits. */
export interface Patience {
  /** From the call, also while there is no connection. Rejects with `request_timeout`. */
  readonly timeoutMs?: number | undefined
  /** The time ends when it is sent: from then on the connection bounds it. */
  readonly untilSent?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

interface Waiting {
  frame: string | Uint8Array
  readonly seq: number
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
  /** Makes the frame that goes out again where the connection was lost before the answer. Without it that is the end. */
  readonly again: ((frame: string | Uint8Array) => string | Uint8Array) | undefined
  /** It was sent on a connection that has been lost. */
  retry: boolean
  /** Its caller has given up: the answer is no longer needed. */
  gone: boolean
  timer: Timer | undefined
  readonly untilSent: boolean
}

/** What may wait in all lines of a client together. */
export class Room {
  readonly #mostCount: number
  readonly #mostBytes: number
  #count = 0
  #bytes = 0

  constructor(mostCount: number, mostBytes: number) {
    this.#mostCount = mostCount
    this.#mostBytes = mostBytes
  }

  /** Throws `send_buffer_full`. */
  check(frame: string | Uint8Array): void {
    if (this.#count >= this.#mostCount || this.#bytes + frame.length > this.#mostBytes)
      throw new FanfareError('send_buffer_full')
  }

  take(frame: string | Uint8Array): void {
    this.#count++
    this.#bytes += frame.length
  }

  give(frame: string | Uint8Array): void {
    this.#count--
    this.#bytes -= frame.length
  }
}

/**
 * What is sent and has one answer each. The hub grants how many may be unanswered; the rest waits here in order, as all of it does
 * while there is no connection.
 */
export class Line {
  readonly #session: Session
  readonly #room: Room
  readonly #sent = new Map<number, Waiting>()
  #queue: Waiting[] = []
  /** First of the queue: shifting an array of thousands for each one would cost more than to send it. */
  #head = 0
  /** Number of entries in the queue whose callers have given up. */
  #goneCount = 0
  #limit = 0
  #whenIdle: (() => void) | undefined

  constructor(session: Session, room: Room) {
    this.#session = session
    this.#room = room
  }

  /** Sends it as soon as there is a place. `again`: see `Waiting`. Throws `client_closed`, `send_buffer_full`, and the reason of the signal. */
  send(seq: number, frame: string | Uint8Array, patience: Patience, again?: Waiting['again']): Promise<unknown> {
    const { timeoutMs, untilSent = false, signal } = patience
    throwIfAborted(signal)
    if (this.#session.state === 'closed') throw new FanfareError('client_closed')
    this.#room.check(frame)
    return new Promise((resolve, reject) => {
      const waiting = { frame, seq, resolve, reject, again, retry: false, gone: false, timer: undefined, untilSent }
      this.#queue.push(timeoutMs === undefined && !signal ? waiting : this.#impatient(waiting, timeoutMs, signal))
      this.#room.take(frame)
      this.#pump()
    })
  }

  /** The hub grants so many places on the new connection. */
  welcomed(limit: number): void {
    this.#limit = limit
    this.#pump()
  }

  /** How it was answered. False: it is not of this line. */
  answered(seq: number, answer: (waiting: Pick<Waiting, 'resolve' | 'reject'>) => void): boolean {
    const waiting = this.#sent.get(seq)
    if (!waiting) return false
    this.#sent.delete(seq)
    answer(waiting)
    this.#pump()
    return true
  }

  /** Whether something waits to be sent. */
  get waits(): boolean {
    return this.#live.length > 0
  }

  /** Those without an answer: never sent, and sent. */
  get unsent(): number {
    return this.#live.filter(({ retry }) => !retry).length
  }

  get unanswered(): number {
    return this.#live.filter(({ retry }) => retry).length + [...this.#sent.values()].filter(({ gone }) => !gone).length
  }

  /** Resolves when nothing waits and all has been answered. */
  async idle(): Promise<void> {
    while (this.#sent.size > 0 || this.#live.length > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve
      })
    }
  }

  /**
   * What was sent may have happened or not. What may be repeated goes out again on the next connection, before what still waits. A hub
   * that keeps it knows its id; one that does not answers with `connection_lost`.
   */
  lost(): void {
    this.#limit = 0
    const repeated: Waiting[] = []
    for (const waiting of this.#sent.values()) {
      if (waiting.gone) continue
      if (!waiting.again) {
        waiting.reject(new FanfareError('connection_lost'))
        continue
      }
      if (!waiting.retry) waiting.frame = waiting.again(waiting.frame)
      waiting.retry = true
      this.#room.take(waiting.frame)
      repeated.push(waiting)
    }
    this.#sent.clear()
    this.#compact(repeated)
    this.#whenIdle?.()
  }

  ended(error: FanfareError): void {
    for (const waiting of this.#live) {
      this.#room.give(waiting.frame)
      waiting.reject(waiting.retry ? new FanfareError('connection_lost') : error)
    }
    this.#queue = []
    this.#compact()
    this.#whenIdle?.()
  }

  get #live(): Waiting[] {
    return this.#queue.slice(this.#head).filter(({ gone }) => !gone)
  }

  /** What was sent cannot be taken back: it keeps its place until it is answered, and nobody hears that. */
  #impatient(waiting: Waiting, timeoutMs: number | undefined, signal: AbortSignal | undefined): Waiting {
    const { clock } = this.#session
    const give = (error: unknown) => {
      waiting.reject(error)
      waiting.gone = true
      if (this.#sent.get(waiting.seq) === waiting) return
      this.#room.give(waiting.frame)
      waiting.frame = ''
      if (++this.#goneCount * 2 > this.#queue.length - this.#head) this.#compact()
      this.#whenIdle?.()
    }
    const offAbort = onAbort(signal, () => give(signal && reasonOf(signal)))
    const done = () => {
      clock.clearTimeout(waiting.timer)
      offAbort()
    }
    const { resolve, reject } = waiting
    if (timeoutMs !== undefined) {
      waiting.timer = clock.setTimeout(() => give(new FanfareError('request_timeout')), timeoutMs)
    }
    return Object.assign(waiting, {
      resolve(answer: unknown) {
        done()
        resolve(answer)
      },
      reject(error: unknown) {
        done()
        reject(error)
      },
    })
  }

  #pump(): void {
    const { limit: frameBytes } = this.#session.writer
    while (this.#sent.size < this.#limit && this.#head < this.#queue.length) {
      const waiting = this.#queue[this.#head++] as Waiting
      if (waiting.gone) {
        this.#goneCount--
        continue
      }
      this.#room.give(waiting.frame)
      if (exceeds(waiting.frame, frameBytes)) {
        waiting.reject(new FanfareError('frame_too_large', `The limit is ${frameBytes} bytes`))
        continue
      }
      if (waiting.untilSent) this.#session.clock.clearTimeout(waiting.timer)
      this.#sent.set(waiting.seq, waiting)
      this.#session.write(waiting.frame)
    }
    if (this.#head === this.#queue.length) this.#queue.length = this.#head = this.#goneCount = 0
    else if (this.#head > 1000 && this.#head * 2 > this.#queue.length) this.#compact()
    if (this.#sent.size === 0) this.#whenIdle?.()
  }

  #compact(before: Waiting[] = []): void {
    this.#queue = before.concat(this.#live)
    this.#head = this.#goneCount = 0
  }
}
