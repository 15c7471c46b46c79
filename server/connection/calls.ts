import { setImmediate } from 'node:timers'
import type { Clock } from '../../shared/clock.ts'
import { FanfareError } from '../../shared/errors.ts'
import type { CallFrame } from '../../shared/frames.ts'
import { encodeJson } from '../../shared/raw-json.ts'
import type { Caller } from '../admin/operator-log.ts'
import type { Access } from '../auth/access.ts'
import type { UnexpectedErrors } from '../failure/unexpected-errors.ts'
import type { Traffic } from '../monitor/traffic.ts'
import { Encoded } from '../topic/encoded.ts'
import type { Outbox } from './outbox.ts'
import type { WaitsForOutbox } from './outbox-owner.ts'

interface WaitingCall {
  readonly frame: CallFrame
  readonly access: Access
}

/** What the calls of all connections share. */
export interface CallParts {
  readonly traffic: Traffic
  readonly clock: Clock
  readonly unexpected: UnexpectedErrors
  /** Maximum unanswered calls per connection. */
  readonly most: number
  /** Runs an operator method, if it is permitted. */
  call(method: string, params: unknown, caller: Caller): Promise<unknown>
}

/** The fields that identify a connection in the log. */
export interface ConnectionName {
  readonly id: string
  readonly address: string
}

/** Maximum calls of a connection in progress at once, and how long each counts as such, in milliseconds: a redrive may take hours. */
const AT_ONCE = 4
const COUNTS_MS = 1000

/**
 * The calls of one connection. A call costs far more than its frame, and its answer is far larger. So the number of unanswered
 * calls is limited, only a few are in progress, each begins in its own turn of the event loop, and none begins or is answered until
 * the connection has taken the previous answers.
 */
export class Calls implements WaitsForOutbox {
  private readonly parts: CallParts
  private readonly connection: ConnectionName
  private readonly outbox: Outbox
  private readonly refuse: (error: unknown, frame: unknown) => void
  private readonly waiting: WaitingCall[] = []
  /** Answers that wait for the connection. Each still counts as in progress. */
  private readonly answers: (() => void)[] = []
  private unanswered = 0
  /** Functions that release the places of the calls in progress. */
  private readonly places = new Set<() => void>()
  private scheduled = false
  private ended = false

  constructor(
    parts: CallParts,
    connection: ConnectionName,
    outbox: Outbox,
    refuse: (error: unknown, frame: unknown) => void,
  ) {
    this.parts = parts
    this.connection = connection
    this.outbox = outbox
    this.refuse = refuse
    outbox.waiting = this
  }

  /** Throws `too_many_calls`. */
  call(frame: CallFrame, access: Access): void {
    if (this.unanswered >= this.parts.most) {
      this.parts.traffic.hit('calls', {})
      throw new FanfareError(
        'too_many_calls',
        `The connection has ${this.parts.most} unanswered calls, the maximum (calls). Wait for their answers.`,
      )
    }
    this.unanswered++
    this.waiting.push({ frame, access })
    this.goOn()
  }

  get areWaiting(): boolean {
    return this.unanswered > 0
  }

  /** The connection has taken everything that it was sent. */
  caughtUp(): void {
    this.goOn()
  }

  /** Does the next step in the next turn. */
  private goOn(): void {
    const begins = this.waiting.length > 0 && this.places.size < AT_ONCE
    if (this.scheduled || this.ended || !this.outbox.keepsUp || !(begins || this.answers.length > 0)) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      if (this.ended || !this.outbox.keepsUp) return
      const answer = this.answers.shift()
      const next = answer || this.places.size >= AT_ONCE ? undefined : this.waiting.shift()
      answer?.()
      if (next) void this.run(next)
      this.goOn()
    })
  }

  release(): void {
    this.ended = true
    this.waiting.length = this.answers.length = 0
    for (const leave of this.places) leave()
  }

  private async run({ frame, access }: WaitingCall): Promise<void> {
    const { seq, method, params } = frame
    const { id: connection, address } = this.connection
    const leave = this.takePlace()
    let answer: () => void
    try {
      const result = await this.parts.call(method, params, { access, address, connection })
      const json = encodeJson({ type: 'result', seq, result })
      answer = () => this.outbox.send(new Encoded(json))
    } catch (error) {
      const known = this.known(error, method)
      answer = () => this.refuse(known, frame)
    }
    if (this.ended) return
    this.answers.push(() => {
      this.unanswered--
      leave()
      answer()
    })
    this.goOn()
  }

  /** Returns a function that releases the place. */
  private takePlace(): () => void {
    const { clock } = this.parts
    const leave = () => {
      clock.clearTimeout(timer)
      this.places.delete(leave)
      this.goOn()
    }
    const timer = clock.setTimeout(leave, COUNTS_MS)
    this.places.add(leave)
    return leave
  }

  /** A bug costs only the call, not the connection. */
  private known(error: unknown, method: string): FanfareError {
    if (error instanceof FanfareError) return error
    this.parts.unexpected.report('call', error, { method })
    return new FanfareError('call_failed')
  }
}
