/** An error of the application's own callback: as loud as if nobody had called it, and our work goes on. */
export function throwLater(error: unknown): void {
  const later = globalThis.queueMicrotask ?? setTimeout
  later(() => {
    throw error
  })
}
