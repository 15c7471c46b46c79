import { setImmediate } from 'node:timers'
import { PIPELINED_REQUESTS } from './engine.ts'

/** Maximum bytes of responses per turn. A large response costs about a millisecond per 64 KiB. */
const ANSWER_BYTES = 512 * 1024

/**
 * Spreads HTTP requests over turns of the event loop. Without this, everything that peers send at once would be handled in one
 * turn: requests beyond `PIPELINED_REQUESTS`, and those after responses of `ANSWER_BYTES`, wait for the next turn, so that others
 * get their turn in between.
 */
export class RequestTurns {
  private requests = 0
  private bytes = 0
  private waiting: (() => void)[] = []
  private scheduled = false

  /** Undefined if the request may proceed now. */
  next(): Promise<void> | undefined {
    if (this.waiting.length > 0 || !this.hasRoom) return this.later()
    this.requests++
    this.schedule()
    return undefined
  }

  /** Resolves in another turn, after those that wait already. */
  later(): Promise<void> {
    this.schedule()
    return new Promise((resolve) => {
      this.waiting.push(resolve)
    })
  }

  /** A response of this many bytes was given in this turn. */
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
    // One callback each, so that everything that a request does immediately, in microtasks, is done and counted before the next one
    // begins.
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
