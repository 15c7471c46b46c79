import type { Timer } from '../shared/clock.ts'
import { errorFrom, FanfareError } from '../shared/fanfare-error.ts'
import type { HubFrame } from '../shared/frames.ts'
import { onAbort } from './abort.ts'
import { Deferred } from './deferred.ts'
import { Lull } from './lull.ts'
import type { Session } from './session.ts'
import { exceeds, tooLarge } from './writer.ts'

/** A frame as it goes into a WebSocket message. */
export type Encoded = string | Uint8Array

/** How long a caller waits. */
export interface Patience {
  /** Counted from the call, also while there is no connection. Rejects with `request_timeout`. */
  readonly timeoutMs?: number | undefined
  /** The time limit ends when the frame is sent. From then on only the connection limits the wait. */
  readonly untilSent?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** Something that is sent and gets one answer. */
export interface Question<Answer> {
  encode(seq: number): Encoded
  /** The answer in the frame with the number. Throws the error that it reports. */
  read(frame: never): Answer
  /** Makes the frame that goes out again if the connection was lost before the answer. Without it that is the end. */
  again?(frame: Encoded): Encoded
}

interface Waiting {
  frame: Encoded
  readonly seq: number
  readonly question: Question<unknown>
  readonly answer: Deferred<unknown>
  /** It was sent on a connection that has been lost. */
  retry: boolean
  /** Its caller has given up: the answer is no longer needed. */
  gone: boolean
  timer: Timer | undefined
  readonly untilSent: boolean
}

/** The limit on what waits in all lines of a client together. */
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
  check(frame: Encoded): void {
    if (this.#count >= this.#mostCount || this.#bytes + frame.length > this.#mostBytes)
      throw new FanfareError(
        'send_buffer_full',
        `${this.#count} calls (${this.#bytes} bytes) already wait to be sent. Await them, or raise queueLimit or queueLimitBytes.`,
      )
  }

  take(frame: Encoded): void {
    this.#count++
    this.#bytes += frame.length
  }

  give(frame: Encoded): void {
    this.#count--
    this.#bytes -= frame.length
  }
}

/**
 * Sends questions that get one answer each. The hub grants how many may be unanswered. The rest waits here in order, and everything waits
 * while there is no connection.
 */
export class Line {
  readonly #session: Session
  readonly #room: Room
  readonly #sent = new Map<number, Waiting>()
  #queue = new Set<Waiting>()
  /** Continues where it was: a new iterator would pass the places of all that have left the queue, for each one that is sent. */
  #next = this.#queue.values()
  #limit = 0
  readonly #lull = new Lull()

  constructor(session: Session, room: Room) {
    this.#session = session
    this.#room = room
  }

  /** Sends it as soon as there is a place. Throws `client_closed`, `send_buffer_full`, and the reason of the signal. */
  send<Answer>(question: Question<Answer>, { timeoutMs, untilSent = false, signal }: Patience): Promise<Answer> {
    const seq = this.#session.nextNumber()
    const frame = question.encode(seq)
    const { clock, state } = this.#session
    if (state === 'closed') throw new FanfareError('client_closed')
    this.#room.check(frame)
    const answer = new Deferred<unknown>()
    const waiting: Waiting = { frame, seq, question, answer, untilSent, retry: false, gone: false, timer: undefined }
    this.#queue.add(waiting)
    this.#room.take(frame)
    const promise = answer.promise as Promise<Answer>
    if (timeoutMs === undefined && !signal) {
      this.#pump()
      return promise
    }
    if (timeoutMs !== undefined) {
      const late = () => this.#giveUp(waiting, tooLate(timeoutMs, untilSent))
      waiting.timer = clock.setTimeout(late, timeoutMs)
    }
    const offAbort = onAbort(signal, (reason) => this.#giveUp(waiting, reason))
    this.#pump()
    return promise.finally(() => {
      clock.clearTimeout(waiting.timer)
      offAbort()
    })
  }

  /** The hub grants this many places on the new connection. */
  welcomed(limit: number): void {
    this.#limit = limit
    this.#pump()
  }

  /** The hub has answered, unless the number is one of another line. */
  answered(frame: Extract<HubFrame, { readonly seq?: number }>): void {
    const seq = frame.seq as number
    const waiting = this.#sent.get(seq)
    if (!waiting) return
    this.#sent.delete(seq)
    const { answer, question } = waiting
    try {
      if (frame.type === 'error') throw errorFrom(frame)
      answer.resolve(question.read(frame as never))
    } catch (error) {
      answer.reject(error)
    }
    this.#pump()
  }

  /** Whether something waits to be sent. */
  get waits(): boolean {
    return this.#queue.size > 0
  }

  /** For each question without an answer, whether it was sent. */
  get open(): boolean[] {
    const open = [...this.#queue, ...this.#sent.values()].filter(({ gone }) => !gone)
    return open.map(({ retry, seq }) => retry || this.#sent.has(seq))
  }

  /** Resolves when nothing waits and all has been answered. */
  idle(): Promise<void> {
    return this.#lull.after(() => this.#sent.size > 0 || this.waits)
  }

  /**
   * What was sent may or may not have happened. What may be repeated goes out again on the next connection, before what still waits. A hub
   * that keeps the message knows its id; a hub that does not keep it answers with `connection_lost`.
   */
  lost(): void {
    this.#limit = 0
    const repeated: Waiting[] = []
    for (const waiting of this.#sent.values()) {
      const { question, answer, frame, gone } = waiting
      if (gone) continue
      if (!question.again) {
        answer.reject(new FanfareError('connection_lost'))
        continue
      }
      if (!waiting.retry) waiting.frame = question.again(frame)
      waiting.retry = true
      this.#room.take(waiting.frame)
      repeated.push(waiting)
    }
    this.#sent.clear()
    this.#queue = new Set([...repeated, ...this.#queue])
    this.#next = this.#queue.values()
    this.#lull.look()
  }

  ended(error: FanfareError): void {
    for (const { frame, answer, retry } of this.#queue) {
      this.#room.give(frame)
      answer.reject(retry ? new FanfareError('connection_lost') : error)
    }
    this.#queue.clear()
    this.#lull.look()
  }

  /** What was sent cannot be withdrawn: it keeps its place until it is answered, and the answer is ignored. */
  #giveUp(waiting: Waiting, error: unknown): void {
    waiting.answer.reject(error)
    waiting.gone = true
    if (this.#queue.delete(waiting)) this.#room.give(waiting.frame)
    this.#lull.look()
  }

  #pump(): void {
    const { writer, clock } = this.#session
    while (this.#sent.size < this.#limit && this.waits) {
      const { value: waiting } = this.#next.next()
      if (!waiting) {
        // One that has been at the end stays there.
        this.#next = this.#queue.values()
        continue
      }
      this.#queue.delete(waiting)
      this.#room.give(waiting.frame)
      if (exceeds(waiting.frame, writer.limit)) {
        waiting.answer.reject(tooLarge(writer.limit))
        continue
      }
      if (waiting.untilSent) clock.clearTimeout(waiting.timer)
      this.#sent.set(waiting.seq, waiting)
      this.#session.write(waiting.frame)
    }
    if (this.#sent.size === 0) this.#lull.look()
  }
}

function tooLate(timeoutMs: number, untilSent: boolean): FanfareError {
  const message = untilSent
    ? `The request could not be sent within ${timeoutMs} ms.`
    : `No reply arrived within ${timeoutMs} ms. The request may or may not have been handled.`
  return new FanfareError('request_timeout', message)
}
