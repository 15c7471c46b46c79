import type { Clock } from '../../shared/clock.ts'
import { type ErrorCode, FanfareError } from '../../shared/errors.ts'
import type { DeadLetter, DeadLetterCount, DeadLetterFilter } from '../../shared/queues.ts'
import type { Broker } from '../broker/broker.ts'

/** Dead letters that a redrive or a purge takes in one commit, and about how many bytes of them a redrive. */
const BATCH_LETTERS = 500
const BATCH_BYTES = 1024 * 1024
/** Errors that may end them halfway: the error then reports how many letters were handled. */
const CUTS_SHORT: readonly ErrorCode[] = [
  'queue_limit',
  'no_queue',
  'storage_full',
  'storage_failed',
  'outcome_unknown',
  'shutting_down',
]
/** How often a redrive with a rate takes a batch. */
const REDRIVE_STEP_MS = 100

/** What operators do with the dead letters of queues: page by page, so that none of it holds up the hub. */
export class DeadLetterActs {
  private readonly broker: Broker
  private readonly clock: Clock
  private closed = false

  constructor(broker: Broker, clock: Clock) {
    this.broker = broker
    this.clock = clock
  }

  close(): void {
    this.closed = true
  }

  page(name: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]> {
    return this.broker.deadLetters(name, filter, from, limit)
  }

  /** Counts the dead letters that are there now and meet a filter. */
  async count(name: string, filter: DeadLetterFilter): Promise<DeadLetterCount> {
    let through: number | undefined
    const count = await this.inBatches(name, filter, BATCH_LETTERS, BATCH_BYTES, 'counted', async (letters) => {
      through = letters.at(-1)
      return letters.length
    })
    return { count, ...(through !== undefined && { through }) }
  }

  /** Deletes the dead letters that are there now, in batches. Rejects as `redrive` does. */
  async purge(name: string, filter: DeadLetterFilter): Promise<number> {
    return this.inBatches(name, filter, BATCH_LETTERS, Number.POSITIVE_INFINITY, 'purged', (letters) =>
      this.broker.purgeDeadLetters(name, { letters }),
    )
  }

  /**
   * Moves the dead letters that are there now, in batches, `perSecond` at most. Resolves once all have been moved. Rejects
   * at the first batch that cannot be moved, and says how many were moved before; those stay moved.
   */
  async redrive(name: string, filter: DeadLetterFilter, to: string, perSecond: number | undefined): Promise<number> {
    // Also if there is nothing to move.
    if (!this.broker.queue(to)) throw new FanfareError('no_queue', `There is no queue "${to}"`)
    const perStep = perSecond === undefined ? BATCH_LETTERS : Math.round((perSecond * REDRIVE_STEP_MS) / 1000)
    const limit = Math.min(BATCH_LETTERS, Math.max(1, perStep))
    let earliest = 0
    return this.inBatches(name, filter, limit, BATCH_BYTES, `moved into "${to}"`, async (letters) => {
      if (perSecond !== undefined) {
        await this.pause(earliest - this.clock.now())
        earliest = this.clock.now() + (letters.length / perSecond) * 1000
      }
      return this.broker.redrive(name, { letters }, to, letters.length)
    })
  }

  private async inBatches(
    name: string,
    filter: DeadLetterFilter,
    limit: number,
    bytes: number,
    done: string,
    act: (letters: readonly number[]) => Promise<number>,
  ): Promise<number> {
    let count = 0
    try {
      for await (const letters of this.broker.deadLetterBatches(name, filter, limit, bytes)) {
        if (this.closed) throw new FanfareError('shutting_down')
        count += await act(letters)
      }
    } catch (error) {
      if (!(error instanceof FanfareError) || !CUTS_SHORT.includes(error.code)) throw error
      // Nothing was done: what is missing says more.
      if (error.code === 'no_queue' && count === 0) throw error
      const left = this.broker.queue(name)?.deadLetters ?? 0
      throw new FanfareError(error.code, `Dead letters of "${name}": ${count} ${done}, ${left} left`)
    }
    return count
  }

  private async pause(ms: number): Promise<void> {
    if (ms <= 0) return
    await new Promise<void>((resolve) => {
      this.clock.setTimeout(resolve, ms)
    })
  }
}
