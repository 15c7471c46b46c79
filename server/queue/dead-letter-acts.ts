import type { Clock } from '../../shared/clock.ts'
import { type ErrorCode, FanfareError } from '../../shared/errors.ts'
import type { DeadLetter, DeadLetterCount, DeadLetterFilter } from '../../shared/queues.ts'
import type { Broker } from '../broker/broker.ts'

/** Dead letters whose numbers are read at a time. */
const PAGE_LETTERS = 500
/** Approximate size of those that are counted at a time. */
const COUNTED_BYTES = 1024 * 1024
/** Errors that may end them halfway. The error then reports how many dead letters were handled. */
const CUTS_SHORT: readonly ErrorCode[] = [
  'queue_limit',
  'no_queue',
  'storage_full',
  'storage_failed',
  'outcome_unknown',
  'shutting_down',
]
/** Interval at which a redrive with a rate takes a page. */
const REDRIVE_STEP_MS = 100

interface PageOptions {
  readonly bytes: number
  readonly limit?: number
  /** How many of its numbers come at a time. */
  readonly step?: number
  readonly perSecond?: number | undefined
}

/** Operators' actions on dead letters, page by page, so that none of them holds up the hub. */
export class DeadLetterActs {
  private readonly broker: Broker
  private readonly clock: Clock
  /** Returns the same object as long as the name stands for the same queue. */
  private readonly queueOf: (name: string) => object | undefined
  private closed = false

  constructor(broker: Broker, clock: Clock, queueOf: (name: string) => object | undefined) {
    this.broker = broker
    this.clock = clock
    this.queueOf = queueOf
  }

  close(): void {
    this.closed = true
  }

  page(name: string, filter: DeadLetterFilter, from: number, limit: number): Promise<DeadLetter[]> {
    return this.broker.deadLetters(name, filter, from, limit)
  }

  /** Counts the current dead letters that match a filter. */
  async count(name: string, filter: DeadLetterFilter): Promise<DeadLetterCount> {
    let through: number | undefined
    const pages = this.pages(name, filter, { bytes: COUNTED_BYTES })
    const count = await this.byPages(name, pages, 'counted', async (numbers) => {
      through = numbers.at(-1)
      return numbers.length
    })
    return { count, ...(through !== undefined && { through }) }
  }

  /** Deletes the current dead letters, page by page. Rejects as `redrive` does. */
  async purge(name: string, filter: DeadLetterFilter): Promise<number> {
    const { deleted, bytes } = this.broker.letterSteps
    const pages = this.pages(name, filter, { bytes, step: deleted })
    return this.byPages(name, pages, 'purged', (numbers) => this.broker.purgeDeadLetters(name, numbers))
  }

  /**
   * Moves the current dead letters, page by page, at most `perSecond`. Resolves once all have been moved. Rejects at the first page
   * that cannot be moved, and reports how many were moved before; those stay moved.
   */
  async redrive(name: string, filter: DeadLetterFilter, to: string, perSecond: number | undefined): Promise<number> {
    // Even if there is nothing to move.
    if (!this.broker.queue(to)) throw noQueue(to)
    const perStep = perSecond === undefined ? PAGE_LETTERS : Math.round((perSecond * REDRIVE_STEP_MS) / 1000)
    const limit = Math.min(PAGE_LETTERS, Math.max(1, perStep))
    const { moved, bytes } = this.broker.letterSteps
    const pages = this.pages(name, filter, { bytes, limit, step: moved, perSecond })
    return this.byPages(name, pages, `moved into "${to}"`, (numbers) => this.broker.redrive(name, numbers, to))
  }

  private async byPages(
    name: string,
    pages: AsyncIterable<readonly number[]>,
    done: string,
    act: (numbers: readonly number[]) => Promise<number>,
  ): Promise<number> {
    let count = 0
    try {
      for await (const numbers of pages) count += await act(numbers)
    } catch (error) {
      if (!(error instanceof FanfareError) || !CUTS_SHORT.includes(error.code)) throw error
      // Nothing was done, so the missing queue is all there is to report.
      if (error.code === 'no_queue' && count === 0) throw error
      const left = this.broker.queue(name)?.deadLetters ?? 0
      throw new FanfareError(
        error.code,
        `${error.message} Of the dead letters of queue "${name}", ${count} were ${done} and ${left} are left.`,
      )
    }
    return count
  }

  /**
   * Numbers of the dead letters that exist when the first page is read, but none that are added later; at most `perSecond`. A page
   * is not read before it may be taken.
   */
  private async *pages(
    name: string,
    filter: DeadLetterFilter,
    { bytes, limit = PAGE_LETTERS, step = limit, perSecond = Number.POSITIVE_INFINITY }: PageOptions,
  ): AsyncIterable<readonly number[]> {
    const queue = this.queueOf(name)
    let from = 0
    let { through } = filter
    let earliest = 0
    do {
      await this.pause(earliest - this.clock.now())
      const meant = through === undefined ? filter : { ...filter, through }
      const range = { from, limit, bytes }
      const { numbers, next, end } = await this.broker.deadLetterNumbers(name, meant, range)
      earliest = this.clock.now() + (numbers.length / perSecond) * 1000
      let at = 0
      do {
        if (this.closed) throw new FanfareError('shutting_down')
        // The dead letters of a new queue are numbered from the start again.
        if (this.queueOf(name) !== queue) throw noQueue(name)
        if (numbers.length > 0) yield numbers.slice(at, at + step)
        at += step
      } while (at < numbers.length)
      from = next
      through = end - 1
    } while (from <= through)
  }

  private async pause(ms: number): Promise<void> {
    if (ms <= 0) return
    await new Promise<void>((resolve) => {
      this.clock.setTimeout(resolve, ms)
    })
  }
}

function noQueue(name: string): FanfareError {
  return new FanfareError('no_queue', `There is no queue "${name}". Declare it, or correct its name.`)
}
