/** Calls `task` with the reason when the signal aborts, at once if it has. Returns how to stop that. */
export function onAbort(signal: AbortSignal | undefined, task: (reason: unknown) => void): () => void {
  // React Native has no reason.
  const reason = () => signal?.reason ?? Object.assign(new Error('Aborted'), { name: 'AbortError' })
  const aborted = () => task(reason())
  // The event of a signal that was aborted before never comes.
  if (signal?.aborted) aborted()
  signal?.addEventListener('abort', aborted, { once: true })
  return () => signal?.removeEventListener('abort', aborted)
}
