/** Figures come once a second in many messages: what they change is drawn together, and not more often than this. */
const DATA_INTERVAL_MS = 500

const drawings = new Set<() => void>()
let frame = 0
let timer: ReturnType<typeof setTimeout> | undefined
let drawnAt = 0

/** Has something drawn whenever the page is; returns what ends that. */
export function onDraw(task: () => void): () => void {
  drawings.add(task)
  return () => drawings.delete(task)
}

/** Draws at the next animation frame: for what the user has done. */
export function invalidate(): void {
  if (frame !== 0) return
  frame = requestAnimationFrame(() => {
    frame = 0
    clearTimeout(timer)
    timer = undefined
    drawnAt = performance.now()
    for (const draw of drawings) draw()
  })
}

/** Draws soon: for what the hub has said. */
export function dataChanged(): void {
  if (timer !== undefined || frame !== 0) return
  const wait = Math.max(0, drawnAt + DATA_INTERVAL_MS - performance.now())
  timer = setTimeout(() => {
    timer = undefined
    invalidate()
  }, wait)
}
