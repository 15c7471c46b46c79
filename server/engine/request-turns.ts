import { setImmediate } from 'node:timers'
import { PIPELINED_REQUESTS } from './engine.ts'

/** Bytes of answers in one turn. A large answer costs about a millisecond per 64 KiB. */
const ANSWER_BYTES = 512 * 1024

/**
 * Spreads HTTP requests over turns of the event loop. All that peers send at once come in one turn: requests beyond
 * `PIPELINED_REQUESTS`, and those that come after answers of `ANSWER_BYTES`, wait for the next, so that others come in between.
 */
export class RequestTurns {
  private requests = 0
  private bytes = 0
  private waiting: (() => void)[] = []
  private scheduled = false

  /** Undefined: now. */
  next(): Promise<void> | undefined {
    if (this.waiting.length > 0 || !this.hasRoom) return this.later()
    this.requests++
    this.schedule()
    return undefined
  }

  /** In another turn, behind those that wait. */
  later(): Promise<void> {
    this.schedule()
    return new Promise((resolve) => {
      this.waiting.push(resolve)
    })
  }

  /** An answer of this many bytes was given in this turn. */
  answered(bytes: number): void {
    this.bytes += bytes
  }

  private get hasRoom(): boolean {
    return this.requests < PIPELINED_REQUESTS && this.bytes < ANSWER_BYTES
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(this.turn)
  }

  private readonly turn = (): void => {
    this.scheduled = false
    this.requests = 0
    this.bytes = 0
    // A callback for each: what a request does at once, in microtasks, is then done and counted before the next one begins.
    const count = Math.min(this.waiting.length, PIPELINED_REQUESTS)
    for (let n = 0; n < count; n++) setImmediate(this.goOn)
    if (count > 0) this.schedule()
  }

  private readonly goOn = (): void => {
    if (!this.hasRoom) return
    this.requests++
    this.waiting.shift()?.()
  }
}
