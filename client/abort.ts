/** `AbortSignal.throwIfAborted`, and the reason of a signal, neither of which React Native has. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal)
}

/** Calls `task` with the reason when the signal aborts, at once if it has. Returns how to stop that. */
export function onAbort(signal: AbortSignal | undefined, task: (reason: unknown) => void): () => void {
  const aborted = () => task(signal && reasonOf(signal))
  // The event of a signal that was aborted before never comes.
  if (signal?.aborted) aborted()
  signal?.addEventListener('abort', aborted, { once: true })
  return () => signal?.removeEventListener('abort', aborted)
}

function reasonOf(signal: AbortSignal): unknown {
  return signal.reason ?? Object.assign(new Error('The operation was aborted'), { name: 'AbortError' })
}
