/** Whether `await` would wait for it: a promise of any realm, or a thenable of a library, such as a query that runs when it is awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}
