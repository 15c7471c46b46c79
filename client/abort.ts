/** `AbortSignal.throwIfAborted`, and the reason of a signal, neither of which React Native has. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal)
}

/** Calls `task` when the signal aborts. Returns how to stop that. */
export function onAbort(signal: AbortSignal | undefined, task: () => void): () => void {
  signal?.addEventListener('abort', task, { once: true })
  return () => signal?.removeEventListener('abort', task)
}

export function reasonOf(signal: AbortSignal): unknown {
  return signal.reason ?? Object.assign(new Error('The operation was aborted'), { name: 'AbortError' })
}
