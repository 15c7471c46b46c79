/** A promise that is settled from outside: `Promise.withResolvers`, which Node 20 lacks. The first call counts. */
export class Deferred<Value = void> {
  readonly promise: Promise<Value>
  resolve!: (value: Value | PromiseLike<Value>) => void
  reject!: (error: unknown) => void

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}
