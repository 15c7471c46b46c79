import { setImmediate } from 'node:timers'
import { FanfareError } from '../../shared/errors.ts'
import type { CallFrame } from '../../shared/frames.ts'
import type { Access } from '../auth/access.ts'
import type { ConnectionContext } from './context.ts'
import type { Outbox } from './outbox.ts'

interface Waiting {
  readonly frame: CallFrame
  readonly access: Access
}

/**
 * The calls of one connection. A call costs far more than its frame: so a bounded number may be unanswered, each begins in a turn
 * of the event loop of its own, and none begins while its connection has not taken the answers before.
 */
export class Calls {
  private readonly context: ConnectionContext
  private readonly outbox: Outbox
  private readonly refuse: (error: unknown, frame: unknown) => void
  private readonly waiting: Waiting[] = []
  private unanswered = 0
  private scheduled = false

  constructor(context: ConnectionContext, outbox: Outbox, refuse: (error: unknown, frame: unknown) => void) {
    this.context = context
    this.outbox = outbox
    this.refuse = refuse
  }

  /** Throws `too_many_calls`. */
  call(frame: CallFrame, access: Access): void {
    const { calls } = this.context.config
    if (this.unanswered >= calls) {
      this.context.traffic.limitHits.calls++
      throw new FanfareError('too_many_calls')
    }
    this.unanswered++
    this.waiting.push({ frame, access })
    this.goOn()
  }

  /** Begins the next one in the next turn. Call when the connection has taken all that it was sent, too. */
  goOn(): void {
    if (this.scheduled || this.waiting.length === 0 || !this.outbox.keepsUp) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      const next = this.outbox.keepsUp ? this.waiting.shift() : undefined
      if (next) void this.run(next)
      this.goOn()
    })
  }

  release(): void {
    this.waiting.length = 0
  }

  private async run({ frame, access }: Waiting): Promise<void> {
    const { seq, method, params } = frame
    try {
      const result = await this.context.call(method, params, access)
      this.outbox.sendEncoded(JSON.stringify({ type: 'result', seq, result }))
    } catch (error) {
      this.refuse(this.known(error, method), frame)
    } finally {
      this.unanswered--
    }
  }

  /** A bug costs the call, and not the connection. */
  private known(error: unknown, method: string): FanfareError {
    if (error instanceof FanfareError) return error
    this.context.unexpected.report('call', error, { method })
    return new FanfareError('call_failed')
  }
}
