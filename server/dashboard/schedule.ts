/** Figures arrive once a second in many messages; their changes are drawn together, at most once per interval. */
const DATA_INTERVAL_MS = 500

const drawings = new Set<() => void>()
let frame = 0
let timer: ReturnType<typeof setTimeout> | undefined
let drawnAt = 0

/** Registers a task for each drawing of the page; returns a function that unregisters it. */
export function onDraw(task: () => void): () => void {
  drawings.add(task)
  return () => drawings.delete(task)
}

/** Draws at the next animation frame: for changes made by the user. */
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

/** Draws soon: for data from the hub. */
export function dataChanged(): void {
  if (timer !== undefined || frame !== 0) return
  const wait = Math.max(0, drawnAt + DATA_INTERVAL_MS - performance.now())
  timer = setTimeout(() => {
    timer = undefined
    invalidate()
  }, wait)
}
