/** Throws an error of a callback of the application as an uncaught exception, while the client goes on. */
export function throwLater(error: unknown): void {
  const later = globalThis.queueMicrotask ?? setTimeout
  later(() => {
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
