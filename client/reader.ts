interface PendingRead<Item> {
  readonly resolve: (result: IteratorResult<Item, undefined>) => void
  readonly reject: (error: unknown) => void
}

export const DONE = { value: undefined, done: true } as const

/**
 * Who reads with `for await`. Written by hand, because an async generator that waits can't be ended: its `return()` waits
 * for the next item.
 */
export class Reader<Item> implements AsyncIterableIterator<Item, undefined> {
  readonly #take: () => IteratorResult<Item, undefined> | undefined
  readonly #close: () => Promise<void>
  readonly #askers: PendingRead<Item>[] = []
  #over = false

  /** `take` gives the next item or the end, nothing if neither is there, and throws why it ended, once. */
  constructor(take: () => IteratorResult<Item, undefined> | undefined, close: () => Promise<void>) {
    this.#take = take
    this.#close = close
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    return new Promise((resolve, reject) => {
      this.#askers.push({ resolve, reject })
      this.wake()
    })
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#over = true
    this.wake()
    await this.#close()
    return DONE
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Whether it waits for an item. */
  get waits(): boolean {
    return this.#askers.length > 0
  }

  /** There may be something to take. */
  wake(): void {
    while (this.#askers.length > 0) {
      try {
        const result = this.#over ? DONE : this.#take()
        if (!result) return
        this.#askers.shift()?.resolve(result)
      } catch (error) {
        this.#askers.shift()?.reject(error)
      }
    }
  }
}
