import { setImmediate } from 'node:timers'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { PIPELINED_REQUESTS } from './engine.ts'

/** Bytes of answers in one turn. A large answer costs about a millisecond per 64 KiB. */
const ANSWER_BYTES = 1024 * 1024

/**
 * Spreads HTTP requests over turns of the event loop. All that peers send at once come in one turn: requests beyond
 * `PIPELINED_REQUESTS`, and those that come after answers of `ANSWER_BYTES`, wait for the next, so that others come in between.
 */
export class RequestTurns {
  private requests = 0
  private bytes = 0

  /** Undefined: now. */
  next(): Promise<void> | undefined {
    if (this.requests === 0) setImmediate(() => this.begin())
    return ++this.requests <= PIPELINED_REQUESTS && this.bytes < ANSWER_BYTES ? undefined : this.later()
  }

  /** An answer of this many bytes was given in this turn. */
  answered(bytes: number): void {
    this.bytes += bytes
  }

  private begin(): void {
    this.requests = 0
    this.bytes = 0
  }

  private async later(): Promise<void> {
    await nextTurn()
    await this.next()
  }
}
