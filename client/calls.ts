import { errorFrom, FanfareError } from '../shared/fanfare-error.ts'
import type { ErrorFrame, ResultFrame } from '../shared/frames.ts'
import type { Session } from './session.ts'

interface Pending {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Requests of an operator, each with one answer. */
export class Calls {
  private readonly session: Session
  private readonly nextSeq: () => number
  private readonly pending = new Map<number, Pending>()
  /** Frames beyond what the hub takes at once, in order. */
  private waiting: string[] = []
  private limit = Number.POSITIVE_INFINITY

  constructor(session: Session, nextSeq: () => number) {
    this.session = session
    this.nextSeq = nextSeq
  }

  /** How many calls may be unanswered; a hub without a limit names none. */
  welcomed(limit = Number.POSITIVE_INFINITY): void {
    this.limit = limit
  }

  /** The connection has to stand. */
  call(method: string, params: unknown): Promise<unknown> {
    const seq = this.nextSeq()
    return new Promise((resolve, reject) => {
      const frame = JSON.stringify({ type: 'call', seq, method, params })
      this.pending.set(seq, { resolve, reject })
      if (this.pending.size > this.limit) this.waiting.push(frame)
      else this.session.write(frame)
    })
  }

  result({ seq, result }: ResultFrame): void {
    this.take(seq)?.resolve(result)
  }

  /** False: the refused request was no call. */
  refused(frame: ErrorFrame): boolean {
    const pending = this.take(frame.seq as number)
    pending?.reject(errorFrom(frame))
    return pending !== undefined
  }

  lost(): void {
    for (const { reject } of this.pending.values()) reject(new FanfareError('connection_lost'))
    this.pending.clear()
    this.waiting = []
  }

  private take(seq: number): Pending | undefined {
    const pending = this.pending.get(seq)
    // One that was answered makes room for the next.
    const next = this.pending.delete(seq) ? this.waiting.shift() : undefined
    if (next !== undefined) this.session.write(next)
    return pending
  }
}
