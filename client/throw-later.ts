/** An error of the application's own callback: as loud as if nobody had called it, and our work goes on. */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

/** Calls a callback of the application. */
export function callBack(call: () => void): void {
  try {
    call()
  } catch (error) {
    throwLater(error)
  }
}
