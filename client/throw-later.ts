/** An error of the application's own callback: as loud as if nobody had called it, and our work goes on. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

/** Calls a listener of the application. What it throws is its own fault, and not its caller's. */
export function tell<Args extends unknown[]>(listener: ((...args: Args) => unknown) | undefined, ...args: Args): void {
  try {
    listener?.(...args)
  } catch (error) {
    throwLater(error)
  }
}
