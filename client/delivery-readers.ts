import type { FanfareError } from '../shared/fanfare-error.ts'
import type { Delivery } from './delivery.ts'

type Result = IteratorResult<Delivery, undefined>

/**
 * The `for await` loops over a consumer. By hand, and not an async generator: `return()` of one of those waits until a pending `next()` has
 * got something.
 */
export class DeliveryReaders {
  private readonly pending: { resolve(result: Result): void; reject(error: FanfareError): void }[] = []
  private readonly take: () => Delivery | undefined
  private ended = false
  private failure: FanfareError | undefined

  constructor(take: () => Delivery | undefined) {
    this.take = take
  }

  /** Whether a reader is waiting for the next delivery. */
  get waiting(): boolean {
    return this.pending.length > 0
  }

  iterator(close: () => Promise<void>): AsyncIterableIterator<Delivery, undefined> {
    const iterator: AsyncIterableIterator<Delivery, undefined> = {
      next: () =>
        new Promise((resolve, reject) => {
          this.pending.push({ resolve, reject })
          this.feed()
        }),
      return: async () => {
        await close()
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]: () => iterator,
    }
    return iterator
  }

  /** Something may be there, or all is over. */
  feed(): void {
    while (this.pending.length > 0) {
      const value = this.take()
      if (!value && !this.ended) return
      const { resolve, reject } = this.pending.shift() as (typeof this.pending)[number]
      const { failure } = this
      // It is thrown once, as a loop has it.
      if (!value) this.failure = undefined
      if (value) resolve({ done: false, value })
      else if (failure) reject(failure)
      else resolve({ done: true, value: undefined })
    }
  }

  end(failure: FanfareError | undefined): void {
    this.ended = true
    this.failure = failure
    this.feed()
  }
}
