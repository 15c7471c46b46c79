import { encodeFrame } from '../shared/codec.ts'
import { FanfareError } from '../shared/errors.ts'
import type { AnswerFrame, AskFrame, ErrorFrame, Headers } from '../shared/frames.ts'
import { parseFrame } from '../shared/parse-frame.ts'
import { parseTopic } from '../shared/topic.ts'
import { errorFrom, type Session } from './session.ts'
import { exceeds } from './writer.ts'

/** How something is asked. */
export interface RequestOptions {
  /** Longest wait for the reply, in milliseconds from the call, also while there is no connection: 10,000 by default. */
  readonly timeoutMs?: number
  /** 32 at most. */
  readonly headers?: Headers
  /** Waits no longer; the responder may still answer. */
  readonly signal?: AbortSignal
}

interface Pending {
  readonly resolve: (data: unknown) => void
  readonly reject: (error: unknown) => void
}

/** What this client asks of responders. */
export class Requests {
  private readonly session: Session
  private readonly nextNumber: () => number
  private readonly pending = new Map<number, Pending>()

  constructor(session: Session, nextNumber: () => number) {
    this.session = session
    this.nextNumber = nextNumber
  }

  /** The connection has to stand. */
  request(topic: string, data: unknown, options: RequestOptions & { readonly timeoutMs: number }): Promise<unknown> {
    const { timeoutMs, headers, signal } = options
    // The event of a signal that was aborted before never comes.
    signal?.throwIfAborted()
    parseTopic(topic)
    const seq = this.nextNumber()
    const frame: AskFrame = { type: 'ask', seq, topic, data, timeoutMs, ...(headers && { headers }) }
    parseFrame(frame)
    return new Promise((resolve, reject) => {
      const abort = () => this.take(seq)?.reject(signal?.reason)
      signal?.addEventListener('abort', abort, { once: true })
      const done = () => signal?.removeEventListener('abort', abort)
      this.pending.set(seq, {
        resolve(reply) {
          done()
          resolve(reply)
        },
        reject(error) {
          done()
          reject(error)
        },
      })
      const encoded = encodeFrame(frame)
      if (exceeds(encoded, this.session.writer.limit)) this.take(seq)?.reject(new FanfareError('frame_too_large'))
      else this.session.write(encoded)
    })
  }

  answered({ seq, data, error }: AnswerFrame): void {
    const pending = this.take(seq)
    if (error === undefined) pending?.resolve(data)
    else pending?.reject(new FanfareError('responder_failed', error))
  }

  /** False: what was refused was not asked here. */
  refused({ seq, code, message }: ErrorFrame): boolean {
    const pending = seq === undefined ? undefined : this.take(seq)
    pending?.reject(errorFrom(code, message))
    return pending !== undefined
  }

  lost(): void {
    for (const { reject } of this.pending.values()) reject(new FanfareError('connection_lost'))
    this.pending.clear()
  }

  private take(seq: number): Pending | undefined {
    const pending = this.pending.get(seq)
    this.pending.delete(seq)
    return pending
  }
}
