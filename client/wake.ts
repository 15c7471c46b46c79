/** The part of `EventTarget` that is used of a browser's window, document or worker. Node has none of them. */
interface Target {
  addEventListener?(type: string, listener: () => void): void
  removeEventListener?(type: string, listener: () => void): void
}

interface Page extends Target {
  readonly visibilityState?: string
}

/**
 * Calls `woken` when the platform reports that the network, the page or the machine is back: a connection may be dead, and a wait
 * for the next attempt can end. Returns how to stop it.
 */
export function onWake(woken: () => void): () => void {
  const scope = globalThis as Target & { readonly document?: Page }
  const page = scope.document
  const shown = () => {
    if (page?.visibilityState === 'visible') woken()
  }
  const signs = [
    [scope, 'online', woken],
    [scope, 'pageshow', woken],
    [page, 'visibilitychange', shown],
  ] as const
  const each = (act: 'addEventListener' | 'removeEventListener') => {
    for (const [target, type, listener] of signs) target?.[act]?.(type, listener)
  }
  each('addEventListener')
  return () => each('removeEventListener')
}
