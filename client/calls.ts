import { FanfareError } from '../shared/errors.ts'
import type { ErrorFrame, ResultFrame } from '../shared/frames.ts'
import { errorFrom, type Session } from './session.ts'

interface Pending {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Requests of an operator, each with one answer. */
export class Calls {
  private readonly session: Session
  private readonly nextSeq: () => number
  private readonly pending = new Map<number, Pending>()

  constructor(session: Session, nextSeq: () => number) {
    this.session = session
    this.nextSeq = nextSeq
  }

  /** The connection has to stand. */
  call(method: string, params: unknown): Promise<unknown> {
    const seq = this.nextSeq()
    return new Promise((resolve, reject) => {
      this.pending.set(seq, { resolve, reject })
      this.session.write(JSON.stringify({ type: 'call', seq, method, params }))
    })
  }

  result({ seq, result }: ResultFrame): void {
    this.take(seq)?.resolve(result)
  }

  /** False: the refused request was no call. */
  refused({ seq, code, message }: ErrorFrame): boolean {
    const pending = this.take(seq as number)
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
